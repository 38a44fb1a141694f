import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../checkpoints/safetensors.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { type NamedValues, Parameters, Scope } from '../../nn/parameters.ts';
import { Random } from '../../random.ts';
import { encodeModel, loadModel } from '../../saved/model_files.ts';
import { Trainer } from '../../training/trainer.ts';
import { createModel } from '../create_model.ts';
import { readDesign } from '../registry.ts';
import { formatLargeConfig, type LargeConfig, parseLargeConfig, qkDim, vDim } from './config.ts';
import { LARGE_PRESETS } from './presets.ts';
import { parametersOf, tensorsOf } from './tensors.ts';

const engine = createReferenceEngine();
const architecture = 'xlstm-large';
const golden = (path: string): URL => new URL(`../../../test/golden/${path}`, import.meta.url);
const goldenConfig = (folder: string): Record<string, unknown> =>
  JSON.parse(readFileSync(golden(`${folder}/config.json`), 'utf8'));

const small = {
  vocabSize: 7,
  embeddingDim: 4,
  numBlocks: 2,
  numHeads: 2,
  ffnRoundUpToMultipleOf: 2,
  useBias: true,
} as const;

describe('gradients of xLSTM Large', () => {
  it.each([
    ['as it is', {}],
    [
      'without caps, tied, without the last norm',
      { gateSoftCap: null, outputLogitSoftCap: null, tieWeights: true, addOutNorm: false },
    ],
  ] as const)('are those of central differences: %s', async (_, options) => {
    const model = createModel(engine, { architecture, ...small, ...options });
    const random = new Random(3);
    const parameters = await model.read();
    const values = new Map(
      [...parameters].map(([name, { shape, values }]) => [
        name,
        { shape, values: Float64Array.from(values, (value) => value / 4 + 0.4 * random.normal()) },
      ]),
    );
    const trainer = new Trainer(model, { batchSize: 2, length: 5 });
    const tokens = Float32Array.from({ length: 10 }, () => random.integer(7));
    const targets = Float32Array.from({ length: 10 }, () => random.integer(7));
    const lossAt = async (): Promise<number> => {
      model.write(values, 'the test');
      return (await trainer.computeGradients({ tokens, targets })).loss;
    };
    await lossAt();
    const gradients = new Map<string, ArrayLike<number>>();
    for (const memory of trainer.gradients) {
      for (const { name } of memory.region.entries) gradients.set(name, await memory.read(name));
    }
    expect([...gradients.keys()].sort()).toEqual([...values.keys()].sort());
    const step = 1e-5;
    for (const [name, { values: array }] of values) {
      for (let i = 0; i < array.length; i++) {
        const before = array[i];
        array[i] = before + step;
        const above = await lossAt();
        array[i] = before - step;
        const below = await lossAt();
        array[i] = before;
        const difference = (above - below) / (2 * step);
        expect((gradients.get(name) as ArrayLike<number>)[i], `${name} ${i}`).toBeCloseTo(difference, 7);
      }
    }
  });

  it('train: the loss of a text falls', async () => {
    const model = createModel(engine, {
      architecture,
      vocabSize: 5,
      embeddingDim: 16,
      numBlocks: 1,
      numHeads: 2,
    });
    const trainer = new Trainer(model, { batchSize: 1, length: 16 });
    const tokens = Array.from({ length: 16 }, (_, i) => i % 5);
    const targets = tokens.map((token) => (token + 1) % 5);
    const losses: number[] = [];
    for (let i = 0; i < 40; i++) losses.push((await trainer.step([{ tokens, targets }], 1e-2)).loss);
    expect(losses[0]).toBeGreaterThan(1.3);
    expect(losses[39]).toBeLessThan(0.3);
  });
});

