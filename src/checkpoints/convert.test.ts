import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { SubwordTokenizer } from '../data/subword/subword_tokenizer.ts';
import { ByteTokenizer } from '../data/tokenizer.ts';
import { createModel } from '../models/create_model.ts';
import { loadCheckpoint, saveCheckpoint } from './checkpoint_folder.ts';
import { convertCheckpoint } from './convert.ts';
import { parseSafetensors, writeSafetensors } from './safetensors.ts';

const engine = createReferenceEngine();
let folder = '';
const at = (name: string): string => join(folder, name);
const golden = (name: string): string => fileURLToPath(new URL(`../../test/golden/${name}`, import.meta.url));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-convert-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const tensorsOf = async (path: string) => parseSafetensors(await readFile(path)).tensors;
const shapesOf = async (path: string): Promise<Record<string, string>> =>
  Object.fromEntries(
    [...(await tensorsOf(path))].map(([name, { dtype, shape }]) => [name, `${dtype} ${shape.join(' × ')}`]),
  );
const jsonOf = async (path: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(path, 'utf8'));

async function numbersOf(path: string): Promise<Map<string, number[]>> {
  const { model } = await loadCheckpoint(engine, path);
  const numbers = new Map([...(await model.read())].map(([name, { values }]) => [name, Array.from(values)]));
  model.free();
  return numbers;
}

const large = {
  architecture: 'xlstm-large',
  vocabSize: 258,
  ...{ embeddingDim: 32, numBlocks: 2, numHeads: 2 },
};
const specials = ['<|document|>', '<|end|>'];

async function saved(name: string, config: object): Promise<string> {
  const model = createModel(engine, config as typeof large, { seed: 3 });
  await saveCheckpoint(at(name), { model, tokenizer: new ByteTokenizer(specials) });
  model.free();
  return at(name);
}

describe('files of transformers', () => {
  it('have the names, shapes, dtypes and numbers of a file of transformers, and the keys of its configuration', async () => {
    await convertCheckpoint(golden('large_tiny'), at('tiny'), { to: 'transformers' });
    const names = [golden('large_tiny'), at('tiny')].map((each) => join(each, 'model.safetensors'));
    expect(await shapesOf(names[1])).toEqual(await shapesOf(names[0]));
    const [given, written] = await Promise.all(names.map(tensorsOf));
    for (const [name, tensor] of given) expect(written.get(name)?.read()).toEqual(tensor.read());
    const [{ embedding_dim, num_blocks, torch_dtype, ...keys }, config] = await Promise.all(
      [golden('large_tiny'), at('tiny')].map((each) => jsonOf(join(each, 'config.json'))),
    );
    expect(config).toMatchObject({ ...keys, dtype: torch_dtype });
    expect(await readFile(at('tiny/config.json'), 'utf8')).toMatch(/"v_dim_factor": 1\.0,\n/);
    expect(config.hidden_size).toBe(embedding_dim);
    expect(config.num_hidden_layers).toBe(num_blocks);
  });

  it('are made of shards in bfloat16', async () => {
    await convertCheckpoint(golden('large_sharded'), at('whole'), { to: 'transformers' });
    expect(await numbersOf(at('whole'))).toEqual(await numbersOf(golden('large_sharded')));
    const { dtype, ...given } = await jsonOf(join(golden('large_sharded'), 'config.json'));
    expect(await jsonOf(join(at('whole'), 'config.json'))).toEqual({ ...given, dtype: 'float32' });
  });

  it('have a tokenizer with the ids of bytes and special tokens', async () => {
    await convertCheckpoint(await saved('bytes', large), at('bytes-hf'), { to: 'transformers' });
    const tokenizer = await SubwordTokenizer.create(await jsonOf(at('bytes-hf/tokenizer.json')));
    const ours = new ByteTokenizer(specials);
    expect(tokenizer.specials).toEqual(ours.specials);
    for (const text of ['A whale – 鯨 🐋\r\n', '\u0000\u007f', '']) {
      expect(Array.from(tokenizer.encode(text))).toEqual(Array.from(ours.encode(text)));
    }
    expect(await jsonOf(at('bytes-hf/tokenizer_config.json'))).toMatchObject({
      tokenizer_class: 'PreTrainedTokenizerFast',
      additional_special_tokens: specials,
    });
  });
});

