import { describe, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import { createModel, type NamedConfig } from '../models/create_model.ts';
import { readDesign } from '../models/registry.ts';
import type { AdapterOptions } from '../nn/adapter.ts';
import { Design } from '../nn/architecture.ts';
import type { LanguageModel } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import type { NamedValues } from '../nn/parameters.ts';
import { Random } from '../random.ts';
import { Evaluator } from './evaluate.ts';
import { optimizerRegions } from './step_programs.ts';
import { Trainer } from './trainer.ts';

const VOCAB = 48;
const designs = {
  xlstm: {
    architecture: 'xlstm',
    vocabSize: VOCAB,
    embeddingDim: 32,
    numBlocks: 2,
    numHeads: 2,
    slstmAt: [1],
  },
  'xlstm-large': {
    architecture: 'xlstm-large',
    vocabSize: VOCAB,
    embeddingDim: 64,
    numBlocks: 1,
    numHeads: 2,
  },
  transformer: { architecture: 'transformer', vocabSize: VOCAB, embeddingDim: 32, numBlocks: 1, numHeads: 2 },
  mamba: { architecture: 'mamba', vocabSize: VOCAB, embeddingDim: 32, numBlocks: 1 },
} satisfies Record<string, NamedConfig>;
type Name = keyof typeof designs;

const random = new Random(3);
const stream = Array.from({ length: 65 }, () => random.integer(VOCAB));
const batch = { tokens: stream.slice(0, 64), targets: stream.slice(1) };

async function base(engine: Engine, name: Name): Promise<Map<string, NamedValues>> {
  using model = createModel(engine, designs[name] as NamedConfig, { seed: 4 });
  return await model.read();
}

/** The same model with adapters, over packed matrices where there is a format. */
async function adapted(
  engine: Engine,
  name: Name,
  options: AdapterOptions = { rank: 3, alpha: 6 },
  packing?: PackedFormat,
): Promise<Model> {
  const { architecture, config } = readDesign(designs[name], 'the test') as Design<LanguageModel>;
  const design = new Design(architecture, config, packing, { ...options, base: '', source: 'the test' });
  return Model.load(engine, design, await base(engine, name), 'the test', { seed: 9 });
}

const lossOf = async (model: Model): Promise<number> => {
  using evaluator = new Evaluator(model, { lanes: 2, length: 32 });
  return (await evaluator.runBatches([batch])).loss;
};

const bits = ({ values, integers }: NamedValues): Buffer => {
  const numbers = integers?.() ?? Float64Array.from(values);
  return Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
};
const isAdapter = (name: string): boolean => name.includes('.lora_');

const { cases } = await fastEngines();
const engines = [
  // It is slow.
  { name: 'reference', steps: 6, open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, steps: 30, open: () => open(1) })),
];

describe.each(engines)('adapters: $name', ({ open, steps }) => {
  it.each(Object.keys(designs) as Name[])('that are new change nothing: %s', async (name) => {
    const engine = await open();
    const plain = Model.load(engine, readDesign(designs[name], 'the test'), await base(engine, name), 'x');
    const model = await adapted(engine, name);
    expect(model.parameters.added.length).toBeGreaterThan(3);
    expect(await lossOf(model)).toBe(await lossOf(plain as Model));
    await engine.close();
  });

  it.each([
    ['xlstm', undefined],
    ['xlstm-large', undefined],
    ['xlstm-large', 'q4'],
    ['xlstm-large', 'q8'],
    ['transformer', 'bf16'],
  ] as const)('learn, and leave all else as it is to the bit: %s, %s', async (name, packing) => {
    const engine = await open();
    const model = await adapted(engine, name, undefined, packing);
    expect(model.parameters.packed.bytes > 0).toBe(packing !== undefined);
    const before = await model.read();
    const trainer = new Trainer(model, { batchSize: 2, length: 32 });
    expect(trainer.gradients.map(({ region }) => region.name)).toEqual(['gradients.adapters']);
    const first = await lossOf(model);
    for (let step = 0; step < steps; step++) await trainer.step(batch, 0.02);
    expect(await lossOf(model)).toBeLessThan(first - steps / 200);
    const after = await model.read();
    for (const [parameter, values] of before) {
      const same = bits(values).equals(bits(after.get(parameter) as NamedValues));
      expect(same, parameter).toBe(!isAdapter(parameter));
    }
    await engine.close();
  });
});

