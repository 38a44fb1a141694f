import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  chooseEngine,
  createModel,
  type Engine,
  encodeModel,
  loadModel,
  SubwordTokenizer,
  saveModel,
} from '../../src/index_node.ts';

const golden = new URL('../golden/tokenizers/', import.meta.url);

let engine: Engine;
let folder = '';
let json = '';
beforeAll(async () => {
  engine = (await chooseEngine('wasm', { threads: 1 })).engine;
  folder = await mkdtemp(join(tmpdir(), 'xlstm-subword-'));
  json = await readFile(new URL('neox.json', golden), 'utf8');
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const large = { architecture: 'xlstm-large', vocabSize: 384, embeddingDim: 16, numBlocks: 1, numHeads: 2 };

/** A folder as `transformers` writes one: the weights, and the tokenizer's own files. */
async function foreign(name: string, config: object, files: Record<string, string>): Promise<string> {
  const path = join(folder, name);
  using model = createModel(engine, { ...large, ...config } as typeof large, { seed: 1 });
  await saveModel(model, path);
  for (const [file, content] of Object.entries(files)) await writeFile(join(path, file), content);
  return path;
}

it("a folder with Hugging Face's files reads and writes texts, after the token that its model wants", async () => {
  const path = await foreign('large', { bosTokenId: 0, eosTokenIds: [2] }, { 'tokenizer.json': json });
  using loaded = await loadModel(path, { engine, kind: 'text' });
  const { tokenizer } = loaded;
  expect(tokenizer).toBeInstanceOf(SubwordTokenizer);
  expect(tokenizer?.start).toBe(0);
  // Token 2 is "!", which ends no text.
  expect(tokenizer?.decode([2])).toBe('!');
  expect([...tokenizer!.ends!]).toEqual([]);
  using session = loaded.session();
  const { text, usage } = await session.complete('The whale', { maxTokens: 5, seed: 2 });
  expect(usage.promptTokens).toBe(1 + tokenizer!.encode('The whale').length);
  expect(text.length).toBeGreaterThan(0);
});

it('is saved again with its tokenizer, whose files are those that were read', async () => {
  const settings = { bos_token: '<|endoftext|>', eos_token: '<|padding|>', add_bos_token: true };
  const path = await foreign(
    'first',
    {},
    { 'tokenizer.json': json, 'tokenizer_config.json': JSON.stringify(settings) },
  );
  using first = await loadModel(path, { engine, kind: 'text' });
  const again = join(folder, 'again');
  await saveModel(first, again);
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(join(again, name), 'utf8'));
  expect(await read('tokenizer.json')).toEqual(JSON.parse(json));
  expect(await read('tokenizer_config.json')).toEqual(settings);
  using second = await loadModel({ files: await encodeModel(first) }, { engine, kind: 'text' });
  for (const { tokenizer } of [first, second]) {
    expect(tokenizer?.start).toBe(0);
    expect([...tokenizer!.ends!]).toEqual([1]);
  }
});

it('ends a text where the model writes its end', async () => {
  const path = await foreign('ends', { bosTokenId: 0, eosTokenIds: [1] }, { 'tokenizer.json': json });
  using loaded = await loadModel(path, { engine, kind: 'text' });
  const reasons = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    using session = loaded.session();
    const { text, finishReason } = await session.complete('a', { maxTokens: 300, seed, temperature: 3 });
    reasons.add(finishReason);
    expect(text).not.toContain('<|padding|>');
    expect(text).not.toContain('<|endoftext|>');
  }
  expect([...reasons]).toContain('document');
});

it('names tokens by special_tokens_map.json where that is all there is', async () => {
  const files = {
    'tokenizer.json': json,
    'special_tokens_map.json': '{"eos_token": {"content": "<|padding|>"}}',
  };
  const path = await foreign('mapped', {}, files);
  using loaded = await loadModel(path, { engine, kind: 'text' });
  expect([...loaded.tokenizer!.ends!]).toEqual([1]);
});

it('refuses a tokenizer with more tokens than the model knows, and damaged files', async () => {
  const load = async (name: string, config: object, files: Record<string, string>): Promise<unknown> =>
    loadModel(await foreign(name, config, files), { engine });
  await expect(load('small', { vocabSize: 300 }, { 'tokenizer.json': json })).rejects.toThrow(
    /small\/tokenizer\.json: the tokenizer makes 367 tokens, the model in config\.json knows 300/,
  );
  await expect(load('cut', {}, { 'tokenizer.json': json.slice(0, 900) })).rejects.toThrow(
    /cut\/tokenizer\.json: expected JSON: /,
  );
  const other = json.replace('"NFC"', '"NFX"');
  await expect(load('part', {}, { 'tokenizer.json': other })).rejects.toThrow(
    /part\/tokenizer\.json: normalizer\.type: expected one of .*found "NFX"/,
  );
  const files = { 'tokenizer.json': json, 'tokenizer_config.json': '[]' };
  await expect(load('config', {}, files)).rejects.toThrow(
    /config\/tokenizer_config\.json: expected an object/,
  );
});