it.each([
  ['single matrices', large],
  ['fused ones', { ...large, weightMode: 'fused' }],
  ['a tied one', { ...large, tieWeights: true }],
])('of xLSTM Large, %s, the official package and back: the same numbers', async (name, config) => {
  const path = await saved(name, config);
  await convertCheckpoint(path, `${path}-official`, { to: 'official' });
  const written = await shapesOf(join(`${path}-official`, 'model.safetensors'));
  expect(written).toHaveProperty(['embedding.weight'], 'F32 258 × 32');
  expect(written).toHaveProperty(['lm_head.weight'], 'F32 258 × 32');
  expect(written).toHaveProperty(['backbone.blocks.1.mlstm_layer.q.weight'], 'F32 16 × 32');
  const yaml = await readFile(join(`${path}-official`, 'config.yaml'), 'utf8');
  expect(yaml).toContain('embedding_dim: 32\n');
  expect(yaml).not.toContain('bos_token_id');
  await convertCheckpoint(`${path}-official`, `${path}-again`, { to: 'xlstm' });
  const again = await numbersOf(`${path}-again`);
  for (const [key, numbers] of await numbersOf(path)) expect(again.get(key), key).toEqual(numbers);
});

it('of the original architecture the official package has the files as they are', async () => {
  const path = await saved('original', { vocabSize: 258, embeddingDim: 32, numBlocks: 2, slstmAt: [1] });
  await convertCheckpoint(path, at('original-official'), { to: 'official' });
  for (const name of ['config.json', 'model.safetensors', 'tokenizer.json'])
    expect(await readFile(join(at('original-official'), name))).toEqual(await readFile(join(path, name)));
});

describe('refuses, and leaves nothing behind', () => {
  const refused = async (input: string, to: 'transformers' | 'official' | 'xlstm'): Promise<string> => {
    const before = readdirSync(folder).sort();
    const error = await convertCheckpoint(input, at('refused'), { to }).catch((found: Error) => found);
    expect(error).toBeInstanceOf(Error);
    expect(readdirSync(folder).sort()).toEqual(before);
    return (error as Error).message;
  };

  it('what the other program does not have', async () => {
    const path = await saved('mixed', { vocabSize: 258, embeddingDim: 32, numBlocks: 2, slstmAt: [1] });
    expect(await refused(path, 'transformers')).toContain(
      '1 mLSTM and 1 sLSTM blocks, width 32: there is no such model among those of transformers',
    );
  });

  it('small weights, which may be copied', async () => {
    const path = await saved('precise', large);
    await convertCheckpoint(path, at('small'), { to: 'xlstm', packing: 'q8' });
    expect(await refused(at('small'), 'transformers')).toContain('q8');
    await convertCheckpoint(at('small'), at('small-again'), { to: 'xlstm' });
    expect(await readFile(at('small-again/model.safetensors'))).toEqual(
      await readFile(at('small/model.safetensors')),
    );
    await expect(
      convertCheckpoint(at('small'), at('smaller'), { to: 'xlstm', packing: 'q4' }),
    ).rejects.toThrow('the weights are small already: q8');
  });

  it('numbers that are not finite, tensors that are missing, a folder that is there', async () => {
    const path = await saved('damaged', large);
    const file = join(path, 'model.safetensors');
    const tensors = new Map(
      [...(await tensorsOf(file))].map(([n, t]) => [n, { shape: t.shape, data: t.read() }]),
    );
    const norm = tensors.get('backbone.out_norm.weight')!;
    norm.data[3] = Number.NaN;
    await writeFile(file, writeSafetensors(tensors));
    expect(await refused(path, 'official')).toContain(
      '"backbone.out_norm.weight" holds numbers that are not finite',
    );
    tensors.delete('backbone.out_norm.weight');
    await writeFile(file, writeSafetensors(tensors));
    expect(await refused(path, 'transformers')).toContain('1 missing (backbone.out_norm.weight)');
    await expect(convertCheckpoint(path, path, { to: 'xlstm' })).rejects.toThrow('is there already');
    expect(existsSync(file)).toBe(true);
  });
});