describe('adapters', () => {
  const engine = createReferenceEngine();

  it.each([
    ['xlstm', undefined],
    ['xlstm-large', undefined],
    ['xlstm-large', 'q8'],
  ] as const)('have the gradients that central differences give: %s, %s', async (name, packing) => {
    const model = await adapted(engine, name, { rank: 2, alpha: 3 }, packing);
    const values = await model.read();
    // B away from 0, where A has a gradient too.
    for (const [parameter, value] of values) {
      if (!parameter.endsWith('lora_B.weight')) continue;
      values.set(parameter, { ...value, values: Array.from(value.values, () => random.uniform(-0.3, 0.3)) });
    }
    model.write(values, 'the test');
    const trainer = new Trainer(model, { batchSize: 2, length: 32 });
    await trainer.computeGradients(batch);
    const [gradients] = trainer.gradients;
    // Every third: of A as of B.
    for (const { name: parameter } of model.parameters.added.filter((_, i) => i % 3 === 0)) {
      const gradient = Float64Array.from(await gradients.read(parameter));
      const kept = values.get(parameter) as NamedValues;
      const numbers = Float64Array.from(kept.values);
      const at = gradient.reduce(
        (best, value, i) => (Math.abs(value) > Math.abs(gradient[best]) ? i : best),
        0,
      );
      const lossAt = async (by: number): Promise<number> => {
        const moved = numbers.map((value, i) => (i === at ? value + by : value));
        model.write(new Map(values).set(parameter, { ...kept, values: moved }), 'the test');
        return lossOf(model);
      };
      const difference = ((await lossAt(1e-4)) - (await lossAt(-1e-4))) / 2e-4;
      expect(gradient[at] / difference, parameter).toBeCloseTo(1, 5);
    }
  });

  it('have the names that PEFT writes, one for each part of a joined matrix', async () => {
    const model = await adapted(engine, 'xlstm-large', { rank: 4, alpha: 8, targets: ['q', 'proj_up'] });
    const layer = (block: number) => `base_model.model.backbone.blocks.${block}`;
    expect(model.parameters.added.map(({ name, shape }) => [name, shape])).toEqual(
      [0].flatMap((block) => [
        [`${layer(block)}.mlstm_layer.q.lora_A.weight`, [4, 64]],
        [`${layer(block)}.mlstm_layer.q.lora_B.weight`, [32, 4]],
        [`${layer(block)}.ffn.proj_up.lora_A.weight`, [4, 64]],
        [`${layer(block)}.ffn.proj_up.lora_B.weight`, [192, 4]],
      ]),
    );
    const values = await model.read();
    for (const { name } of model.parameters.added) {
      const largest = Math.max(...Array.from(values.get(name)?.values ?? [], Math.abs));
      if (name.includes('lora_B')) expect(largest).toBe(0);
      else expect(Math.abs(largest - 1 / 8)).toBeLessThan(0.01);
    }
  });

  it('are beside one layer, or the output layer too, where that is asked for', async () => {
    const places = async (targets: string[]): Promise<string[]> =>
      (await adapted(engine, 'xlstm-large', { rank: 1, alpha: 1, targets })).parameters.adapted.map(
        ({ matrix }) => matrix,
      );
    expect(await places(['blocks.0.mlstm_layer.v', 'lm_head'])).toEqual([
      'backbone.blocks.0.mlstm_layer.v.weight',
      'lm_head.weight',
    ]);
    await expect(places(['q', 'key'])).rejects.toMatchObject({
      message: 'the test: expected names of this model\'s matrices, found "key"',
      code: 'usage',
      hint: expect.stringContaining('Near are '),
    });
  });

  it('alone have gradients and moments', async () => {
    using model = await adapted(engine, 'xlstm-large', undefined, 'q8');
    const { adapters, regions } = model.parameters;
    const bytesOf = (all: readonly { readonly bytes: number }[]) => all.reduce((sum, r) => sum + r.bytes, 0);
    const trained = optimizerRegions(model.parameters).flatMap(({ gradients, firstMoment, secondMoment }) => [
      gradients,
      firstMoment,
      secondMoment,
    ]);
    expect(bytesOf(trained)).toBe(3 * adapters.bytes);
    expect(adapters.bytes).toBeLessThan(bytesOf(regions) / 4);
  });

  it('are refused where their options are not right', async () => {
    const found = (options: object) => adapted(engine, 'mamba', { rank: 2, alpha: 4, ...options });
    await expect(found({ rank: 0 })).rejects.toThrow(
      'the test: rank: expected a whole number from 1 to 65536, found 0',
    );
    await expect(found({ alpha: Number.NaN })).rejects.toThrow('the test: alpha: expected a number above 0');
    await expect(found({ targets: [] })).rejects.toThrow('the test: targets: expected names of matrices');
  });
});
