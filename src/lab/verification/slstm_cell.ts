import * as v from 'valibot';
import type { Engine } from '../../compute/engines/engine.ts';
import { cells, type RecurrentOptions, recurrent } from '../../compute/graph/recurrent.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { Comparison, type Row } from './compare.ts';
import { type GoldenFile, positiveInteger, tolerance } from './golden.ts';
import { type Cell, differentiatePieces, halves, runInPieces } from './sequence.ts';

const casesSchema = v.array(
  v.object({
    name: v.string(),
    function: v.picklist(['slstm', 'lstm']),
    B: positiveInteger,
    S: positiveInteger,
    NH: positiveInteger,
    DH: positiveInteger,
    rtol: tolerance,
  }),
);

type Case = v.InferOutput<typeof casesSchema>[number];

export async function verifySlstmCell(engine: Engine, file: GoldenFile): Promise<Row[]> {
  const rows: Row[] = [];
  for (const c of file.json('cases', casesSchema)) rows.push(...(await verifyCase(engine, file, c)));
  return rows;
}

async function verifyCase(engine: Engine, file: GoldenFile, c: Case): Promise<readonly Row[]> {
  const { name, B, S, NH, DH, rtol } = c;
  const dim = NH * DH;
  const states = cells[c.function].states;
  const read = (tensor: string, shape: readonly number[]): Float32Array =>
    file.values(`${name}.${tensor}`, shape);
  const sequence = {
    inputs: { Wx: { shape: [B, S, 4 * dim], values: read('Wx', [B, S, 4, NH, DH]) } },
    fixed: {
      R: { shape: [NH, 4 * DH, DH], values: read('R', [NH, 4, DH, DH]) },
      b: { shape: [4 * dim], values: read('b', [4, NH, DH]) },
    },
    state: Object.fromEntries(states.map((state) => [state, [B, dim]])),
  };
  const upstream = { shape: [B, S, dim], values: read('dy', [B, S, NH, DH]) };

  const forward: Record<string, Float32Array> = { y: read('y', [B, S, NH, DH]) };
  const last = read('last', [states.length, B, NH, DH]);
  states.forEach((state, i) => {
    forward[`last_${state}`] = last.subarray(i * B * dim, (i + 1) * B * dim);
  });
  const all = {
    ...forward,
    dWx: read('dWx', [B, S, 4, NH, DH]),
    dR: read('dR', [NH, 4, DH, DH]),
    db: read('db', [4, NH, DH]),
  };
  const comparison = new Comparison(`${name} ${c.function}`, rtol);
  const options: RecurrentOptions = {
    cell: c.function,
    heads: NH,
    exponentialForget: false,
    recurrentClip: 0,
    cutRecurrent: false,
  };
  const whole = await differentiatePieces(engine, sequence, [S], upstream, cell(options));
  comparison.addAll('whole', whole, all);
  const joined = await differentiatePieces(engine, sequence, halves(S), upstream, cell(options));
  comparison.addAll('two pieces', joined, all);
  comparison.addAll('step by step', await runInPieces(engine, sequence, 1, cell(options)), forward);
  return comparison.rows;
}

const cell =
  (options: RecurrentOptions): Cell =>
  ({ Wx, R, b }, state) => {
    const result = recurrent(Wx, R, b, undefined, state ?? {}, options);
    return { y: result.y, state: result.state as Readonly<Record<string, Tensor>> };
  };
