import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import { ByteTokenizer } from '../data/tokenizer.ts';
import { createModel } from '../models/create_model.ts';
import type { AdapterOptions } from '../nn/adapter.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import type { LanguageModel } from '../nn/layer.ts';
import { mergeAdapter } from '../nn/merge_adapter.ts';
import type { Model } from '../nn/model.ts';
import { Random } from '../random.ts';
import { Evaluator } from '../training/evaluate.ts';
import { loadAdapter, loadCheckpoint, loadTokenizer, saveCheckpoint } from './checkpoint_folder.ts';
import { parseSafetensors, writeSafetensors } from './safetensors.ts';

const engine = createReferenceEngine();
const config = {
  architecture: 'xlstm-large',
  vocabSize: 256,
  embeddingDim: 64,
  numBlocks: 1,
  numHeads: 2,
} as const;
const random = new Random(5);
let folder = '';
const path = (...names: string[]): string => join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-adapter-'));
  const tokenizer = new ByteTokenizer();
  const save = (name: string, seed: number) =>
    saveCheckpoint(path(name), { model: createModel(engine, config, { seed }), tokenizer });
  await save('base', 1);
  await save('other', 2);
  using small = (await loadCheckpoint(engine, path('base'), { packing: 'q8' })).model;
  await saveCheckpoint(path('small'), { model: small, tokenizer });
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await engine.close();
});

/** A base with new adapters whose B is not 0. */
async function adapted(base: string, options: AdapterOptions): Promise<Model<LanguageModel>> {
  const adapter = { ...options, base: path(base), source: 'the test' };
  const { model } = await loadCheckpoint(engine, path(base), { adapter: { adapter, values: { seed: 3 } } });
  const values = await model.read();
  for (const { up } of model.parameters.adapted) {
    const { shape } = values.get(up) ?? { shape: [] };
    const numbers = Float32Array.from({ length: shape[0] * shape[1] }, () => random.uniform(-0.2, 0.2));
    values.set(up, { shape, values: numbers });
  }
  model.write(values, 'the test');
  return model as Model<LanguageModel>;
}

async function lossOf(model: Model): Promise<number> {
  using evaluator = new Evaluator(model, { lanes: 1, length: 32 });
  const tokens = Array.from({ length: 33 }, (_, i) => (7 * i) % 256);
  return (await evaluator.runBatches([{ tokens: tokens.slice(0, 32), targets: tokens.slice(1) }])).loss;
}

/** Another one of the same files, in which one thing is other. */
async function changed(name: string, change: (config: Record<string, unknown>) => void): Promise<string> {
  await cp(path('adapter'), path(name), { recursive: true });
  const file = path(name, 'adapter_config.json');
  const json = JSON.parse(await readFile(file, 'utf8'));
  change(json);
  await writeFile(file, JSON.stringify(json));
  return path(name);
}

async function withTensors(
  name: string,
  change: (tensors: Map<string, { shape: readonly number[]; data: Float32Array }>) => void,
): Promise<string> {
  await cp(path('adapter'), path(name), { recursive: true });
  const file = path(name, 'adapter_model.safetensors');
  const { tensors, metadata } = parseSafetensors(await readFile(file));
  const entries = new Map([...tensors].map(([key, t]) => [key, { shape: t.shape, data: t.read() }]));
  change(entries);
  await writeFile(file, writeSafetensors(entries, metadata));
  return path(name);
}

const options = { rank: 4, alpha: 6, targets: ['q', 'proj_down'] };
const A = 'base_model.model.backbone.blocks.0.mlstm_layer.q.lora_A.weight';

beforeAll(async () => {
  using model = await adapted('base', options);
  await saveCheckpoint(path('adapter'), { model });
});

