import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { createModel } from '../models/create_model.ts';
import { loadCheckpoint, loadConfigJson, saveCheckpoint } from './checkpoint_folder.ts';
import { parseConfigYaml } from './config_yaml.ts';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from './safetensors.ts';

const golden = fileURLToPath(new URL('../../test/golden/large_tiny/', import.meta.url));
const engine = createReferenceEngine();

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-yaml-'));
});
afterEach(() => rm(folder, { recursive: true }));

const parse = (text: string): Promise<unknown> =>
  parseConfigYaml(new TextEncoder().encode(text), 'config.yaml');
const put = (name: string, content: string | Uint8Array): Promise<void> =>
  writeFile(join(folder, name), content);

describe('config.yaml', () => {
  it('of helibrunna says what config.json of the official package says', async () => {
    const model = createModel(engine, {
      ...{ vocabSize: 11, embeddingDim: 16, numBlocks: 3, slstmAt: [1], contextLength: 64 },
      ...{ mlstm: { numHeads: 2 }, slstm: { numHeads: 4 } },
    });
    await saveCheckpoint(folder, { model });
    const saved = await loadCheckpoint(engine, folder);
    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    await rm(join(folder, 'config.json'));
    await put('config.yaml', stringify({ type: 'xLSTMLMModel', ...config, tags: 'music', base_model: 'x' }));
    const again = await loadCheckpoint(engine, folder);
    expect(await again.model.read()).toEqual(await saved.model.read());
    expect(again.model.design?.config).toEqual(model.design?.config);
    // That of a run has the model's below a key.
    await put('config.yaml', stringify({ training: { lr: 0.001 }, model: config, dataset: {} }));
    expect(await loadConfigJson(folder)).toEqual({ json: config, source: join(folder, 'config.yaml') });
    // As models of the original architecture for transformers have it, with keys that these copied in.
    await rm(join(folder, 'config.yaml'));
    const wrapped = { ...config, auto_map: {}, _commit_hash: null };
    await put('config.json', JSON.stringify({ model_type: 'xlstm', vocab_size: 11, _xlstm_config: wrapped }));
    expect((await loadCheckpoint(engine, folder)).model.design?.config).toEqual(model.design?.config);
    await put('config.json', JSON.stringify({ _xlstm_config: { ...config, num_blocks: 0 } }));
    await expect(loadCheckpoint(engine, folder)).rejects.toThrow(
      `${join(folder, 'config.json')}: _xlstm_config: num_blocks: expected a whole number above 0, found 0`,
    );
  });

  it('of the official xLSTM Large goes with its names and its files model_0, model_1', async () => {
    const { tensors } = parseSafetensors(await readFile(join(golden, 'model.safetensors')));
    const files: [Map<string, TensorToWrite>, Map<string, TensorToWrite>] = [new Map(), new Map()];
    [...tensors].forEach(([name, tensor], i) => {
      const official = name === 'backbone.embeddings.weight' ? 'embedding.weight' : name;
      files[i % 2].set(official, { shape: tensor.shape, data: tensor.read() });
    });
    await put('model_0.safetensors', writeSafetensors(files[0]));
    await put('model_1.safetensors', writeSafetensors(files[1]));
    await put(
      'config.yaml',
      'embedding_dim: 64\nnum_heads: 4\nnum_blocks: 2\nvocab_size: 97\nnorm_eps: 1.0e-06\nmode: train\ngate_soft_cap: 15.0\n',
    );
    const expected = await loadCheckpoint(engine, golden);
    const loaded = await loadCheckpoint(engine, folder);
    expect(loaded.model.design?.architecture.name).toBe('xlstm-large');
    expect(await loaded.model.read()).toEqual(await expected.model.read());
    // Those of the scaling laws have config.json, spelled as the official package.
    await rm(join(folder, 'config.yaml'));
    const {
      hidden_size: _,
      num_hidden_layers: __,
      model_type: ___,
      ...json
    } = JSON.parse(await readFile(join(golden, 'config.json'), 'utf8'));
    await put('config.json', JSON.stringify(json));
    expect(await (await loadCheckpoint(engine, folder)).model.read()).toEqual(await expected.model.read());
    await cp(join(folder, 'model_1.safetensors'), join(folder, 'model_2.safetensors'));
    await rm(join(folder, 'model_1.safetensors'));
    await expect(loadCheckpoint(engine, folder)).rejects.toThrow(
      `${join(folder, 'model_1.safetensors')}: there is no such file, and model_2.safetensors follows it`,
    );
    await rm(join(folder, 'model_0.safetensors'));
    await cp(join(folder, 'model_2.safetensors'), join(folder, 'model_3.safetensors'));
    await expect(loadCheckpoint(engine, folder)).rejects.toThrow(
      `${join(folder, 'model_0.safetensors')}: there is no such file, and model_2.safetensors follows it`,
    );
  });

  it('is refused where it is of another model, or no YAML', async () => {
    await expect(parse('type: gpt2\nnum_blocks: 1')).rejects.toThrow(
      'config.yaml: type: expected xLSTMLMModel, found "gpt2"',
    );
    await expect(parse('- 1')).rejects.toThrow('config.yaml: expected keys with values, found [1]');
    await expect(parse('a: [')).rejects.toThrow(/^config.yaml: expected YAML: .* at line 1/);
    await expect(parse('a: 1\na: 2')).rejects.toThrow(/^config.yaml: expected YAML: Map keys must be unique/);
    await expect(parse('a: *b')).rejects.toThrow(/^config.yaml: expected YAML: /);
    await expect(parse(`${'['.repeat(50_000)}`)).rejects.toThrow(/^config.yaml: expected YAML: /);
    await expect(parse(' '.repeat(2 ** 20 + 1))).rejects.toThrow('at most 1048576 bytes, found 1048577');
    await expect(parseConfigYaml(Uint8Array.of(0xff), 'x')).rejects.toThrow('x: expected YAML: found bytes');
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg']) {
      bomb.push(`${to}: &${to} [${Array.from({ length: 9 }, () => `*${from}`).join(',')}]`);
    }
    await expect(parse(bomb.join('\n'))).rejects.toThrow(
      /^config.yaml: expected YAML: Excessive alias count/,
    );
    const constructed = (await parse('__proto__: {x: 1}')) as object;
    expect(Object.getPrototypeOf(constructed)).toBe(Object.prototype);
    await put('model.safetensors', writeSafetensors(new Map()));
    await put('config.yaml', 'num_heads: 3\nvocab_size: 9\nembedding_dim: 16\n');
    await expect(loadCheckpoint(engine, folder)).rejects.toThrow(
      `${join(folder, 'config.yaml')}: qk_dim_factor: expected`,
    );
  });
});
