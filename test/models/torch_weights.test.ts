import { cp, mkdir, mkdtemp, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fastEngines } from '../../src/compute/engines/testing/engines.ts';
import {
  type Architecture,
  chooseEngine,
  decodeCheckpoint,
  type Engine,
  type Model,
  type NamedValues,
  type Network,
  parseTorchFile,
  registerArchitecture,
  takesTokens,
  writeSafetensors,
} from '../../src/index.ts';
import { SequenceRunner } from '../../src/nn/sequence_runner.ts';
import { zerosInit } from '../../src/nn.ts';
import { loadCheckpoint, saveCheckpoint } from '../../src/node.ts';

const golden = fileURLToPath(new URL('../golden/torch/', import.meta.url));
const read = async (name: string): Promise<Uint8Array> => new Uint8Array(await readFile(join(golden, name)));
const json = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(golden, name), 'utf8'));

/** What the official package computed with the weights in its vanilla layout. */
interface Expected {
  readonly tokens: readonly number[];
  readonly logits: readonly (readonly number[])[];
}

async function expectLogits(model: Model, { tokens, logits }: Expected): Promise<void> {
  const runner = SequenceRunner.of(model, 1, 'all');
  const { io, run } = runner.executable(tokens.length);
  io.write('tokens', [...tokens]);
  await run();
  const found = await io.read('logits');
  runner.free();
  const errors = logits.flat().map((value, i) => Math.abs(value - found[i]));
  expect(Math.max(...errors)).toBeLessThan(1e-5);
}

const { cases } = await fastEngines();
const engines = [
  { name: 'reference', open: async (): Promise<Engine> => (await chooseEngine('reference')).engine },
  ...cases.map(({ name, open }) => ({ name, open: () => open(1) })),
];

describe.each(engines)('weights of PyTorch: $name', ({ open }) => {
  let engine: Engine;
  let folder: string;
  let expected: Expected;
  beforeAll(async () => {
    engine = await open();
    folder = await mkdtemp(join(tmpdir(), 'xlstm-torch-'));
    expected = (await json('xlstm/expected.json')) as Expected;
  });
  afterAll(async () => {
    await engine.close();
    await rm(folder, { recursive: true });
  });

  const load = async (path: string): Promise<Model> => {
    const { model } = await loadCheckpoint(engine, path);
    if (!takesTokens(model)) throw new Error('no language model');
    return model;
  };

  it('give the logits of the official package, from the layout of its cuda backend', async () => {
    await expectLogits(await load(join(golden, 'xlstm')), expected);
  });

  it('give them from a checkpoint of Lightning, and from files of any of the names', async () => {
    for (const name of ['epoch=0-step=1.ckpt', 'model.pt', 'best.PTH']) {
      const path = join(folder, name);
      await mkdir(path);
      await cp(join(golden, 'xlstm/config.json'), join(path, 'config.json'));
      await cp(join(golden, 'lightning.ckpt'), join(path, name));
      await expectLogits(await load(path), expected);
    }
  });

  it('give them without a file system', async () => {
    const config = await json('xlstm/config.json');
    const weights = await read('lightning.ckpt');
    const { model } = decodeCheckpoint(engine, { config, weights: new Map([['lightning.ckpt', weights]]) });
    await expectLogits(model as Model, expected);
    model.free();
  });

  it('are saved as safetensors, which then count', async () => {
    const path = join(folder, 'saved');
    await cp(join(golden, 'xlstm'), path, { recursive: true });
    await saveCheckpoint(join(folder, 'new'), { model: await load(path) });
    await cp(join(folder, 'new/model.safetensors'), join(path, 'model.safetensors'));
    await writeFile(join(path, 'pytorch_model.bin'), 'no longer read');
    await expectLogits(await load(path), expected);
  });
});

