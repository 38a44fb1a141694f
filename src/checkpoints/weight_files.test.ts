import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { checkWeights, loadCheckpoint } from './checkpoint_folder.ts';
import { parseSafetensors, writeSafetensors } from './safetensors.ts';

const golden = fileURLToPath(new URL('../../test/golden/', import.meta.url));
const engine = createReferenceEngine();
const INDEX = 'model.safetensors.index.json';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-shards-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** The tensors of large_tiny in three files, each with the names that `name` gives. */
async function shards(name: (i: number) => string): Promise<Map<string, string>> {
  await cp(join(golden, 'large_tiny/config.json'), join(folder, 'config.json'));
  const { tensors } = parseSafetensors(await readFile(join(golden, 'large_tiny/model.safetensors')));
  const parts: Map<string, { shape: readonly number[]; data: Float32Array }>[] = [
    new Map(),
    new Map(),
    new Map(),
  ];
  const map = new Map<string, string>();
  [...tensors].forEach(([key, tensor], i) => {
    parts[i % 3].set(key, { shape: tensor.shape, data: tensor.read() });
    map.set(key, name(i % 3));
  });
  for (const [i, part] of parts.entries()) await writeFile(join(folder, name(i)), writeSafetensors(part));
  return map;
}

const writeIndex = (map: unknown): Promise<void> =>
  writeFile(join(folder, INDEX), JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }));

async function loadsAsOne(): Promise<void> {
  const [one, many] = [
    await loadCheckpoint(engine, join(golden, 'large_tiny')),
    await loadCheckpoint(engine, folder),
  ];
  expect(await many.model.read()).toEqual(await one.model.read());
  await checkWeights(folder);
}

/** Why the folder is refused, as a model and where only its headers are read: for the same reason. */
async function refusal(): Promise<Error> {
  const reason = (work: Promise<unknown>): Promise<Error> =>
    work.then(
      () => new Error('nothing was wrong'),
      (error) => error,
    );
  const refused = await reason(loadCheckpoint(engine, folder));
  expect(await reason(checkWeights(folder))).toEqual(refused);
  return refused;
}

describe('weights in several files', () => {
  it('are those that an index names, of any name', async () => {
    await writeIndex(Object.fromEntries(await shards((i) => `part ${i}.safetensors`)));
    await writeFile(join(folder, 'other.safetensors'), 'no model');
    await loadsAsOne();
  });

  it('are those that transformers and the official package name so, without an index', async () => {
    await shards((i) => `model-0000${i + 1}-of-00003.safetensors`);
    await loadsAsOne();
    await rm(folder, { recursive: true });
    folder = await mkdtemp(join(tmpdir(), 'xlstm-shards-'));
    await shards((i) => `model_${i}.safetensors`);
    await loadsAsOne();
  });

  it.each([
    ['a shard of the index', true],
    ['a shard of the names', false],
  ])('are refused where one is missing: %s', async (_, index) => {
    const map = await shards((i) => `model-0000${i + 1}-of-00003.safetensors`);
    if (index) await writeIndex(Object.fromEntries(map));
    await rm(join(folder, 'model-00002-of-00003.safetensors'));
    const { message, hint, code } = (await refusal()) as Error & { hint: string; code: string };
    expect(code).toBe('checkpoint');
    expect(hint).toBe('Download what is missing.');
    if (index) {
      expect(message).toContain('model-00002-of-00003.safetensors: there is no such file');
      expect(message).toContain('norm_mlstm.weight');
    } else
      expect(message).toContain(
        'expected 3 files of weights, as their names say, found 2; model-00002-of-00003.safetensors is missing',
      );
  });

  it('are refused where one is cut off, and it is named', async () => {
    await shards((i) => `model_${i}.safetensors`);
    const path = join(folder, 'model_1.safetensors');
    await writeFile(path, (await readFile(path)).subarray(0, -4));
    expect((await refusal()).message).toMatch(/model_1\.safetensors: .*expected to end by byte/);
  });

  it('are refused where two hold a tensor', async () => {
    await shards((i) => `model_${i}.safetensors`);
    await cp(join(folder, 'model_0.safetensors'), join(folder, 'model_3.safetensors'));
    expect((await refusal()).message).toMatch(
      /model_3\.safetensors: tensor "backbone.embeddings.weight": expected in one file, found in "model_0/,
    );
  });

  it.each([
    ['no map', undefined, 'expected the file of each tensor under weight_map, found undefined'],
    ['a list', ['a'], 'expected the file of each tensor'],
    ['no tensors', {}, 'expected the file of each tensor'],
    [
      'a file elsewhere',
      { a: '../model.safetensors' },
      'weight_map.a: expected the name of a .safetensors file',
    ],
    ['another kind of file', { a: 'config.json' }, 'weight_map.a: expected the name of a .safetensors file'],
    ['a number', { a: 1 }, 'weight_map.a: expected the name of a .safetensors file, found 1'],
  ])('are refused where the index is none: %s', async (_, map, message) => {
    await shards((i) => `model_${i}.safetensors`);
    await writeIndex(map);
    const error = await refusal();
    expect(error).toMatchObject({ code: 'checkpoint' });
    expect(error.message).toContain(`${INDEX}: `);
    expect(error.message).toContain(message);
  });
});
