import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { parseJson } from '../json.ts';
import { type Architecture, Design } from '../nn/architecture.ts';
import { isLanguageModel } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import { Parameters, Scope } from '../nn/parameters.ts';
import { expectFrugal, outcome, RUNS } from '../testing/foreign.ts';
import { mutatedJsonBytes, utf8 } from '../testing/mutate.ts';
import { createModel } from './create_model.ts';
import { architectureNames, formatDesign, readDesign, registerArchitecture } from './registry.ts';
import { languageModelConfig } from './xlstm/config.ts';

const engine = createReferenceEngine();
const languageModels = architectureNames().filter((name) => !['sequence', 'tirex', 'tirex2'].includes(name));
const SOURCE = 'config.json';

const sizes = { vocabSize: 11, embeddingDim: 8, numBlocks: 2, numHeads: 2 };
const small = { ...sizes, contextLength: 16 };
/** Files of these name no architecture: their configuration tells. */
const UNNAMED = ['xlstm', 'xlstm-large'];
/** xLSTM Large has no context length. */
const smallOf = (architecture: string) => ({
  architecture,
  ...(architecture === 'xlstm-large' ? sizes : small),
});

const parametersOf = (design: Design): readonly string[] => {
  const parameters = new Parameters();
  design.build(new Scope(parameters));
  return parameters.list.map(({ name, shape }) => `${name} ${shape}`);
};

/** Keys of the official package's configuration classes (2.0.5), whose strict readers refuse others. */
const OFFICIAL: Readonly<Record<string, readonly string[]>> = {
  '': [
    ...[
      'mlstm_block',
      'slstm_block',
      'context_length',
      'num_blocks',
      'embedding_dim',
      'add_post_blocks_norm',
    ],
    ...['bias', 'dropout', 'slstm_at', 'vocab_size', 'tie_weights', 'weight_decay_on_embedding'],
    'add_embedding_dropout',
  ],
  mlstm_block: ['mlstm'],
  'mlstm_block.mlstm': [
    ...['conv1d_kernel_size', 'qkv_proj_blocksize', 'num_heads', 'proj_factor', 'embedding_dim', 'bias'],
    ...['dropout', 'context_length', 'round_proj_up_dim_up', 'round_proj_up_to_multiple_of'],
  ],
  slstm_block: ['slstm', 'feedforward'],
  'slstm_block.slstm': [
    ...['embedding_dim', 'num_heads', 'conv1d_kernel_size', 'group_norm_weight', 'dropout', 'hidden_size'],
    ...['num_states', 'backend', 'function', 'bias_init', 'recurrent_weight_init', 'num_gates'],
    ...['gradient_recurrent_cut', 'gradient_recurrent_clipval', 'forward_clipval', 'batch_size'],
  ],
  'slstm_block.feedforward': [
    ...['proj_factor', 'act_fn', 'embedding_dim', 'dropout', 'bias', 'ff_type'],
    ...['round_proj_up_dim_up', 'round_proj_up_to_multiple_of'],
  ],
};

