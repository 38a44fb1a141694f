import { describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { createWasmEngine } from '../compute/engines/wasm/engine.ts';
import { createModel, type NamedConfig } from '../models/create_model.ts';
import type { Model } from '../nn/model.ts';
import {
  CellTrace,
  type MlstmCell,
  type MlstmReading,
  type SlstmReading,
  type TraceStep,
} from './cell_trace.ts';
import { Session } from './session.ts';
import { AlphabetTokenizer, successorModel, tinyModel } from './testing/models.ts';

const TOKENS = [3, 1, 4, 1, 5, 2, 6, 5, 3, 5];

async function stepsOf(trace: CellTrace): Promise<TraceStep[]> {
  const steps: TraceStep[] = [];
  for (const token of TOKENS) steps.push(await trace.read(token));
  return steps;
}

const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i])));
};

/** The memories after a token, by the equations, from those before. */
function mlstmBy(cell: MlstmCell, step: MlstmReading, before: MlstmReading | undefined) {
  const { heads, keyDim, valueDim, keyScale, queryScale, eps } = cell;
  const zeros = (length: number): Float64Array => new Float64Array(length);
  const { c, n, m } = before ?? { c: zeros(step.c.length), n: zeros(step.n.length), m: zeros(heads) };
  const made = { c: zeros(c.length), n: zeros(n.length), m: zeros(heads), h: zeros(heads * valueDim) };
  for (let head = 0; head < heads; head++) {
    const [i, f] = [step.inputPreactivation[head], step.forgetPreactivation[head]];
    const kept = -Math.log1p(Math.exp(-f)) + m[head];
    made.m[head] = Math.max(kept, i);
    const [input, forget] = [Math.exp(i - made.m[head]), Math.exp(kept - made.m[head])];
    expect(step.input[head]).toBeCloseTo(input, 10);
    expect(step.forget[head]).toBeCloseTo(forget, 10);
    let product = 0;
    for (let a = 0; a < keyDim; a++) {
      const at = head * keyDim + a;
      made.n[at] = forget * n[at] + input * keyScale * step.k[at];
      product += made.n[at] * queryScale * step.q[at];
      for (let b = 0; b < valueDim; b++) {
        const write = input * keyScale * step.k[at] * step.v[head * valueDim + b];
        made.c[at * valueDim + b] = forget * c[at * valueDim + b] + write;
        made.h[head * valueDim + b] += made.c[at * valueDim + b] * queryScale * step.q[at];
      }
    }
    const below = Math.max(Math.abs(product), Math.exp(-made.m[head])) + eps;
    for (let b = 0; b < valueDim; b++) made.h[head * valueDim + b] /= below;
  }
  return made;
}

describe('CellTrace', () => {
  it('tells gates and memories that fulfil the equations, and logits that a session has', async () => {
    const model = tinyModel(7, 3);
    using trace = new CellTrace(model);
    expect(trace.cells).toEqual([
      {
        kind: 'mlstm',
        name: 'blocks.0',
        heads: 2,
        keyDim: 32,
        valueDim: 32,
        keyScale: 1 / Math.sqrt(32),
        queryScale: 1,
        eps: 1e-6,
      },
      { kind: 'slstm', name: 'blocks.1', heads: 2, headDim: 8, exponentialForget: false },
    ]);
    const steps = await stepsOf(trace);
    const session = new Session(model, new AlphabetTokenizer('abcdefg'));
    for (const [t, step] of steps.entries()) {
      await session.append([TOKENS[t]]);
      expect(apart(step.logits, session.logits)).toBeLessThan(1e-12);
      const [matrix, scalar] = step.readings as [MlstmReading, SlstmReading];
      const [matrixBefore, scalarBefore] = (steps[t - 1]?.readings ?? []) as [MlstmReading, SlstmReading];
      const { c, n, m, h } = mlstmBy(trace.cells[0] as MlstmCell, matrix, matrixBefore);
      for (const [name, made] of Object.entries({ c, n, m, h }))
        expect(apart(matrix[name as 'c'], made), name).toBeLessThan(1e-12);
      for (const [u, y] of scalar.y.entries()) {
        const { input, forget, candidate, output } = scalar;
        expect(scalar.c[u]).toBeCloseTo(forget[u] * (scalarBefore?.c[u] ?? 0) + input[u] * candidate[u], 10);
        expect(scalar.n[u]).toBeCloseTo(forget[u] * (scalarBefore?.n[u] ?? 0) + input[u], 10);
        expect(y).toBeCloseTo((output[u] * scalar.c[u]) / scalar.n[u], 10);
      }
    }
    trace.clear();
    expect((await trace.read(TOKENS[0])).logits).toEqual(steps[0].logits);
  });

  it('is the same on the wasm engine, and for xLSTM Large', async () => {
    const wasm = await createWasmEngine({ threads: 1 });
    const sizes = { vocabSize: 7, embeddingDim: 16, numBlocks: 2, numHeads: 2 };
    const configs: NamedConfig[] = [
      { architecture: 'xlstm', ...sizes, slstmAt: [1] },
      { architecture: 'xlstm-large', ...sizes },
    ];
    for (const config of configs) {
      using expected = new CellTrace(createModel(createReferenceEngine(), config, { seed: 5 }) as Model);
      using found = new CellTrace(createModel(wasm, config, { seed: 5 }) as Model);
      expect(found.cells).toEqual(expected.cells);
      expect(found.cells).toHaveLength(2);
      const [a, b] = [await stepsOf(expected), await stepsOf(found)];
      for (const [t, step] of a.entries())
        for (const [r, reading] of step.readings.entries())
          for (const [name, values] of Object.entries(reading))
            if (name !== 'kind')
              expect(apart(values, b[t].readings[r][name as 'c']), `${t} ${name}`).toBeLessThan(1e-4);
    }
    await wasm.close();
  });

  it('has no cells to tell of in other networks, and refuses tokens that there are not', async () => {
    using trace = new CellTrace(successorModel(4, new Map([[1, 2]])));
    expect(trace.cells).toEqual([]);
    expect((await trace.read(1)).logits[2]).toBe(100);
    await expect(trace.read(4)).rejects.toThrow('token');
  });
});