describe('initial values', () => {
  it('are those of the published models: closed input gates, forget gates from 3 to 6, nothing from gate inputs', async () => {
    const parameters = await createModel(engine, {
      architecture,
      vocabSize: 64,
      embeddingDim: 256,
      numBlocks: 2,
      numHeads: 4,
    }).read();
    const of = (name: string): number[] => Array.from((parameters.get(name) as NamedValues).values);
    const layer = 'backbone.blocks.1.mlstm_layer';
    expect(of(`${layer}.igate_preact.bias`)).toEqual([-10, -10, -10, -10]);
    expect(of(`${layer}.fgate_preact.bias`)).toEqual([3, 4, 5, 6]);
    for (const gate of ['igate_preact', 'fgate_preact', 'ogate_preact']) {
      expect(of(`${layer}.${gate}.weight`).every((value) => value === 0)).toBe(true);
    }
    expect(of(`${layer}.multihead_norm.weight`).every((value) => value === 1)).toBe(true);
    const deviation = (values: number[]): number =>
      Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    expect(deviation(of(`${layer}.q.weight`)) / Math.sqrt(2 / (5 * 256))).toBeCloseTo(1, 1);
    expect(deviation(of('backbone.blocks.0.ffn.proj_up_gate.weight')) / Math.sqrt(2 / (5 * 256))).toBeCloseTo(
      1,
      1,
    );
    expect(deviation(of('backbone.blocks.0.ffn.proj_down.weight')) / (2 / (2 * Math.sqrt(256)))).toBeCloseTo(
      1,
      1,
    );
  });
});

describe('configurations of xLSTM Large', () => {
  it('are recognised in the files of transformers and of the official package', () => {
    for (const folder of ['large_tiny', 'large_sharded']) {
      expect(readDesign(goldenConfig(folder), folder).architecture.name).toBe(architecture);
    }
    const {
      hidden_size,
      num_hidden_layers,
      model_type,
      architectures,
      embedding_dim,
      num_blocks,
      ...others
    } = goldenConfig('large_tiny');
    const official = readDesign({ ...others, embedding_dim, num_blocks }, 'official').config;
    expect(official).toEqual(readDesign(goldenConfig('large_tiny'), 'large_tiny').config);
    expect(official).toMatchObject({ embeddingDim: 64, numBlocks: 2, eosTokenIds: [2], bosTokenId: 0 });
    expect(readDesign(goldenConfig('large_sharded'), 'sharded').config).toMatchObject({
      eosTokenIds: [2, 3],
    });
  });

  it('are read as the checkpoints of the scaling laws spell them, with the published number of parameters', () => {
    // 164.11 M, of context 8192: keys of the official package beside settings of its training.
    const file = {
      ...{ vocab_size: 50304, embedding_dim: 768, num_blocks: 12, num_heads: 6, ffn_proj_factor: 2.75 },
      ...{
        qk_dim_factor: 0.5,
        v_dim_factor: 1.0,
        use_bias: false,
        add_out_norm: true,
        norm_eps: 1e-6,
        eps: 1e-6,
      },
      ...{ gate_soft_cap: 15.0, output_logit_soft_cap: 30.0, ffn_round_up_to_multiple_of: 64 },
      ...{
        weight_mode: 'single',
        mode: 'train',
        chunk_size: 64,
        return_last_states: true,
        context_length: 8192,
      },
      ...{ chunkwise_kernel: 'chunkwise--triton_xl_chunk', autocast_kernel_dtype: 'bfloat16' },
      ...{ bos_token_id: 0, eos_token_id: 2, pad_token_id: 1, norm_reduction_force_float32: true },
    };
    const design = readDesign(file, 'config.json');
    expect(design.architecture.name).toBe(architecture);
    expect(design.config).toEqual(
      readDesign({ architecture, ...LARGE_PRESETS['xlstm-164m'] }, 'preset').config,
    );
    const parameters = new Parameters();
    design.build(new Scope(parameters));
    expect(parameters.count).toBe(164_110_224);
  });

  it('have the keys that transformers writes', () => {
    const file = goldenConfig('large_sharded');
    const written = formatLargeConfig(parseLargeConfig(file, 'sharded'));
    expect({ ...written, dtype: 'bfloat16' }).toEqual(file);
  });

  it('have the sizes of the published models', () => {
    const config = parseLargeConfig(
      { vocab_size: 50304, hidden_size: 4096, num_hidden_layers: 32, num_heads: 8, ffn_proj_factor: 2.667 },
      '7B',
    );
    expect([qkDim(config), vDim(config)]).toEqual([2048, 4096]);
    const count = (options: Partial<LargeConfig>): number => {
      const { vocabSize: v, embeddingDim: d, numBlocks, numHeads: h } = { ...config, ...options };
      const inner = Math.ceil(Math.floor(d * 2.667) / 64) * 64;
      return 2 * v * d + numBlocks * (3 * d * d + 2 * (d * h + h) + d * d + d + 3 * d * inner + 2 * d) + d;
    };
    expect(count({})).toBe(6_865_424_896);
    const published = { vocabSize: 50304, embeddingDim: 512, numBlocks: 10, numHeads: 4 };
    expect(count(published)).toBe(83_680_848);
    const parameters = new Parameters();
    readDesign({ architecture, ...published }, 'the test').build(new Scope(parameters));
    expect(parameters.count).toBe(83_680_848);
  });

  it.each([
    [
      'both spellings that differ',
      { hidden_size: 64, embedding_dim: 32 },
      'embedding_dim: expected the value of hidden_size',
    ],
    [
      'heads that do not divide',
      { hidden_size: 64, num_heads: 5 },
      'qk_dim_factor: expected a width of 32 .* multiple of 5 heads',
    ],
    ['no vocabulary', { vocab_size: null }, 'vocab_size: expected .* found nothing'],
    [
      'a token beyond the vocabulary',
      { eos_token_id: [2, 97] },
      'eos_token_id: expected numbers below the vocabulary',
    ],
    ['a text for a number', { norm_eps: '1e-6' }, 'norm_eps: expected a number above 0'],
    [
      'quantized weights',
      { quantization_config: { bits: 4 } },
      'quantization_config: expected weights as numbers',
    ],
    ['an unknown mode', { weight_mode: 'both' }, 'weight_mode: expected one of "single", "fused"'],
  ])('are refused with the key: %s', (_, keys, message) => {
    const file = { ...goldenConfig('large_tiny'), embedding_dim: undefined, num_blocks: undefined, ...keys };
    expect(() => parseLargeConfig(file, 'config.json')).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringMatching(`^config.json: ${message}`) }),
    );
  });
});