describe('architectures', () => {
  it.each(languageModels)('%s: what is written of it is read back, and builds the same network', (name) => {
    const design = readDesign(smallOf(name), 'the test');
    const file = JSON.parse(JSON.stringify(formatDesign(design)));
    expect(file.architecture).toBe(UNNAMED.includes(name) ? undefined : name);
    const again = readDesign(file, SOURCE);
    expect(again).toEqual(design);
    expect(parametersOf(again)).toEqual(parametersOf(design));
    expect(design.describe().summary).toMatch(/2 .*blocks?, width 8/);
    const model = createModel(engine, smallOf(name));
    expect(model.parameters.list.map(({ name, shape }) => `${name} ${shape}`)).toEqual(parametersOf(design));
  });

  it('are language models of the size asked for, with defaults for all but the vocabulary', () => {
    for (const architecture of languageModels) {
      const { network, parameters } = createModel(engine, { architecture, vocabSize: 13, embeddingDim: 16 });
      if (!isLanguageModel(network)) throw new Error(`${architecture} is no language model`);
      expect(network.vocabSize).toBe(13);
      expect(parameters.list[0].shape).toEqual([13, 16]);
    }
  });

  it('an xLSTM is written for the official package: no name, and no key that it does not know', () => {
    for (const slstmAt of [[], [1], 'all'] as const) {
      const file = formatDesign(readDesign({ ...small, slstmAt }, 'the test'));
      const check = (node: object, path: string): void => {
        for (const [key, value] of Object.entries(node)) {
          expect(OFFICIAL[path], path).toContain(key);
          if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
          check(value, path ? `${path}.${key}` : key);
        }
      };
      check(file, '');
    }
  });

  it('reads files that name xlstm as those that name nothing', () => {
    const options = { ...small, slstmAt: [1] };
    const files = [
      options,
      formatDesign(readDesign(options, 'the test')),
      { vocab_size: 11, embedding_dim: 8, num_blocks: 2, num_heads: 2, context_length: 16, slstm_at: [1] },
    ];
    for (const file of files) {
      const expected = languageModelConfig(options);
      expect(readDesign(file, SOURCE).config).toEqual(expected);
      expect(readDesign({ ...file, architecture: 'xlstm' }, SOURCE).config).toEqual(expected);
    }
  });

  it.each<[string, unknown, string]>([
    ['no object', [], 'config.json: expected an object, found \\[\\]'],
    ['nothing', undefined, 'config.json: expected an object, found undefined'],
    [
      'an unknown name',
      { architecture: 'LSTM', vocab_size: 3 },
      'config.json: architecture: expected one of xlstm, xlstm-large, elman, gru, lstm, .*; found "LSTM"',
    ],
    [
      'a name that objects have',
      { architecture: 'constructor' },
      'architecture: expected one of .*found "constr',
    ],
    ['a name that is none', { architecture: null }, 'architecture: expected one of .*; found null'],
    ['no vocabulary', { architecture: 'gru' }, 'config.json: vocab_size: expected .* found nothing'],
    ['a key of another one', { architecture: 'gru', vocab_size: 3, slstm_at: [] }, 'slstm_at: unknown key'],
    [
      'a key that is misspelled',
      { architecture: 'gru', vocabSize: 3, dim: 3 },
      'config.json: dim: unknown key',
    ],
    [
      'heads that do not divide',
      { architecture: 'transformer', vocab_size: 3, embedding_dim: 12, num_heads: 4 },
      'config.json: embedding_dim: expected a multiple of 8 for 4 heads, found 12',
    ],
    [
      'the same in a program',
      { architecture: 'retnet', vocabSize: 3, embeddingDim: 12, numHeads: 4 },
      'embeddingDim: expected a multiple of 8 for 4 heads',
    ],
  ])('says what is wrong: %s', (_, json, message) => {
    expect(() => readDesign(json, SOURCE)).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringMatching(message) }),
    );
  });

  it('says how one’s own becomes known', () => {
    expect(() => readDesign({ architecture: 'mine' }, SOURCE)).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/registerArchitecture\(\{ name.*NODE_OPTIONS/) }),
    );
  });
});

describe('registerArchitecture', () => {
  const own = (more: Partial<Architecture> = {}): Architecture => ({
    name: 'test-own',
    parseConfig: (json) => json,
    formatConfig: (config) => config as Record<string, unknown>,
    build: () => ({ stateShapes: () => ({}) }),
    ...more,
  });

  it('refuses what lacks a part, and a name that is taken', () => {
    const usage = (message: string) => expect.objectContaining({ code: 'usage', message });
    expect(() => registerArchitecture(own({ name: '' }))).toThrow(
      usage('name: expected a printable name, found ""'),
    );
    expect(() => registerArchitecture(own({ name: 'a\nb' }))).toThrow(/a printable name/);
    expect(() => registerArchitecture(own({ build: undefined }))).toThrow(
      usage('test-own: build: expected a function, found undefined'),
    );
    const first = registerArchitecture(own());
    expect(registerArchitecture(first)).toBe(first);
    expect(() => registerArchitecture(own())).toThrow(
      usage('the name "test-own" is another architecture\'s'),
    );
    expect(() => registerArchitecture(own({ name: 'xlstm' }))).toThrow(/"xlstm" is another/);
    expect(() => readDesign({ architecture: own({ name: 'gru' }) }, SOURCE)).toThrow(/expected one of/);
  });

  it('finds an architecture whose parts do not fit together before anything is saved', () => {
    const forgets = registerArchitecture(own({ name: 'forgets', formatConfig: () => ({ a: 1 }) }));
    expect(formatDesign(new Design(forgets, { a: 1 }))).toEqual({ architecture: 'forgets', a: 1 });
    let calls = 0;
    const changes = registerArchitecture(own({ name: 'changes', formatConfig: () => ({ calls: calls++ }) }));
    expect(() => formatDesign(new Design(changes, {}))).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: expect.stringMatching(
          /^changes: parseConfig makes another configuration.*"calls":0.*"calls":1/,
        ),
      }),
    );
  });
});

