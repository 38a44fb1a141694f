import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseEngine } from '../compute/engines/choose.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { sharedEngine } from '../compute/engines/shared.ts';
import { ByteTokenizer, DOCUMENT } from '../data/tokenizer.ts';
import { TextModel } from '../generation/text_model.ts';
import * as browserEntry from '../index.ts';
import * as nodeEntry from '../index_node.ts';
import { createModel } from '../models/create_model.ts';
import { registerArchitecture } from '../models/registry.ts';
import type { Adapter } from '../nn/adapter.ts';
import { Design } from '../nn/architecture.ts';
import { smallInit } from '../nn/init.ts';
import type { Network } from '../nn/layer.ts';
import { Linear } from '../nn/linear.ts';
import { Model } from '../nn/model.ts';
import { SequenceModel } from '../sequences/sequence_model.ts';

const { encodeModel, loadModel, saveModel } = nodeEntry;

let engine: Engine;
let folder = '';
beforeAll(async () => {
  engine = (await chooseEngine('wasm', { threads: 1 })).engine;
  folder = await mkdtemp(join(tmpdir(), 'xlstm-saved-'));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const text = (seed = 1): TextModel => {
  const tokenizer = new ByteTokenizer([DOCUMENT]);
  const config = { vocabSize: 257, embeddingDim: 8, numHeads: 2, numBlocks: 2, slstmAt: [1] };
  return new TextModel(createModel(engine, config, { seed }), tokenizer);
};
const sensors = (): Promise<SequenceModel> =>
  SequenceModel.create({ inputs: 2, outputs: 1, blocks: 'lstm', depth: 1, dim: 4, engine });

const wide = registerArchitecture({
  name: 'only-linear',
  parseConfig: ({ width }) => ({ width: width as number }),
  formatConfig: (config) => config,
  build: (scope, { width }): Network => {
    new Linear(scope.child('map'), width, width, { weight: smallInit(width) });
    return { stateShapes: () => ({}) };
  },
});

const write = (model: TextModel): Promise<nodeEntry.Completion> =>
  model.session().complete('The', { maxTokens: 8, seed: 3 });
const STEPS = [
  [1, 2],
  [3, 4],
];

/** Serves files, and what stands for one: how to answer. */
async function serving<T>(
  files: Readonly<Record<string, Uint8Array | ((response: ServerResponse) => void)>>,
  run: (address: string) => Promise<T>,
): Promise<T> {
  const server = createServer((request, response) => {
    const found = files[decodeURI(request.url ?? '')];
    if (typeof found === 'function') found(response);
    else if (found) response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(found);
    else response.writeHead(404).end('nothing');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const under = (path: string, files: ReadonlyMap<string, Uint8Array>): Record<string, Uint8Array> =>
  Object.fromEntries([...files].map(([name, content]) => [`${path}${name}`, content]));

describe('loadModel', () => {
  it('brings back a text model with its tokenizer: from a folder, an address and files', async () => {
    const path = join(folder, 'text');
    using model = text();
    await saveModel(model, path);
    const files = await encodeModel(model);
    expect([...files.keys()].sort()).toEqual((await readdir(path)).sort());
    const written = await write(model);
    expect(written.usage).toEqual({ promptTokens: 4, completionTokens: 8 });
    const blobs = Object.fromEntries(
      [...files].map(([name, bytes]) => [name, new Blob([bytes as Uint8Array<ArrayBuffer>])]),
    );
    const check = async (source: nodeEntry.ModelSource): Promise<void> => {
      using loaded = await loadModel(source, { engine, kind: 'text' });
      expect(loaded.tokenizer?.toJSON()).toEqual(model.tokenizer?.toJSON());
      expect(await write(loaded)).toEqual(written);
    };
    await check(path);
    await check(pathToFileURL(path));
    await check(`${pathToFileURL(path)}`);
    await check({ files });
    await check({ files: blobs });
    await serving(under('/a model/', files), async (address) => {
      await check(`${address}/a model/`);
      await check(new URL(`${address}/a model`));
      await check(`${address}/a model#part`);
    });
    const keyed = Object.fromEntries(Object.entries(under('/', files)).map(([k, v]) => [`${k}?key=1`, v]));
    await serving(keyed, (address) => check(`${address}/?key=1`));
  });

  it('brings back a model of sequences, and one of any other network', async () => {
    using model = await sensors();
    await saveModel(model, join(folder, 'sensors'));
    const loaded = (await loadModel(join(folder, 'sensors'), { engine })) as SequenceModel;
    expect(loaded).toBeInstanceOf(SequenceModel);
    expect(await loaded.predict(STEPS)).toEqual(await model.predict(STEPS));

    using other = createModel(engine, { architecture: wide, width: 3 });
    const again = await loadModel({ files: await encodeModel(other) }, { engine });
    expect(again).not.toBeInstanceOf(TextModel);
    expect(await again.model.read()).toEqual(await other.read());
  });

  it('lays an adapter over a model: of a folder, an address and files', async () => {
    using model = text();
    const base = await encodeModel(model);
    await saveModel(model, join(folder, 'base'));
    const { architecture, config } = model.model.design as Design;
    const adapter: Adapter = { rank: 2, alpha: 4, base: '', source: 'the test' };
    const over = new Design(architecture, config, undefined, adapter);
    using adapted = Model.load(engine, over, await model.model.read(), 'the test', { seed: 9 });
    const values = await adapted.read();
    for (const [name, value] of values) {
      if (name.includes('lora_B'))
        values.set(name, { ...value, values: Array.from(value.values, () => 0.25) });
    }
    adapted.write(values, 'the test');
    const expected = await adapted.read();
    await saveModel(adapted, join(folder, 'adapter'));
    const files = await encodeModel(adapted);
    expect([...files.keys()].sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    const check = async (
      source: nodeEntry.ModelSource,
      from: nodeEntry.ModelSource,
      load = loadModel,
    ): Promise<void> => {
      using loaded = await load(source, { engine, kind: 'text', adapter: from });
      expect(await loaded.model.read()).toEqual(expected);
    };
    await check(join(folder, 'base'), join(folder, 'adapter'));
    await check(pathToFileURL(join(folder, 'base')), { files });
    await check({ files: base }, join(folder, 'adapter'));
    await serving({ ...under('/base/', base), ...under('/adapter/', files) }, async (address) => {
      await check(`${address}/base`, `${address}/adapter`);
      await check(`${address}/base`, `${address}/adapter`, browserEntry.loadModel);
      const none = loadModel({ files: base }, { engine, adapter: `${address}/base` });
      await expect(none).rejects.toThrow('/base/adapter_config.json: there is no such file');
    });
    await expect(loadModel({ files: base }, { engine, adapter: { files: base } })).rejects.toThrow(
      'files: expected an adapter (adapter_config.json, adapter_model.safetensors), found ["config.json"',
    );
    const other = { files: await encodeModel(text(2)) };
    await expect(loadModel(other, { engine, adapter: { files } })).rejects.toThrow(
      /adapter_model\.safetensors: base_fingerprint: expected that of the files/,
    );
    await expect(loadModel(other, { engine, adapter: 3 as never })).rejects.toThrow(
      'adapter: expected a folder, an address or { files }, found 3',
    );
  });

  it('takes the shared engine where none is named', async () => {
    using model = text();
    using loaded = await loadModel({ files: await encodeModel(model) }, { kind: 'text' });
    expect(loaded.model.engine).toBe(await sharedEngine());
    expect((await write(loaded)).usage.completionTokens).toBe(8);
  });

  it('loads a model without a tokenizer, which has no session', async () => {
    using model = text();
    await saveModel(model.model, join(folder, 'tokens'));
    using loaded = await loadModel(join(folder, 'tokens'), { engine, kind: 'text' });
    expect(() => loaded.session()).toThrow(/without a tokenizer/);
  });

  it('refuses another kind of model than is asked for, and what it does not know', async () => {
    using model = text();
    const files = await encodeModel(model);
    await expect(loadModel({ files }, { engine, kind: 'sequence' })).rejects.toThrow(
      /^files: expected a model of sequences of numbers, found a language model: /,
    );
    await expect(loadModel({ files }, { engine, kind: 'image' as 'text' })).rejects.toThrow('kind: expected');
    await expect(loadModel({ files }, { engin: engine } as object)).rejects.toThrow('no option "engin"');
    expect(() => loadModel('')).toThrow('expected a folder, an address or { files }');
    expect(() => loadModel(7 as unknown as string)).toThrow('loadModel: expected');
  });

  it('says which file is missing, damaged or of something unknown', async () => {
    using model = text();
    const files = await encodeModel(model);
    const without = (name: string): Map<string, Uint8Array> =>
      new Map([...files].filter(([other]) => other !== name));
    const config = (json: unknown): Map<string, Uint8Array> =>
      new Map(files).set('config.json', new TextEncoder().encode(JSON.stringify(json)));
    const half = new Map(files).set('model.safetensors', files.get('model.safetensors')!.subarray(0, 900));
    const cases: [Map<string, Uint8Array>, RegExp][] = [
      [without('config.json'), /^config.json: expected among the files, found \[.*tokenizer.json/],
      [without('model.safetensors'), /^model.safetensors: expected among the files/],
      [new Map(), /^config.json: expected among the files, found none/],
      [half, /^model.safetensors: /],
      [config({ architecture: 'perceiver' }), /^config.json: architecture: expected one of /],
      [
        config({ architecture: 'gru', vocab_size: 9, embedding_dim: 4 }),
        /^model.safetensors: its tensors do not fit/,
      ],
    ];
    for (const [files, problem] of cases) {
      await expect(loadModel({ files }, { engine })).rejects.toThrow(problem);
    }
    await expect(loadModel({ files: { 'config.json': 7 as never } }, { engine })).rejects.toThrow(
      'config.json: expected bytes or a Blob, found 7',
    );
    await expect(loadModel({ files: null as never }, { engine })).rejects.toThrow('files: expected');
  });

  it('says what a server answered', async () => {
    using model = text();
    const files = under('/', await encodeModel(model));
    const page = (response: ServerResponse): void => {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end('<!doctype html>');
    };
    const cut = (response: ServerResponse): void => {
      response.writeHead(200, { 'Content-Length': 9000 }).write('x'.repeat(100));
      setTimeout(() => response.destroy(), 50);
    };
    const status = (code: number) => (response: ServerResponse) => void response.writeHead(code).end();
    const refused = (name: string, problem: string, answer?: (response: ServerResponse) => void) => {
      const { [`/${name}`]: _, ...others } = files;
      return serving(answer ? { ...others, [`/${name}`]: answer } : others, (address) =>
        expect(loadModel(`${address}/`, { engine })).rejects.toThrow(`${address}/${name}: ${problem}`),
      );
    };
    await refused('config.json', 'there is no such file (HTTP 404 Not Found)');
    await refused('config.json', "expected a model's file, found a page (HTML)", page);
    await refused('model.safetensors', 'there is no such file');
    await refused('model.safetensors', 'the server does not give the file (HTTP 403 Forbidden)', status(403));
    await refused('tokenizer.json', 'the server does not give the file (HTTP 500', status(500));
    await refused('model.safetensors', 'the connection ended before the file (', cut);
    // An application's page in place of a file that need not be there.
    await serving({ ...files, '/tokenizer.json': page }, async (address) => {
      using loaded = await loadModel(address, { engine, kind: 'text' });
      expect(loaded.tokenizer).toBeUndefined();
    });
    const gone = await serving({}, async (address) => address);
    await expect(loadModel(gone, { engine })).rejects.toThrow(
      /config\.json: cannot be fetched \(.*ECONNREFUSED/,
    );
  });
});

describe('saveModel', () => {
  it('replaces a model as a whole and leaves a folder of something else as it is', async () => {
    const path = join(folder, 'twice');
    using first = text(1);
    using second = text(2);
    await saveModel(first, path);
    await saveModel(second, path);
    using loaded = await loadModel(path, { engine, kind: 'text' });
    expect(await loaded.model.read()).toEqual(await second.model.read());
    const foreign = await mkdtemp(join(folder, 'foreign-'));
    await writeFile(join(foreign, 'notes.txt'), 'mine');
    await expect(saveModel(first, foreign)).rejects.toThrow('notes.txt');
    expect(await readdir(foreign)).toEqual(['notes.txt']);
    await expect(saveModel({} as never, path)).rejects.toThrow('model: expected a model');
    await expect(saveModel(first, '')).rejects.toThrow('folder: expected the path of a folder');
  });
});

describe('the entry of browsers', () => {
  it('has the names of the one of Node, and no folders', async () => {
    expect(Object.keys(browserEntry).sort()).toEqual(Object.keys(nodeEntry).sort());
    using model = text();
    await expect(browserEntry.saveModel(model, 'x')).rejects.toThrow('there are no folders here');
    await expect(browserEntry.loadModel('runs/x', { engine })).rejects.toThrow(
      'loadModel: expected an address, found "runs/x"',
    );
  });
});
