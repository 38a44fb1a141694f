import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { XlstmError } from '../../errors.ts';
import { activationNames } from '../../nn/activation.ts';
import {
  blocksFromNotation,
  feedForwardDim,
  formatConfig,
  isSlstmBlock,
  type LanguageModelConfig,
  languageModelConfig,
  mlstmInnerDim,
  parseConfig,
} from './config.ts';

const golden = {
  vocab_size: 61,
  num_blocks: 4,
  embedding_dim: 48,
  slstm_at: [1, 3],
  num_heads: 2,
  context_length: 80,
  conv1d_kernel_size: 4,
  qkv_proj_blocksize: 4,
  mlstm_proj_factor: 2.0,
  slstm_ffn_proj_factor: 1.3,
  slstm_ffn_act: 'gelu',
  bias: false,
  tie_weights: false,
  slstm_layout: 'vanilla',
};

const official = {
  vocab_size: 50304,
  mlstm_block: { mlstm: { conv1d_kernel_size: 4, qkv_proj_blocksize: 4, num_heads: 2 } },
  slstm_block: {
    slstm: { backend: 'cuda', num_heads: 8, conv1d_kernel_size: 0, bias_init: 'small_init' },
    feedforward: { proj_factor: 1.5, act_fn: 'relu^2' },
  },
  context_length: 512,
  num_blocks: 7,
  embedding_dim: 128,
  slstm_at: [4, 1],
};

const message = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(XlstmError);
    expect((error as XlstmError).code).toBe('config');
    return (error as XlstmError).message;
  }
  throw new Error('no error was thrown');
};

const divisors = (n: number): number[] =>
  Array.from({ length: n }, (_, k) => k + 1).filter((k) => n % k === 0);

const configs: fc.Arbitrary<LanguageModelConfig> = fc
  .record({
    embeddingDim: fc.integer({ min: 1, max: 300 }),
    numBlocks: fc.integer({ min: 1, max: 12 }),
    projFactor: fc.double({ min: 0.5, max: 4, noNaN: true }),
    multiple: fc.constantFrom(1, 8, 64),
  })
  .chain(({ embeddingDim, numBlocks, projFactor, multiple }) => {
    const inner = Math.ceil((projFactor * embeddingDim) / multiple) * multiple;
    const someBlocks = fc.uniqueArray(fc.nat(numBlocks - 1), { maxLength: numBlocks });
    const rate = fc.double({ min: 0, max: 0.9, noNaN: true });
    return fc
      .record({
        vocabSize: fc.integer({ min: 1, max: 100_000 }),
        slstmAt: fc.oneof(fc.constant('all' as const), someBlocks),
        contextLength: fc.integer({ min: 1, max: 10_000 }),
        tieWeights: fc.boolean(),
        dropout: rate,
        bias: fc.boolean(),
        weightDecayOnEmbedding: fc.boolean(),
        addEmbeddingDropout: fc.boolean(),
        addPostBlocksNorm: fc.boolean(),
        mlstm: fc.record({
          numHeads: fc.constantFrom(...divisors(inner)),
          qkvProjBlocksize: fc.constantFrom(...divisors(inner)),
          conv1dKernelSize: fc.integer({ min: 2, max: 8 }),
        }),
        slstm: fc.record({
          numHeads: fc.constantFrom(...divisors(embeddingDim)),
          conv1dKernelSize: fc.constantFrom(0, 2, 3, 4, 8),
          function: fc.constantFrom('slstm' as const, 'lstm' as const),
          forgetGate: fc.constantFrom('sigmoid' as const, 'exponential' as const),
          biasInit: fc.constantFrom(
            'powerlaw_blockdependent' as const,
            'small_init' as const,
            'standard' as const,
          ),
          recurrentWeightInit: fc.constantFrom('zeros' as const, 'standard' as const),
          groupNormWeight: fc.boolean(),
          gradientRecurrentCut: fc.boolean(),
          gradientRecurrentClipval: fc.oneof(
            fc.constant(null),
            fc.double({ min: 1e-3, max: 10, noNaN: true }),
          ),
          feedforward: fc.record({
            projFactor: fc.double({ min: 0.5, max: 4, noNaN: true }),
            roundProjUpToMultipleOf: fc.constantFrom(1, 8, 64),
            actFn: fc.constantFrom(...activationNames),
            bias: fc.boolean(),
            dropout: rate,
          }),
        }),
      })
      .map(({ mlstm, ...rest }) =>
        languageModelConfig({
          ...rest,
          embeddingDim,
          numBlocks,
          mlstm: { ...mlstm, projFactor, roundProjUpToMultipleOf: multiple },
        }),
      );
  });

