import { describe, expect, it, vi } from 'vitest';

/** Two copies of the package in one process, as two versions in one tree of dependencies give them. */
async function newCopy() {
  vi.resetModules();
  const library = await import('../../src/index.ts');
  const { add } = await import('../../src/compute/graph/elementwise.ts');
  const { leaf } = await import('../../src/compute/graph/tensor.ts');
  const { Region } = await import('../../src/compute/program/region.ts');
  const { engine } = await library.chooseEngine('reference');
  return { ...library, add, leaf, Region, engine };
}
const first = await newCopy();
const second = await newCopy();

type Library = typeof first;

const tokenizer = new first.ByteTokenizer();
const config = first.languageModelConfig({ vocabSize: tokenizer.vocabSize, embeddingDim: 8, numHeads: 2 });
const newModel = (models: Library, networks: Library) => {
  return models.Model.create(models.engine, (scope) => new networks.XlstmLanguageModel(scope, config), 1);
};
const shape = { batchSize: 1, length: 4 };
const batch = { tokens: [0, 1, 2, 3], targets: [1, 2, 3, 4] };

const refusal = expect.objectContaining({
  code: 'usage',
  message: expect.stringMatching(
    /^[a-z]+: input \w+ is no tensor of this copy of the library: found "leaf#\d+\[/,
  ),
  hint: expect.stringContaining('one installed copy'),
});
const outcome = async (call: () => unknown): Promise<unknown> => {
  try {
    return await call();
  } catch (error) {
    return error;
  }
};

const uses: readonly (readonly [
  name: string,
  use: (library: Library, model: ReturnType<typeof newModel>) => unknown,
])[] = [
  ['Trainer.step', ({ Trainer }, model) => new Trainer(model, shape).step(batch)],
  ['Trainer.computeGradients', ({ Trainer }, model) => new Trainer(model, shape).computeGradients(batch)],
  ['Evaluator', ({ Evaluator }, model) => new Evaluator(model, { lanes: 1, length: 4 }).run(batch.tokens)],
  ['Session.append', ({ Session }, model) => new Session(model, tokenizer).append('ab')],
];

describe('two copies of the package', () => {
  it('are two', () => {
    expect(second.Model).not.toBe(first.Model);
  });

  it.each(uses)('%s refuses the network and the model of another', async (_, use) => {
    for (const library of [first, second]) {
      const foreign = library === first ? second : first;
      expect(await outcome(() => use(library, newModel(foreign, foreign)))).toEqual(refusal);
      expect(await outcome(() => use(library, newModel(library, foreign)))).toEqual(refusal);
      expect(await outcome(() => use(library, newModel(library, library)))).not.toBeInstanceOf(Error);
    }
  });

  it('operations refuse tensors of another', () => {
    const region = new first.Region('io');
    const [a, b] = [first.leaf(region, 'a', [2, 3]), second.leaf(region, 'b', [2, 3])];
    expect(() => first.add(a, b)).toThrow(refusal);
    expect(() => first.add(b, a)).toThrow(refusal);
    expect(first.add(a, a).shape).toEqual([2, 3]);
  });
});
