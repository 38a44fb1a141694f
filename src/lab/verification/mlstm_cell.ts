import * as v from 'valibot';
import type { Engine } from '../../compute/engines/engine.ts';
import { type MlstmOptions, type MlstmState, mlstm } from '../../compute/graph/mlstm.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { Comparison, type Row } from './compare.ts';
import { type GoldenFile, positiveInteger, tolerance } from './golden.ts';
import { swapHeadsAndTime } from './layout.ts';
import { type Cell, differentiatePieces, halves, runInPieces } from './sequence.ts';

const casesSchema = v.array(
  v.object({
    name: v.string(),
    regime: v.string(),
    B: positiveInteger,
    NH: positiveInteger,
    S: positiveInteger,
    DH: positiveInteger,
    rtol: tolerance,
  }),
);

type Case = v.InferOutput<typeof casesSchema>[number];

/** Chunks that do and do not divide the lengths of the cases, among them those that models use. */
const CHUNKS = [16, 64, 128];

export async function verifyMlstmCell(engine: Engine, file: GoldenFile): Promise<Row[]> {
  const rows: Row[] = [];
  for (const c of file.json('cases', casesSchema)) rows.push(...(await verifyCase(engine, file, c)));
  return rows;
}

async function verifyCase(engine: Engine, file: GoldenFile, c: Case): Promise<readonly Row[]> {
  const { name, regime, B, NH, S, DH, rtol } = c;
  const vectors = (tensor: string) => ({
    shape: [B, S, NH * DH],
    values: swapHeadsAndTime(file.values(`${name}.${tensor}`, [B, NH, S, DH]), [B, NH, S, DH]),
  });
  const gates = (tensor: string) => ({
    shape: [B, S, NH],
    values: swapHeadsAndTime(file.values(`${name}.${tensor}`, [B, NH, S]), [B, NH, S, 1]),
  });
  const state = { c: [B, NH, DH, DH], n: [B, NH, DH], m: [B, NH] };
  const lastState = {
    last_c: file.values(`${name}.last_c`, state.c),
    last_n: file.values(`${name}.last_n`, state.n),
    last_m: file.values(`${name}.last_m`, state.m),
  };
  const parallel = {
    h: vectors('h').values,
    dq: vectors('dq').values,
    dk: vectors('dk').values,
    dv: vectors('dv').values,
    digate: gates('digate').values,
    dfgate: gates('dfgate').values,
    ...lastState,
  };
  const sequence = {
    inputs: {
      q: vectors('q'),
      k: vectors('k'),
      v: vectors('v'),
      igate: gates('igate'),
      fgate: gates('fgate'),
    },
    fixed: {},
    state,
  };
  const upstream = vectors('dh');

  const comparison = new Comparison(`${name} ${regime}`, rtol);
  for (const chunk of CHUNKS) {
    const computed = await differentiatePieces(engine, sequence, [S], upstream, cell(NH, chunk));
    comparison.addAll(`chunks of ${chunk}`, named(computed), parallel);
  }
  const joined = await differentiatePieces(engine, sequence, halves(S), upstream, cell(NH, CHUNKS[0]));
  comparison.addAll('two pieces', named(joined), parallel);
  const recurrent = await runInPieces(engine, sequence, 1, cell(NH, 1));
  const { y, last_c, last_n, last_m } = recurrent;
  comparison.addAll(
    'step by step',
    { h_recurrent: y, last_c, last_n, last_m },
    { h_recurrent: vectors('h_recurrent').values, ...lastState },
  );
  return comparison.rows;
}

const named = <T>({ y, ...others }: Readonly<Record<string, T>>): Record<string, T> => ({ h: y, ...others });

const cell =
  (heads: number, chunk: number): Cell =>
  ({ q, k, v, igate, fgate }, state) => {
    const headDim = q.cols / heads;
    const options: MlstmOptions = {
      heads,
      keyScale: 1 / Math.sqrt(headDim),
      queryScale: 1,
      eps: 1e-6,
      chunk,
    };
    const given = state && ({ c: state.c, n: state.n, m: state.m } satisfies MlstmState);
    const result = mlstm({ q, k, v, inputGate: igate, forgetGate: fgate, state: given }, options);
    const last: Record<string, Tensor> = { ...result.state };
    return { y: result.h, state: last };
  };