describe('parseConfig', () => {
  it('reads the flat layout', () => {
    const config = parseConfig(golden, 'lm_mixed');
    expect(config.vocabSize).toBe(61);
    expect(config.slstmAt).toEqual([1, 3]);
    expect(config.mlstm).toEqual({
      numHeads: 2,
      projFactor: 2,
      roundProjUpToMultipleOf: 64,
      conv1dKernelSize: 4,
      qkvProjBlocksize: 4,
    });
    expect(config.slstm.numHeads).toBe(2);
    expect(config.slstm.biasInit).toBe('powerlaw_blockdependent');
    expect(config.slstm.feedforward).toEqual({
      projFactor: 1.3,
      roundProjUpToMultipleOf: 64,
      actFn: 'gelu',
      bias: false,
      dropout: 0,
    });
    expect(mlstmInnerDim(config)).toBe(128);
    expect(feedForwardDim(config)).toBe(64);
    expect([0, 1, 2, 3].map((block) => isSlstmBlock(config, block))).toEqual([false, true, false, true]);
    expect(parseConfig({ ...golden, slstm_at: 'all' }, 'x').slstmAt).toBe('all');
  });

  it('reads the official layout', () => {
    const config = parseConfig(official, 'config.json');
    expect(config.mlstm.numHeads).toBe(2);
    expect(config.slstm.numHeads).toBe(8);
    expect(config.slstm.conv1dKernelSize).toBe(0);
    expect(config.slstm.biasInit).toBe('small_init');
    expect(config.slstm.feedforward.projFactor).toBe(1.5);
    expect(config.slstm.feedforward.actFn).toBe('relu^2');
    expect(config.slstmAt).toEqual([1, 4]);
    expect(config.addPostBlocksNorm).toBe(true);
    expect(feedForwardDim(config)).toBe(192);
  });

  it('reads a file that the official code wrote with every key', () => {
    const written = {
      ...official,
      _block_map: '0,1,0,0,1,0,0',
      mlstm_block: {
        _num_blocks: 7,
        _block_idx: null,
        mlstm: {
          ...official.mlstm_block.mlstm,
          proj_factor: 2.0,
          embedding_dim: 128,
          bias: false,
          dropout: 0.0,
          context_length: 512,
          round_proj_up_dim_up: true,
          round_proj_up_to_multiple_of: 64,
          _proj_up_dim: 256,
          _num_blocks: 7,
          _inner_embedding_dim: 256,
        },
      },
      slstm_block: {
        ...official.slstm_block,
        _num_blocks: 7,
        slstm: {
          ...official.slstm_block.slstm,
          hidden_size: 128,
          embedding_dim: 128,
          num_states: 4,
          num_gates: 4,
          function: 'slstm',
          forward_clipval: null,
          gradient_recurrent_clipval: null,
          initial_val: 0.0,
          dtype: 'bfloat16',
          dtype_a: null,
        },
      },
    };
    expect(parseConfig(written, 'config.json')).toEqual(parseConfig(official, 'config.json'));
  });

  it('follows the official rule: without mLSTM blocks every block is an sLSTM', () => {
    const { mlstm_block: _, ...rest } = official;
    expect(parseConfig({ ...rest, slstm_at: [] }, 'x').slstmAt).toBe('all');
    expect(parseConfig({ ...rest, slstm_at: undefined }, 'x').slstmAt).toBe('all');
    expect(message(() => parseConfig(rest, 'x'))).toMatch(/^x: mlstm_block: expected .* \[4, 1\]/);
    const { slstm_block: __, ...noSlstm } = official;
    expect(parseConfig({ ...noSlstm, slstm_at: [] }, 'x').slstmAt).toEqual([]);
    expect(message(() => parseConfig(noSlstm, 'x'))).toMatch(/^x: slstm_block: expected/);
    expect(message(() => parseConfig({ vocab_size: 3, mlstm_block: null }, 'x'))).toMatch(
      /^x: slstm_block: expected/,
    );
  });

  it('says 256 for an official context length of -1', () => {
    expect(parseConfig({ ...official, context_length: -1 }, 'x').contextLength).toBe(256);
  });

  it.each<[string, unknown, RegExp]>([
    ['not an object', [], /^c.json: expected an object, found \[\]/],
    ['missing', { num_blocks: 1 }, /^c.json: vocab_size: expected a whole number above 0, found nothing/],
    ['zero', { ...golden, vocab_size: 0 }, /^c.json: vocab_size: expected a whole number above 0, found 0/],
    ['negative', { ...golden, num_blocks: -2 }, /num_blocks: expected .*, found -2/],
    ['fractional', { ...golden, embedding_dim: 4.5 }, /embedding_dim: expected .*, found 4.5/],
    ['text', { ...golden, embedding_dim: '48' }, /embedding_dim: expected .*, found "48"/],
    ['null', { ...golden, bias: null }, /bias: expected true or false, found null/],
    ['not finite', { ...golden, mlstm_proj_factor: Number.POSITIVE_INFINITY }, /factor: .*, found Infinity/],
    ['dropout', { ...golden, dropout: 1 }, /dropout: expected a fraction .*, found 1/],
    [
      'conv',
      { ...golden, conv1d_kernel_size: 0 },
      /conv1d_kernel_size: expected a whole number from 2 to 1024, found 0/,
    ],
    ['block beyond', { ...golden, slstm_at: [1, 4] }, /slstm_at: expected blocks from 0 to 3 .*, found 4/],
    ['block twice', { ...golden, slstm_at: [1, 1] }, /slstm_at: expected each block once, found \[1, 1\]/],
    ['block negative', { ...golden, slstm_at: [-1] }, /slstm_at: expected a list of block .*, found \[-1\]/],
    [
      'heads',
      { ...golden, num_heads: 3 },
      /^c.json: num_heads: expected a divisor of .* mLSTM blocks, 128, found 3/,
    ],
    [
      'blocksize',
      { ...golden, qkv_proj_blocksize: 5 },
      /qkv_proj_blocksize: expected a divisor .* 128, found 5/,
    ],
    [
      'slstm heads',
      { ...golden, slstm_at: 'all', num_heads: 5 },
      /num_heads: expected a divisor .* 48, found 5/,
    ],
    ['act', { ...golden, slstm_ffn_act: 'tanh' }, /slstm_ffn_act: expected one of "gelu", .*, found "tanh"/],
    ['unknown', { ...golden, num_head: 2 }, /^c.json: num_head: unknown key/],
    ['inherited name', { ...golden, constructor: 2 }, /^c.json: constructor: unknown key/],
    ['flat key in nested', { ...official, num_heads: 2 }, /num_heads: unknown key/],
    [
      'nested unknown',
      { ...official, mlstm_block: { mlstm: { heads: 3 } } },
      /^c.json: mlstm_block.mlstm.heads: unknown key/,
    ],
    [
      'nested heads',
      { ...official, slstm_block: { slstm: { num_heads: 3 } } },
      /^c.json: slstm_block.slstm.num_heads: expected a divisor of the embedding width, 128, found 3/,
    ],
    ['list for object', { ...official, mlstm_block: [] }, /mlstm_block: expected an object, found \[\]/],
    [
      'no feedforward',
      { ...official, slstm_block: { feedforward: null } },
      /slstm_block.feedforward: expected an object, found null/,
    ],
    [
      'inherited value',
      { ...official, mlstm_block: { mlstm: { embedding_dim: 64 } } },
      /mlstm_block.mlstm.embedding_dim: expected the value of embedding_dim.* \(128\), found 64/,
    ],
    [
      'other feedforward',
      { ...official, slstm_block: { feedforward: { ff_type: 'ffn' } } },
      /slstm_block.feedforward.ff_type: expected "ffn_gated", found "ffn"/,
    ],
  ])('refuses %s', (_, file, pattern) => {
    expect(message(() => parseConfig(file, 'c.json'))).toMatch(pattern);
  });

  it('names the known keys beside an unknown one', () => {
    try {
      parseConfig({ ...official, mlstm_block: { mlstm: { heads: 3 } } }, 'c.json');
      throw new Error('no error was thrown');
    } catch (error) {
      expect((error as XlstmError).hint).toMatch(/^known here: num_heads, proj_factor/);
    }
  });

  it('never throws anything but a config error, whatever the file says', () => {
    const key = fc.constantFrom(
      ...Object.keys(golden),
      ...Object.keys(official),
      'mlstm',
      'slstm',
      'feedforward',
      '__proto__',
    );
    const anything = fc.anything({
      key,
      maxDepth: 3,
      values: [fc.integer(), fc.constantFrom('all', null, 4, [1], true)],
    });
    fc.assert(
      fc.property(anything, fc.boolean(), (noise, mixed) => {
        const file = mixed && typeof noise === 'object' ? { ...official, ...noise } : noise;
        try {
          parseConfig(file, 'c.json');
        } catch (error) {
          expect(error).toBeInstanceOf(XlstmError);
          expect((error as XlstmError).code).toBe('config');
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('formatConfig', () => {
  it('is read back to the same configuration', () => {
    fc.assert(
      fc.property(configs, (config) => {
        expect(parseConfig(JSON.parse(JSON.stringify(formatConfig(config))), 'x')).toEqual(config);
      }),
    );
  });

  it('writes the official spelling, and nothing else for a model that the official package knows', () => {
    const file = formatConfig(parseConfig(golden, 'x'));
    expect(file.embedding_dim).toBe(48);
    expect(file.slstm_block).toEqual({
      slstm: {
        num_heads: 2,
        conv1d_kernel_size: 4,
        function: 'slstm',
        bias_init: 'powerlaw_blockdependent',
        recurrent_weight_init: 'zeros',
        group_norm_weight: true,
        gradient_recurrent_cut: false,
        gradient_recurrent_clipval: null,
      },
      feedforward: {
        proj_factor: 1.3,
        round_proj_up_to_multiple_of: 64,
        act_fn: 'gelu',
        bias: false,
        dropout: 0,
      },
    });
  });
});

describe('languageModelConfig', () => {
  it('needs the vocabulary alone, and gives heads to both kinds of block', () => {
    expect(languageModelConfig({ vocabSize: 256 })).toEqual(parseConfig({ vocab_size: 256 }, 'x'));
    const config = languageModelConfig({ vocabSize: 256, numHeads: 2, slstm: { numHeads: 8 } });
    expect([config.mlstm.numHeads, config.slstm.numHeads]).toEqual([2, 8]);
  });

  it('spells errors as options', () => {
    expect(message(() => languageModelConfig({ vocabSize: 2, numHeads: 3 }))).toBe(
      'model configuration: numHeads: expected a divisor of the inner width of the mLSTM blocks, 256, found 3',
    );
    expect(message(() => languageModelConfig({ vocabSize: 2, mlstm: { numHeads: 3 } }))).toMatch(
      /: mlstm.numHeads: /,
    );
    expect(message(() => languageModelConfig({ vocabSize: 2, slstm: { conv1dKernelSize: -1 } }))).toMatch(
      /slstm.conv1dKernelSize: expected 0 \(no convolution\) or a whole number from 2 to 1024, found -1/,
    );
  });

  it('does not look at parts that no block uses', () => {
    const options = { vocabSize: 2, embeddingDim: 6, numBlocks: 2, numHeads: 4 };
    expect(languageModelConfig({ ...options, slstmAt: [] }).slstm.numHeads).toBe(4);
    expect(message(() => languageModelConfig({ ...options, slstmAt: [1] }))).toMatch(
      /embedding width, 6, found 4/,
    );
  });
});

describe('blocksFromNotation', () => {
  it.each<[string, number, readonly number[] | 'all']>([
    ['xLSTM[7:1]', 8, [1]],
    ['xLSTM[7:1]', 16, [1, 9]],
    ['xLSTM[1:1]', 6, [1, 3, 5]],
    ['[1:0]', 4, []],
    ['xLSTM[0:1]', 4, 'all'],
    ['1:2', 6, [1, 2, 4, 5]],
    ['xlstm [3:1]', 4, [1]],
  ])('%s in %d blocks: %j', (notation, blocks, expected) => {
    expect(blocksFromNotation(notation, blocks)).toEqual(expected);
  });

  it('keeps the ratio', () => {
    fc.assert(
      fc.property(fc.nat(9), fc.nat(9), fc.integer({ min: 1, max: 5 }), (a, b, groups) => {
        fc.pre(a + b > 0);
        const at = blocksFromNotation(`xLSTM[${a}:${b}]`, (a + b) * groups);
        expect(at === 'all' ? (a + b) * groups : at.length).toBe(b * groups);
      }),
    );
  });

  it.each([
    ['xLSTM[7]', 8, /ratio .* found "xLSTM\[7\]"/],
    ['[7:1', 8, /ratio/],
    ['xLSTM[0:0]', 8, /ratio/],
    ['xLSTM[-1:1]', 8, /ratio/],
    ['', 8, /ratio/],
    ['xLSTM[7:1]', 12, /groups of 8 blocks, found 12/],
    ['xLSTM[7:1]', 0, /number of blocks: .* found 0/],
  ])('refuses %s in %d blocks', (notation, blocks, pattern) => {
    expect(message(() => blocksFromNotation(notation, blocks))).toMatch(pattern);
  });
});

describe('values that no model can be built with', () => {
  type File = Record<string, Record<string, Record<string, unknown>>>;
  it.each<[string, (file: File) => void, RegExp]>([
    [
      'a billion blocks',
      (f) => Object.assign(f, { num_blocks: 1e9 }),
      /num_blocks: expected .*4096.*found 1000000000/,
    ],
    [
      'a vocabulary of 2^53 − 1',
      (f) => Object.assign(f, { vocab_size: 2 ** 53 - 1 }),
      /vocab_size: expected at most/,
    ],
    [
      'one tap',
      (f) => Object.assign(f.mlstm_block.mlstm, { conv1d_kernel_size: 1 }),
      /conv1d_kernel_size: expected a whole number from 2 to 1024, found 1/,
    ],
    [
      '5,000 taps',
      (f) => Object.assign(f.mlstm_block.mlstm, { conv1d_kernel_size: 5000 }),
      /conv1d_kernel_size: expected .*1024, found 5000/,
    ],
    [
      'one tap of an sLSTM',
      (f) => Object.assign(f.slstm_block.slstm, { conv1d_kernel_size: 1 }),
      /conv1d_kernel_size: expected 0 \(no convolution\) or .*found 1/,
    ],
    [
      'no feed-forward',
      (f) => Object.assign(f.slstm_block, { feedforward: null }),
      /slstm_block\.feedforward: expected an object, found null/,
    ],
    [
      'no settings of a layer',
      (f) => Object.assign(f.slstm_block, { slstm: null }),
      /slstm_block\.slstm: expected an object, found null/,
    ],
    [
      'a context of no tokens',
      (f) => Object.assign(f, { context_length: 0 }),
      /context_length: expected a whole number above 0, found 0/,
    ],
  ])('%s', (_, change, expected) => {
    const options = { vocabSize: 11, embeddingDim: 16, numBlocks: 2, slstmAt: [1], numHeads: 2 };
    const file = formatConfig(languageModelConfig(options)) as File;
    change(file);
    expect(() => parseConfig(file, 'config.json')).toThrow(expected);
  });
});