describe('weights of PyTorch', () => {
  let engine: Engine;
  let folder: string;
  let count = 0;
  beforeAll(async () => {
    engine = (await chooseEngine('reference')).engine;
    folder = await mkdtemp(join(tmpdir(), 'xlstm-torch-'));
  });
  afterAll(async () => {
    await engine.close();
    await rm(folder, { recursive: true });
  });

  /** A folder of the golden configuration and of golden files under other names. */
  async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
    const path = join(folder, String(count++));
    await mkdir(path);
    await cp(join(golden, 'xlstm/config.json'), join(path, 'config.json'));
    for (const [name, from] of Object.entries(files)) await cp(join(golden, from), join(path, name));
    return path;
  }

  it('are refused where it is open which file is meant', async () => {
    const path = await folderOf({ 'b.pt': 'lightning.ckpt', 'a.ckpt': 'lightning.ckpt' });
    await expect(loadCheckpoint(engine, path)).rejects.toThrow(
      `${path}: expected one file of weights, found 2: a.ckpt, b.pt`,
    );
    await cp(join(golden, 'xlstm/pytorch_model.bin'), join(path, 'pytorch_model.bin'));
    (await loadCheckpoint(engine, path)).model.free();
  });

  it('are refused by what is wrong with them, and where', async () => {
    const cases = {
      'command.pt': 'the file asks to run posix.system',
      'legacy.pt': 'found the format of PyTorch before 1.6',
      'tensors.pt': 'its tensors do not fit the configuration',
      'xlstm/config.json': 'expected a zip archive of torch.save, found something else',
    };
    for (const [from, problem] of Object.entries(cases)) {
      const path = await folderOf({ 'model.pt': from });
      await expect(loadCheckpoint(engine, path)).rejects.toThrow(`${join(path, 'model.pt')}: `);
      await expect(loadCheckpoint(engine, path)).rejects.toThrow(problem);
    }
    const path = await folderOf({});
    await symlink('nowhere', join(path, 'model.pt'));
    await expect(loadCheckpoint(engine, path)).rejects.toThrow('model.safetensors: there is no such file');
    await unlink(join(path, 'model.pt'));
    await mkdir(join(path, 'model.pt'));
    await expect(loadCheckpoint(engine, path)).rejects.toThrow('expected a file, found something else');
  });

  it('may have a prefix of several parts, of which the network’s own names keep theirs', async () => {
    const config = await json('xlstm/config.json');
    const tensors = parseTorchFile(await read('xlstm/pytorch_model.bin')).tensors;
    const named = (rename: (name: string) => string): Uint8Array =>
      writeSafetensors(
        new Map([...tensors].map(([name, t]) => [rename(name), { shape: t.shape, data: t.read() }])),
      );
    const open = (weights: Uint8Array): Promise<Map<string, NamedValues>> =>
      decodeCheckpoint(engine, { config, weights }).model.read();
    const expected = await open(named((name) => name));
    expect(await open(named((name) => `module.model._orig_mod.${name}`))).toEqual(expected);
    // Not all of them.
    const some = named((name) => (name.startsWith('lm_head') ? name : `model.${name}`));
    expect(() => decodeCheckpoint(engine, { config, weights: some })).toThrow('do not fit the configuration');
    const strange = named((name) => `model.${name}2`);
    expect(() => decodeCheckpoint(engine, { config, weights: strange })).toThrow(
      /not in the model \(model\./,
    );
    // What all names have in common can be the network's.
    const one: Architecture<unknown, Network> = {
      name: 'one-part',
      parseConfig: (config) => config,
      formatConfig: () => ({}),
      build(scope) {
        scope.child('net').child('a').parameter('weight', [2], zerosInit);
        return { stateShapes: () => ({}) };
      },
    };
    registerArchitecture(one);
    for (const name of ['net.a.weight', 'model.net.a.weight']) {
      const weights = writeSafetensors(new Map([[name, { shape: [2], data: Float32Array.of(1, 2) }]]));
      const { model } = decodeCheckpoint(engine, { config: { architecture: 'one-part' }, weights });
      expect([...(await model.read())]).toEqual([
        ['net.a.weight', { shape: [2], values: Float64Array.of(1, 2) }],
      ]);
    }
  });
});