describe('createModel', () => {
  it('draws from the seed, 1 if it is left out, and refuses what is no option', async () => {
    const values = async (...rest: [options?: { seed?: number }]): Promise<unknown> =>
      (await createModel(engine, small, ...rest).read()).get('token_embedding.weight')?.values;
    expect(await values()).toEqual(await values({ seed: 1 }));
    expect(await values({ seed: 2 })).not.toEqual(await values());
    await expect(values({ seed: Number.NaN })).rejects.toThrow(/a seed is a whole number/);
    await expect(values({ sead: 1 } as object)).rejects.toThrow(/there is no option "sead"/);
  });

  it('begins errors with its own name', () => {
    expect(() => createModel(engine, { ...small, embeddingDim: 0.5 })).toThrow(
      'createModel: embeddingDim: expected a whole number above 0, found 0.5',
    );
  });

  it('is what a model made of a design is', async () => {
    const design = readDesign(small, 'the test');
    const model = Model.create(engine, design, 1);
    expect(model.design).toBe(design);
    expect(await model.read()).toEqual(await createModel(engine, small).read());
    expect(() => Model.create(engine, {} as Design, 1)).toThrow(/source: expected a design or a function/);
  });
});

describe('config.json of foreign origin that names an architecture', { timeout: 300_000 }, () => {
  const files = ['gru', 'transformer', 'gpt', 'gated-deltanet[0:1]', 'xlstm'].map((architecture) => ({
    architecture,
    ...formatDesign(readDesign({ architecture, ...small }, 'the test')),
  }));
  const read = (bytes: Uint8Array): Design => readDesign(parseJson(bytes, SOURCE, 'config'), SOURCE);

  it('is a design that can be laid out, or one clear error', () => {
    let taken = 0;
    fc.assert(
      fc.property(mutatedJsonBytes(files), (bytes) => {
        const result = outcome(SOURCE, () => read(bytes));
        if ('error' in result) return;
        expect(readDesign(formatDesign(result.value), SOURCE)).toEqual(result.value);
        const { numBlocks } = result.value.config as { numBlocks: number };
        if (numBlocks < 20) expect(parametersOf(result.value).length).toBeGreaterThan(3);
        taken++;
      }),
      { numRuns: RUNS },
    );
    expect(taken).toBeGreaterThan(RUNS / 50);
    expect(taken).toBeLessThan(RUNS * 0.9);
  });

  it.each(languageModels)('lays the largest out at once: %s', (architecture) => {
    const largest = { vocab_size: 2 ** 24, embedding_dim: 2 ** 22, num_blocks: 4, num_heads: 4 };
    const design = readDesign({ architecture, ...largest, context_length: 2 ** 24 }, SOURCE);
    expect(parametersOf(design).length).toBeGreaterThan(3);
  });

  it.each<[string, string]>([
    ['2^53 − 1 tokens', '{"architecture":"gru","vocab_size":9007199254740991}'],
    ['10^9 blocks', '{"architecture":"gru","vocab_size":3,"num_blocks":1e9}'],
    ['a vast factor', '{"architecture":"mamba","vocab_size":3,"expansion":1e308}'],
    ['a factor that is too large for its width', '{"architecture":"gpt","vocab_size":3,"expansion":1e6}'],
    ['a long name', `{"architecture":"${'n'.repeat(200_000)}"}`],
  ])('takes memory by its bytes, not by what it claims: %s', (_, text) => {
    const bytes = utf8(text);
    expectFrugal(SOURCE, bytes.length, () => read(bytes));
  });
});
