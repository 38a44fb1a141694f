import { describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { Model } from '../../nn/model.ts';
import type { NamedValues } from '../../nn/parameters.ts';
import { SequenceRunner } from '../../nn/sequence_runner.ts';
import { Random } from '../../random.ts';
import { formatDesign, readDesign } from '../registry.ts';
import { xlstmArchitecture } from './architecture.ts';
import { languageModelConfig } from './config.ts';
import { toVanillaLayout } from './cuda_layout.ts';
import type { XlstmLanguageModel } from './language_model.ts';

const engine = createReferenceEngine();
const TOKENS = [1, 4, 2, 8, 5, 7, 10, 3];

/** The official package's own words for its layouts (`sLSTMCell_*._recurrent_kernel_ext2int` and the others). */
function toCuda(tensors: ReadonlyMap<string, NamedValues>, heads: number): Map<string, NamedValues> {
  const converted = new Map(tensors);
  for (const [name, { shape, values }] of tensors) {
    if (name.endsWith('_recurrent_kernel_')) {
      const [, rows, dim] = shape;
      // external[h, in, g, out]: vanilla is its permute(0, 2, 3, 1), cuda is itself
      const cuda = new Float32Array(values.length);
      for (let h = 0; h < heads; h++) {
        for (let row = 0; row < rows; row++) {
          for (let i = 0; i < dim; i++) {
            cuda[h * dim * rows + i * rows + row] = values[h * dim * rows + row * dim + i];
          }
        }
      }
      converted.set(name, { shape: [heads, dim, rows], values: cuda });
    } else if (name.endsWith('_bias_')) {
      // external[h, g, d]: vanilla is its permute(1, 0, 2), cuda is itself
      const dim = values.length / heads / 4;
      const cuda = Float32Array.from(values, (_, at) => {
        const [h, g, d] = [Math.floor(at / (4 * dim)), Math.floor(at / dim) % 4, at % dim];
        return values[(g * heads + h) * dim + d];
      });
      converted.set(name, { shape, values: cuda });
    }
  }
  return converted;
}

async function logitsOf(model: Model<XlstmLanguageModel>): Promise<number[]> {
  const runner = SequenceRunner.of(model, 1, 'all');
  const { io, run } = runner.executable(TOKENS.length);
  io.write('tokens', TOKENS);
  await run();
  return Array.from(await io.read('logits'));
}

describe.each([
  ['slstm', 1],
  ['slstm', 2],
  ['slstm', 4],
  ['lstm', 2],
] as const)('sLSTM in the layout of cuda: %s cells, %i heads', (cell, heads) => {
  const config = languageModelConfig({
    ...{ vocabSize: 11, embeddingDim: 16, numBlocks: 3, slstmAt: [0, 2], numHeads: heads },
    slstm: { function: cell },
  });
  const design = readDesign(formatDesign(readDesign(config, 'the test')), 'the test');
  const random = new Random(7);
  const vanilla = new Map<string, NamedValues>();
  for (const { name, shape } of Model.empty(engine, design).parameters.list) {
    const size = shape.reduce((product, n) => product * n, 1);
    vanilla.set(name, { shape, values: Float32Array.from({ length: size }, () => random.normal()) });
  }
  const cuda = toCuda(vanilla, heads);
  const load = (tensors: ReadonlyMap<string, NamedValues>): Model<XlstmLanguageModel> => {
    const decoded = xlstmArchitecture.tensors?.decode(tensors, config, 'x') ?? tensors;
    return Model.load(engine, design, decoded, 'x') as Model<XlstmLanguageModel>;
  };

  it('gives the same logits, which depend on it', async () => {
    const expected = await logitsOf(load(vanilla));
    expect(await logitsOf(load(cuda))).toEqual(expected);
    if (heads === 1) return;
    // What loading the bias as it stands would give.
    const half = new Map(cuda);
    for (const [name, values] of vanilla) if (name.endsWith('_recurrent_kernel_')) half.set(name, values);
    expect(await logitsOf(load(half))).not.toEqual(expected);
  });

  it('leaves alone what is in neither layout', () => {
    const kernel = [...cuda.keys()].find((name) => name.endsWith('_recurrent_kernel_')) as string;
    const { values } = cuda.get(kernel) as NamedValues;
    const odd = new Map(vanilla).set(kernel, { shape: [2 * heads, 16 / heads, 32 / heads], values });
    expect(toVanillaLayout(odd)).toEqual(odd);
    expect(() => load(odd)).toThrow(/_recurrent_kernel_" has shape/);
    const bias = kernel.replace('_recurrent_kernel_', '_bias_');
    const cut = new Map(cuda).set(bias, { shape: [63], values: new Float32Array(63) });
    expect(() => load(cut)).toThrow(/_bias_" has shape \[63\]/);
    cut.delete(bias);
    expect(() => load(cut)).toThrow(/1 missing \(.*_bias_\)/);
  });
});