describe('tensors of xLSTM Large', () => {
  const config = parseLargeConfig({ ...small, weightMode: 'fused' }, 'the test');
  const plain = (tensors: ReadonlyMap<string, NamedValues>) =>
    new Map(
      [...tensors].map(([name, { shape, values }]) => [name, { shape, values: Float32Array.from(values) }]),
    );

  it('are stored one by one or fused, under either name of the embedding', async () => {
    const parameters = await createModel(engine, { architecture, ...small }).read();
    const fused = tensorsOf(parameters, config);
    const layer = 'backbone.blocks.0.mlstm_layer';
    expect(fused.get(`${layer}.qkv_opreact.weight`)?.shape).toEqual([12, 4]);
    expect(fused.get(`${layer}.ifgate_preact.bias`)?.shape).toEqual([4]);
    expect(fused.get('backbone.blocks.1.ffn.proj_up_gate_z.weight')?.shape).toEqual([20, 4]);
    expect([...fused.keys()].some((name) => /\.(q|v|proj_up)\./.test(name))).toBe(false);
    expect(plain(parametersOf(fused, config))).toEqual(plain(parameters));
    const official = new Map(fused);
    official.set('embedding.weight', official.get('backbone.embeddings.weight') as NamedValues);
    official.delete('backbone.embeddings.weight');
    expect(plain(parametersOf(official, config))).toEqual(plain(parameters));
  });

  it('of a saved model have the names, shapes and types of those that transformers writes', async () => {
    const model = createModel(engine, {
      architecture,
      vocabSize: 97,
      embeddingDim: 64,
      numBlocks: 2,
      numHeads: 4,
    });
    const files = await encodeModel(model);
    const ours = parseSafetensors(files.get('model.safetensors') as Uint8Array);
    const theirs = parseSafetensors(readFileSync(golden('large_tiny/model.safetensors')));
    const described = ({ tensors }: typeof ours) =>
      [...tensors].map(([name, { dtype, shape }]) => `${name} ${dtype} ${shape}`).sort();
    expect(described(ours)).toEqual(described(theirs));
    const again = await loadModel({ files }, { engine });
    expect(plain(await again.model.read())).toEqual(plain(await model.read()));
  });
});