describe('files of an adapter', () => {
  it('are those of PEFT: names, shapes and keys', async () => {
    expect(JSON.parse(await readFile(path('adapter', 'adapter_config.json'), 'utf8'))).toEqual({
      base_model_name_or_path: path('base'),
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      r: 4,
      lora_alpha: 6,
      lora_dropout: 0,
      target_modules: ['q', 'proj_down'],
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      modules_to_save: null,
    });
    const { tensors, metadata } = parseSafetensors(await readFile(path('adapter/adapter_model.safetensors')));
    const block = 'base_model.model.backbone.blocks.0';
    expect([...tensors].map(([name, { shape, dtype }]) => [name, shape, dtype])).toEqual([
      [`${block}.mlstm_layer.q.lora_A.weight`, [4, 64], 'F32'],
      [`${block}.mlstm_layer.q.lora_B.weight`, [32, 4], 'F32'],
      [`${block}.ffn.proj_down.lora_A.weight`, [4, 192], 'F32'],
      [`${block}.ffn.proj_down.lora_B.weight`, [64, 4], 'F32'],
    ]);
    const { model } = await loadCheckpoint(engine, path('base'));
    expect(metadata).toEqual({ format: 'pt', base_fingerprint: await modelFingerprint(model) });
  });

  it.each([
    ['base', undefined],
    ['small', 'q8'],
  ] as const)('give the model back over %s, with its tokenizer', async (base, packing?: PackedFormat) => {
    using model = await adapted(base, { rank: 2, alpha: 4 });
    const name = `over-${base}`;
    await saveCheckpoint(path(name), { model });
    const again = await loadCheckpoint(engine, path(name));
    expect(again.model.design?.packing).toBe(packing);
    expect(await lossOf(again.model as Model)).toBeCloseTo(await lossOf(model), 7); // saved as float32
    expect(await lossOf(model)).not.toBe(
      await lossOf((await loadCheckpoint(engine, path(base))).model as Model),
    );
    expect(again.tokenizer?.vocabSize).toBe(256);
    expect((await loadTokenizer(path(name))).vocabSize).toBe(256);
    // Every matrix is named, and no other has an adapter.
    await saveCheckpoint(path('again'), again);
    expect(parseSafetensors(await readFile(path('again/adapter_model.safetensors'))).tensors.size).toBe(
      model.parameters.added.length,
    );
  });

  it('take the place of a model in its folder, and a model theirs', async () => {
    using plain = createModel(engine, config, { seed: 1 });
    using model = await adapted('base', options);
    await saveCheckpoint(path('place'), { model: plain });
    await saveCheckpoint(path('place'), { model });
    expect((await loadCheckpoint(engine, path('place'))).model.parameters.added).toHaveLength(4);
    await saveCheckpoint(path('place'), { model: plain });
    expect((await loadCheckpoint(engine, path('place'))).model.parameters.added).toHaveLength(0);
  });

  it.each(['base', 'small'])('are merged into %s: the same logits', async (base) => {
    using model = await adapted(base, { rank: 3, alpha: 5 });
    using merged = await mergeAdapter(model);
    expect(merged.parameters.packed.bytes + merged.parameters.added.length).toBe(0);
    const tokens = Array.from({ length: 24 }, (_, i) => (11 * i) % 256);
    const [found, expected] = [merged, model].map((each) => new Evaluator(each, { lanes: 1, length: 24 }));
    const logarithms = await expected.logProbabilities(tokens);
    (await found.logProbabilities(tokens)).forEach((value, i) => {
      expect(Math.abs(value - logarithms[i])).toBeLessThan(1e-9);
    });
    await expect(mergeAdapter(merged)).rejects.toThrow('expected a model with adapters, found one without');
  });

  it('go with a base that is given', async () => {
    const moved = await changed('moved', (json) => Object.assign(json, { base_model_name_or_path: null }));
    const adapter = await loadAdapter(moved);
    const { model } = await loadCheckpoint(engine, path('base'), { adapter });
    const { model: found } = await loadCheckpoint(engine, path('adapter'));
    expect(await lossOf(model as Model)).toBe(await lossOf(found as Model));
    await expect(loadCheckpoint(engine, path('adapter'), { adapter })).rejects.toThrow(
      'expected a model, found an adapter, which cannot have adapters itself',
    );
  });
});

