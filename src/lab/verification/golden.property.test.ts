import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../checkpoints/safetensors.ts';
import type { Engine } from '../../compute/engines/engine.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { type Region, sizeOf } from '../../compute/program/region.ts';
import { XlstmError } from '../../errors.ts';
import { formatConfig, languageModelConfig } from '../../models/xlstm/config.ts';
import { XlstmLanguageModel } from '../../models/xlstm/language_model.ts';
import { Parameters, Scope } from '../../nn/parameters.ts';
import { expectBoth, outcome, outcomeAsync, RUNS } from '../../testing/foreign.ts';
import { mutatedBytes, mutatedJson } from '../../testing/mutate.ts';
import { GoldenFile } from './golden.ts';
import { verifyGolden } from './verify.ts';

const SOURCE = 'expected.safetensors';

type Contents = {
  readonly metadata: Record<string, string>;
  readonly tensors: Record<string, readonly number[]>;
};

const encoded = ({ metadata, tensors }: Contents): Uint8Array =>
  writeSafetensors(
    new Map(
      Object.entries(tensors).map(([name, shape]) => [
        name,
        { shape, data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => i % 5) },
      ]),
    ),
    metadata,
  );

const config = languageModelConfig({
  vocabSize: 5,
  embeddingDim: 8,
  numBlocks: 2,
  slstmAt: [1],
  numHeads: 2,
});
const parameters = new Parameters();
new XlstmLanguageModel(new Scope(parameters), config);

const CONFIG = formatConfig(config);
const RTOL = { logits: 1e-4, loss: 1e-5, grad: 1e-4 };
const MLSTM = { name: 'a', regime: 'normal', B: 1, NH: 2, S: 3, DH: 4, rtol: 1e-4 };
const SLSTM = { name: 'a', function: 'slstm', B: 1, S: 3, NH: 2, DH: 2, rtol: 1e-4 };

const languageModel = (given: { config?: string; rtol?: string } = {}): Contents => ({
  metadata: { kind: 'xlstm_lm', config: JSON.stringify(CONFIG), rtol: JSON.stringify(RTOL), ...given },
  tensors: {
    tokens: [1, 3],
    targets: [1, 3],
    logits: [1, 3, 5],
    logits_step: [1, 3, 5],
    loss: [1],
    ...Object.fromEntries(parameters.list.map(({ name, shape }) => [`param.${name}`, shape])),
  },
});
const mlstmCell = (cases = JSON.stringify([MLSTM])): Contents => {
  const vectors = ['h', 'dh', 'q', 'k', 'v', 'dq', 'dk', 'dv', 'h_recurrent'];
  const gates = ['igate', 'fgate', 'digate', 'dfgate'];
  const shapes = { last_c: [1, 2, 4, 4], last_n: [1, 2, 4], last_m: [1, 2] };
  return {
    metadata: { kind: 'mlstm_cell', cases },
    tensors: Object.fromEntries([
      ...vectors.map((name) => [`a.${name}`, [1, 2, 3, 4]]),
      ...gates.map((name) => [`a.${name}`, [1, 2, 3]]),
      ...Object.entries(shapes).map(([name, shape]) => [`a.${name}`, shape]),
    ]),
  };
};
const slstmCell = (cases = JSON.stringify([SLSTM])): Contents => ({
  metadata: { kind: 'slstm_cell', cases },
  tensors: {
    ...{ 'a.Wx': [1, 3, 4, 2, 2], 'a.dWx': [1, 3, 4, 2, 2], 'a.R': [2, 4, 2, 2], 'a.dR': [2, 4, 2, 2] },
    ...{
      'a.b': [4, 2, 2],
      'a.db': [4, 2, 2],
      'a.y': [1, 3, 2, 2],
      'a.dy': [1, 3, 2, 2],
      'a.last': [4, 1, 2, 2],
    },
  },
});

const edited = fc.oneof(
  mutatedJson([CONFIG]).map((text) => languageModel({ config: text })),
  mutatedJson([RTOL]).map((text) => languageModel({ rtol: text })),
  mutatedJson([[MLSTM]]).map(mlstmCell),
  mutatedJson([[SLSTM]]).map(slstmCell),
);
const whole = fc.constantFrom(languageModel(), mlstmCell(), slstmCell());
const files = fc.oneof(edited.map(encoded), mutatedBytes(whole.map(encoded)));

/** Thrown where a verification asks its engine for the first memory: its file was taken. */
class Reached extends Error {}

/** An engine that computes nothing: what reaches it is a file that was read, and asks for no more than it holds. */
function engineFor(fileBytes: number): Engine {
  const { limits } = createReferenceEngine();
  const allocate = ({ elements }: Region): never => {
    expect(4 * elements).toBeLessThan(fileBytes + 2 ** 20);
    throw new Reached();
  };
  const bind = (): never => {
    throw new Reached();
  };
  return { name: 'reference', threads: 1, limits, description: '', allocate, bind, close: async () => {} };
}

describe('golden files of foreign origin', { timeout: 300_000 }, () => {
  it('reach an engine as numbers of the right kind, or end as one clear error', async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(files, async (bytes) => {
        const result = await outcomeAsync(SOURCE, async () => {
          const file = new GoldenFile(bytes, SOURCE);
          for (const name of file.names) {
            const shape = file.shape(name);
            expect(file.values(name, shape).length).toBe(sizeOf(shape));
          }
          try {
            return (await verifyGolden(engineFor(bytes.length), file)).rows;
          } catch (error) {
            if (error instanceof Reached) return 'taken';
            throw error;
          }
        });
        if ('value' in result) taken++;
      }),
      { numRuns: RUNS },
    );
    expectBoth(taken);
  });

  it.each([-1, 5, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])(
    'whose tokens or targets are no ids of the vocabulary are refused: %s',
    async (id) => {
      for (const name of ['tokens', 'targets']) {
        const { metadata, tensors } = languageModel();
        const written = new Map(
          Object.entries(tensors).map(([key, shape]) => {
            const data = new Float32Array(sizeOf(shape));
            if (key === name) data[1] = id;
            return [key, { shape, data }] as const;
          }),
        );
        const file = new GoldenFile(writeSafetensors(written, metadata), SOURCE);
        const reading = verifyGolden(engineFor(1e6), file);
        await expect(reading).rejects.toThrow(`"${name}": expected whole numbers from 0 to 4, found ${id}`);
      }
    },
  );

  it('whose model is larger than the file are refused before memory is asked for', async () => {
    for (const change of [{ vocab_size: 2 ** 24 }, { embedding_dim: 2 ** 20 }, { num_blocks: 4000 }]) {
      const bytes = encoded(languageModel({ config: JSON.stringify({ ...CONFIG, ...change }) }));
      const reading = verifyGolden(engineFor(0), new GoldenFile(bytes, SOURCE));
      await expect(reading).rejects.toThrow(XlstmError);
    }
  });

  it('say which kind they are', () => {
    for (const kind of ['toString', '__proto__', 'a\nb', 'k'.repeat(5000)]) {
      const file = new GoldenFile(encoded({ metadata: { kind }, tensors: {} }), SOURCE);
      expect(outcome(SOURCE, () => file.kind)).toEqual({ value: kind });
    }
  });
});
