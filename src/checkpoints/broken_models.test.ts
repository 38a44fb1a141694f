import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { loadCheckpoint } from './checkpoint_folder.ts';
import { convertCheckpoint } from './convert.ts';
import { parseSafetensors, writeSafetensors } from './safetensors.ts';

const golden = (name: string): string => fileURLToPath(new URL(`../../test/golden/${name}`, import.meta.url));

const engine = createReferenceEngine();
let folder = '';
const at = (...names: string[]): string => join(folder, ...names);
const SHARD = 'model-00003-of-00008.safetensors';
/** It holds a norm: of a matrix, whole numbers of the right shape can be packed ones. */
const NORMS = 'model-00002-of-00008.safetensors';
const INDEX = 'model.safetensors.index.json';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-broken-'));
  await cp(golden('large_sharded'), at('model'), { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

type Break = (path: (name: string) => string) => Promise<void>;

const setJson =
  (name: string, values: object): Break =>
  async (path) => {
    const json = JSON.parse(await readFile(path(name), 'utf8'));
    await writeFile(path(name), JSON.stringify({ ...json, ...values }));
  };

/** A norm as whole numbers, which is how other programs pack weights. */
const asIntegers: Break = async (path) => {
  const { tensors } = parseSafetensors(await readFile(path(NORMS)), NORMS);
  const name = 'backbone.blocks.0.norm_ffn.weight';
  const kept = [...tensors].map(([each, { shape, ...tensor }]) => {
    const data = tensor.read();
    return [each, { shape, data: each === name ? Int32Array.from(data) : data }] as const;
  });
  await writeFile(path(NORMS), writeSafetensors(new Map(kept)));
};

describe('a model in files that is not right is refused by file and key, loaded or written anew', () => {
  it.each<[string, Break, string]>([
    [
      'a shard that is missing',
      (path) => rm(path(SHARD)),
      `${SHARD}: there is no such file; by ${INDEX} it holds backbone.blocks.0.ffn.proj_up.weight`,
    ],
    [
      'a shard that is cut off',
      (path) => truncate(path(SHARD), 5000),
      `${SHARD}: tensor "backbone.blocks.0.ffn.proj_up.weight": expected to end by byte`,
    ],
    [
      'a shard of another model',
      (path) => cp(join(golden('large_tiny'), 'model.safetensors'), path(SHARD)),
      `${SHARD}: tensor "backbone.embeddings.weight": expected in one file, found in "model-00001`,
    ],
    [
      'a shard without its tensor',
      (path) => writeFile(path(SHARD), writeSafetensors(new Map())),
      'model-00001-of-00008.safetensors and 7 more: its tensors do not fit the configuration: 1 missing (backbone.blocks.0.ffn.proj_up.weight)',
    ],
    [
      'a dtype of whole numbers',
      asIntegers,
      `${NORMS}: tensor "backbone.blocks.0.norm_ffn.weight": expected a dtype among F32, BF16, F16, F64, found I32`,
    ],
    [
      'a dtype that there is not',
      async (path) => {
        const bytes = await readFile(path(SHARD));
        bytes.write('F8E5', bytes.indexOf('BF16'));
        await writeFile(path(SHARD), bytes);
      },
      `${SHARD}: tensor "backbone.blocks.0.ffn.proj_up.weight": expected a dtype among F64, F32, F16, BF16`,
    ],
    [
      'an index of another folder',
      setJson(INDEX, { weight_map: { 'lm_head.weight': '../model.safetensors' } }),
      `${INDEX}: weight_map.lm_head.weight: expected the name of a .safetensors file, found "../model.saf`,
    ],
    [
      'another architecture',
      setJson('config.json', { model_type: 'llama' }),
      'config.json: model_type: expected "xlstm", found "llama"',
    ],
    [
      'another architecture by name',
      setJson('config.json', { architecture: 'hyena' }),
      'config.json: architecture: expected one of xlstm, xlstm-large, ',
    ],
    [
      'weights that another program packed',
      setJson('config.json', { quantization_config: { quant_method: 'gptq', bits: 4 } }),
      'config.json: quantization_config: expected {"quant_method": "xlstm"',
    ],
    ['a matrix of another width', setJson('config.json', { ffn_proj_factor: 2 }), ' has shape ['],
    [
      'a tokenizer of more tokens',
      async (path) => {
        const specials = Array.from({ length: 200 }, (_, i) => `<${i}>`);
        await writeFile(path('tokenizer.json'), JSON.stringify({ type: 'byte', specials }));
      },
      'tokenizer.json: the tokenizer makes 456 tokens, the model in config.json knows ',
    ],
  ])('%s', async (_, damage, message) => {
    await damage((name) => at('model', name));
    const before = (await readdir(folder)).sort();
    const expected = { message: expect.stringContaining(message) };
    await expect(loadCheckpoint(engine, at('model'))).rejects.toMatchObject(expected);
    for (const packing of [undefined, 'q8'] as const) {
      const written = convertCheckpoint(at('model'), at('new/folder'), { to: 'xlstm', packing });
      await expect(written).rejects.toMatchObject(expected);
      expect((await readdir(folder)).sort()).toEqual(before);
    }
  });
});