describe('files of an adapter that are refused', () => {
  const refused = async (place: string, problem: string, hint = ''): Promise<void> =>
    expect(loadCheckpoint(engine, place)).rejects.toMatchObject({
      code: 'checkpoint',
      message: expect.stringContaining(problem),
      ...(hint && { hint: expect.stringContaining(hint) }),
    });

  it.each(['other', 'small'])('of another base: %s', async (base) => {
    const place = await changed(`to-${base}`, (json) => {
      json.base_model_name_or_path = path(base);
    });
    await refused(
      place,
      `${place}/adapter_model.safetensors: base_fingerprint: expected that of ${path(base)}`,
    );
  });

  it('without a base', async () => {
    const gone = await changed('gone', (json) =>
      Object.assign(json, { base_model_name_or_path: '/nowhere' }),
    );
    const file = 'adapter_config.json: base_model_name_or_path: expected the path of the model';
    await refused(
      gone,
      `${file} that the adapter belongs to, found "/nowhere", where nothing is`,
      '--adapter',
    );
    await refused(await changed('unnamed', (json) => delete json.base_model_name_or_path), 'found none');
    await expect(loadAdapter(path('base'))).rejects.toThrow('base: expected an adapter (adapter_config.json');
  });

  it.each<[string, unknown, string]>([
    ['r', 0, 'r: expected a whole number from 1 to 65536, found 0'],
    ['r', 2 ** 20, 'r: expected a whole number from 1 to 65536, found 1048576'],
    ['r', 5, `adapter_model.safetensors: "${A}" has shape [4, 64], the configuration asks for [5, 64]`],
    ['lora_alpha', 'much', 'lora_alpha: expected a number above 0, found "much"'],
    ['target_modules', '.*q', 'target_modules: expected a list of names of matrices, found ".*q"'],
    ['target_modules', [], 'target_modules: expected a list of names of matrices, found []'],
    ['target_modules', ['q', 'proj_dwn'], 'names of this model\'s matrices, found "proj_dwn"'],
    ['target_modules', ['q'], '2 not in the model'],
    ['peft_type', 'IA3', 'peft_type: expected "LORA", found "IA3"'],
    ['peft_type', undefined, 'peft_type: expected "LORA", found nothing'],
    ['use_dora', true, 'use_dora: expected false, found true'],
    ['use_rslora', true, 'use_rslora: expected false, found true'],
    ['bias', 'all', 'bias: expected "none", found "all"'],
    ['rank_pattern', { q: 2 }, 'rank_pattern: expected {}, found {"q":2}'],
    ['alpha_pattern', { q: 2 }, 'alpha_pattern: expected {}, found {"q":2}'],
    ['fan_in_fan_out', true, 'fan_in_fan_out: expected false, found true'],
    ['lora_bias', true, 'lora_bias: expected false, found true'],
    ['layers_to_transform', [0], 'layers_to_transform: expected null, found [0]'],
    ['exclude_modules', ['q'], 'exclude_modules: expected null, found ["q"]'],
    ['target_parameters', ['q'], 'target_parameters: expected null, found ["q"]'],
    ['trainable_token_indices', [1], 'trainable_token_indices: expected null, found [1]'],
    ['layer_replication', 'all', 'layer_replication: expected null, found "all"'],
    ['use_qalora', true, 'use_qalora: expected false, found true'],
    ['use_bdlora', { size: 2 }, 'use_bdlora: expected null, found {"size":2}'],
    ['arrow_config', {}, 'arrow_config: expected null, found {}'],
    ['alora_invocation_tokens', [1], 'alora_invocation_tokens: expected null, found [1]'],
    ['init_lora_weights', 'pissa', 'init_lora_weights: expected true, found "pissa"'],
    ['base_model_name_or_path', 7, 'base_model_name_or_path: expected a path, found 7'],
    ['modules_to_save', ['lm_head'], 'modules_to_save: expected null, found ["lm_head"]'],
  ])('with %s = %j', async (key, value, problem) => {
    const place = await changed(`${key}-${JSON.stringify(value)}`.replace(/\W/g, '_'), (json) =>
      Object.assign(json, { [key]: value }),
    );
    await refused(place, problem, problem.includes('proj_dwn') ? 'Near are proj_down' : '');
  });

  it('with tensors that are missing, no numbers or not whole', async () => {
    const missing = await withTensors('missing', (tensors) => tensors.delete(A));
    await refused(missing, `${missing}/adapter_model.safetensors: its tensors do not fit`);
    const broken = await withTensors('broken', (tensors) => {
      const { data } = tensors.get(A) ?? { data: [] };
      data[9] = Number.NaN;
    });
    await refused(
      broken,
      `adapter_model.safetensors: "${A}": position 9: expected a finite number, found NaN`,
    );
    await writeFile(join(missing, 'adapter_model.safetensors'), 'short');
    await refused(missing, 'adapter_model.safetensors');
    await rm(join(missing, 'adapter_model.safetensors'));
    await refused(missing, 'adapter_model.safetensors: there is no such file');
    await writeFile(join(missing, 'adapter_config.json'), '[]');
    await refused(missing, 'adapter_config.json: expected an object, found []');
  });
});
