import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { checkpointFiles, decodeCheckpoint } from '../../checkpoints/checkpoint.ts';
import { loadCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import { parseSafetensors } from '../../checkpoints/safetensors.ts';
import { pickle, tensor, torchFile } from '../../checkpoints/testing/torch.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { Model } from '../../nn/model.ts';
import { formatDesign, readDesign } from '../registry.ts';
import { formatTirex2Config, parseTirex2Config } from './config.ts';
import { Tirex2Network } from './network.ts';
import { parametersOf } from './tensors.ts';

const folder = fileURLToPath(new URL('../../../test/golden/tirex2_tiny', import.meta.url));
const engine = createReferenceEngine();
let golden: Model<Tirex2Network>;
let file: Record<string, unknown>;
beforeAll(async () => {
  file = JSON.parse(await readFile(`${folder}/config.json`, 'utf8'));
  golden = (await loadCheckpoint(engine, folder)).model as unknown as Model<Tirex2Network>;
});
afterAll(() => {
  golden.free();
  return engine.close();
});

const options = {
  patchSize: 16,
  contextLength: 256,
  futureLength: 64,
  quantiles: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
  patchHiddenDim: 128,
  outputHiddenFactor: 2,
  blocks: ['mlstm', 'slstm', 'mlstm', 'slstm'],
  embeddingDim: 64,
};

describe('the configuration of a TiRex-2', () => {
  it('is that of a file or what a program says, with defaults of the full size', () => {
    expect(readDesign(file, 'c').architecture.name).toBe('tirex2');
    expect(parseTirex2Config(file, 'c')).toEqual(parseTirex2Config(options, 'p'));
    expect(formatTirex2Config(parseTirex2Config(file, 'c'))).toEqual(file);
    const design = readDesign({ architecture: 'tirex2', ...options }, 'p');
    expect(readDesign(formatDesign(design), 'c').config).toEqual(design.config);
    const dotted = { ...file, act_func: 'torch.nn.SiLU', use_qk_norm: undefined, device: 'cuda' };
    expect(parseTirex2Config(dotted, 'c')).toEqual(parseTirex2Config(file, 'c'));
    const { scaler_cfg, ...without } = file;
    expect(parseTirex2Config(without, 'c')).toMatchObject({ arcsinh: false, binaryAware: false });
    expect(parseTirex2Config({ ...file, stack_out_norm_config: null }, 'c').outNormEps).toBeNull();
  });

  it('has as many parameters as the published model', () => {
    const { parameters } = Model.empty(engine, readDesign({ architecture: 'tirex2' }, 'p'));
    expect(parameters.count).toBe(82_501_744);
    const ofVariates = parameters.list
      .filter(({ name }) => name.includes('combination') || name.includes('variate_mixer'))
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(ofVariates).toBe(44_052_480);
  });

  it.each([
    [{ output_patch_size: 8 }, 'output_patch_size: expected 16 as input_patch_size, found 8'],
    [{ tokenizer_cfg: { input_patch_size: 16, output_patch_size: 16, input_patch_stride: 8 } }, 'stride'],
    [{ num_blocks: 3 }, 'stack_config.recipe: expected 3 as num_blocks, found 4'],
    [{ num_blocks: 1, stack_config: { recipe: ['x'], templates: {} } }, 'templates."x"'],
    [{ act_func: 'Tanh' }, 'act_func'],
    [{ future_len: 40 }, 'futureLength: expected a multiple of patchSize 16'],
    [{ new_key: 1 }, 'new_key'],
    [{ tokenizer_cfg: [] }, 'tokenizer_cfg'],
    [{ context_len: undefined }, 'contextLength'],
  ])('refuses %j in a file', (json, named) => {
    expect(() => parseTirex2Config({ ...file, ...json }, 'my.json')).toThrow(/^my\.json: /);
    expect(() => parseTirex2Config({ ...file, ...json }, 'my.json')).toThrow(named);
  });

  it.each([
    [{ blocks: [] }, 'blocks'],
    [{ numHeads: 3 }, 'numHeads'],
    [{ patchSise: 3 }, 'patchSise'],
    [{ qkNorm: 1 }, 'qkNorm'],
  ])('refuses %j of a program', (given, named) => {
    expect(() => parseTirex2Config(given, 'p')).toThrow(named);
  });
});

describe('the older files of a TiRex-2, model-config.yaml and model.ckpt', () => {
  it.each([['at the top'], ['under state_dict']])('are read, tensors %s', async (where) => {
    const place = await mkdtemp(join(tmpdir(), 'xlstm-tirex2-'));
    try {
      await writeFile(join(place, 'model-config.yaml'), stringify(file));
      const { tensors } = parseSafetensors(await readFile(`${folder}/model.safetensors`), 'golden');
      const stored = [...tensors];
      const all = pickle.dict(
        ...stored.flatMap(([name, { shape }], i) => {
          const strides = shape.map((_, d) => shape.slice(d + 1).reduce((product, n) => product * n, 1));
          const length = shape.reduce((product, n) => product * n, 1);
          return [pickle.text(name), tensor({ key: `${i}`, length, shape, strides })];
        }),
      );
      const storages = stored.map(([, each], i) => [`${i}`, new Uint8Array(each.read().buffer)]);
      const root = where === 'at the top' ? all : pickle.dict(pickle.text('state_dict'), all);
      await writeFile(join(place, 'model.ckpt'), torchFile(pickle.of(root), Object.fromEntries(storages)));
      const { model } = await loadCheckpoint(engine, place);
      const expected = await golden.read();
      for (const [name, { values }] of await model.read())
        expect(values, name).toEqual(expected.get(name)?.values);
      model.free();
      await rm(join(place, 'model-config.yaml'));
      await expect(loadCheckpoint(engine, place)).rejects.toThrow(
        "model.ckpt: expected the model's configuration as hyper_parameters in it or as config.json beside it, found none",
      );
    } finally {
      await rm(place, { recursive: true });
    }
  });
});

describe('the tensors of a TiRex-2', () => {
  it('are saved under the names that the official package writes, and are the same when they are loaded', async () => {
    const files = await checkpointFiles({ model: golden });
    const weights = files.get('model.safetensors') as Uint8Array;
    const { tensors } = parseSafetensors(weights, 'saved');
    const stored = parseSafetensors(await readFile(`${folder}/model.safetensors`), 'golden').tensors;
    // Block 3 of the golden file has the other names.
    const kernel = 'stack.3.time_mixer.fwd_cell._recurrent_kernel_';
    const alias = 'stack.3.time_mixer.rev_cell.recurrent_kernel';
    expect(tensors.get(kernel)?.shape).toEqual([4, 16, 4, 16]);
    expect(tensors.get(kernel)?.read()).toEqual(stored.get(alias)?.read());
    const bias = 'time_mixer.fwd_cell._bias_';
    expect(tensors.get(`stack.1.${bias}`)?.read()).toEqual(stored.get(`stack.1.${bias}`)?.read());
    const { model } = decodeCheckpoint(engine, {
      config: JSON.parse(files.get('config.json') as string),
      weights,
    });
    expect(model.network).toBeInstanceOf(Tirex2Network);
    for (const [name, { values }] of await model.read()) {
      expect(values, name).toEqual((await golden.read()).get(name)?.values);
    }
    model.free();
  });

  it('may stand under two names, if they are equal', () => {
    const tensor = (value: number) => ({ shape: [2], values: [1, value] });
    const names = ['a.fwd_cell.q.weight', 'a.rev_cell.q.weight'];
    const twice = new Map(names.map((name) => [name, tensor(2)]));
    expect([...parametersOf(twice, undefined, 'f').keys()]).toEqual(['a.fwd_cell.q.weight']);
    twice.set(names[1], tensor(3));
    expect(() => parametersOf(twice, undefined, 'f')).toThrow(
      'f: expected the same values under "a.fwd_cell.q.weight" and "a.rev_cell.q.weight"',
    );
  });
});
