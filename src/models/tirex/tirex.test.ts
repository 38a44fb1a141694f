import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkpointFiles, decodeCheckpoint } from '../../checkpoints/checkpoint.ts';
import { loadCheckpoint, loadConfigJson } from '../../checkpoints/checkpoint_folder.ts';
import { parseSafetensors } from '../../checkpoints/safetensors.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { TirexNetworkRunner } from '../../forecasting/tirex_network_runner.ts';
import { rollOut } from '../../forecasting/tirex_rollout.ts';
import { Model } from '../../nn/model.ts';
import { loadForecaster } from '../../saved/forecaster_folders.ts';
import { formatDesign, readDesign } from '../registry.ts';
import { parseTirexConfig } from './config.ts';
import { TirexNetwork } from './network.ts';

const folder = fileURLToPath(new URL('../../../test/golden/tirex1_tiny', import.meta.url));
const engine = createReferenceEngine();
let golden: Model<TirexNetwork>;
beforeAll(async () => {
  golden = (await loadCheckpoint(engine, folder)).model as unknown as Model<TirexNetwork>;
});
afterAll(() => {
  golden.free();
  return engine.close();
});

const file = {
  model_config: {
    input_patch_size: 4,
    output_patch_size: 4,
    quantiles: [0.25, 0.5],
    input_ff_dim: 8,
    block_kwargs: { num_blocks: 1, embedding_dim: 8, num_heads: 2, backend: 'cuda' },
  },
  train_ctx_len: 16,
};

describe('the configuration of a TiRex', () => {
  it('is that of a file or what a program says, with defaults of the full size', () => {
    const options = {
      patchSize: 4,
      contextLength: 16,
      quantiles: [0.25, 0.5],
      patchHiddenDim: 8,
      numBlocks: 1,
      embeddingDim: 8,
      numHeads: 2,
    };
    expect(readDesign(file, 'c').architecture.name).toBe('tirex');
    expect(parseTirexConfig(file, 'c')).toEqual(parseTirexConfig(options, 'p'));
    expect(parseTirexConfig({}, 'p')).toMatchObject({ patchSize: 32, contextLength: 2048, numBlocks: 12 });
    const design = readDesign({ architecture: 'tirex', ...options }, 'p');
    expect(readDesign(formatDesign(design), 'c').config).toEqual(design.config);
  });

  it('has as many parameters as the published model', () => {
    const { parameters } = Model.empty(engine, readDesign({ architecture: 'tirex' }, 'p'));
    const count = parameters.list.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(count).toBe(35_291_200);
  });

  it.each([
    [{ ...file, model_config: { ...file.model_config, output_patch_size: 8 } }, 'output_patch_size'],
    [{ ...file, model_config: { ...file.model_config, block_kwargs: {} } }, 'block_kwargs.num_blocks'],
    [{ ...file, model_config: { ...file.model_config, quantiles: [0.1] } }, '0.5 among them'],
    [{ ...file, model_config: [] }, 'model_config'],
    [{ numHeads: 3 }, 'numHeads'],
    [{ patchSise: 3 }, 'patchSise'],
    [{ contextLength: 8 }, 'contextLength'],
  ])('refuses %j', (json, named) => {
    expect(() => parseTirexConfig(json, 'my.json')).toThrow(/^my\.json: /);
    expect(() => parseTirexConfig(json, 'my.json')).toThrow(named);
  });
});

it('is saved in the layout of its files, and is the same when it is loaded', async () => {
  const files = await checkpointFiles({ model: golden });
  const weights = files.get('model.safetensors') as Uint8Array;
  const { tensors } = parseSafetensors(weights, 'saved');
  expect(tensors.get('blocks.0.slstm_layer.slstm_cell._recurrent_kernel_')?.shape).toEqual([4, 16, 64]);
  const config = JSON.parse(files.get('config.json') as string);
  const { model } = decodeCheckpoint(engine, { config, weights });
  expect(model.network).toBeInstanceOf(TirexNetwork);
  for (const [name, { values }] of await model.read()) {
    expect(values, name).toEqual((await golden.read()).get(name)?.values);
  }
  model.free();
});

it('forecasts many series as it forecasts each', async () => {
  const model = Model.create(engine, readDesign(file, 'c'), 1) as unknown as Model<TirexNetwork>;
  const series = Array.from({ length: 35 }, (_, i) =>
    Float64Array.from({ length: 2 + i }, (_, t) => Math.sin(t / (3 + i)) * (i + 1)),
  );
  using runner = new TirexNetworkRunner(model);
  const { quantiles } = await rollOut(runner, series, 7, 1);
  const last = (await rollOut(runner, [series[34]], 7, 1)).quantiles;
  expect(quantiles.length).toBe(35 * last.length);
  expect(quantiles.slice(34 * last.length)).toEqual(last);
  model.free();
});

describe('the .ckpt of a TiRex', () => {
  it('is a model by itself: its configuration is in it', async () => {
    const place = await mkdtemp(join(tmpdir(), 'xlstm-tirex-'));
    const bytes = await readFile(join(folder, 'model.ckpt'));
    await writeFile(join(place, 'model.ckpt'), bytes);
    for (const source of [place, join(place, 'model.ckpt')]) {
      const { model } = await loadCheckpoint(engine, source);
      expect((model.network as unknown as TirexNetwork).config).toEqual(golden.network.config);
      model.free();
    }
    expect(readDesign((await loadConfigJson(place)).json, 'c').config).toEqual(golden.network.config);
    using given = await loadForecaster({ files: { 'model.ckpt': bytes } }, { engine });
    expect(given.levels).toHaveLength(9);
    await rm(place, { recursive: true });
  });

  it('is refused without a configuration', async () => {
    const other = new URL('../../../test/golden/torch/xlstm/pytorch_model.bin', import.meta.url);
    const files = { 'model.ckpt': await readFile(other) };
    await expect(loadForecaster({ files }, { engine })).rejects.toThrow(
      "model.ckpt: expected the model's configuration as hyper_parameters",
    );
  });
});
