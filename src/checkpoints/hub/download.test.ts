import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { createModel } from '../../models/create_model.ts';
import { checkpointFiles } from '../checkpoint.ts';
import { loadCheckpoint } from '../checkpoint_folder.ts';
import { cachedModel, parseHubName } from './cache.ts';
import { type DownloadOptions, downloadModel } from './download.ts';
import { hubEnvironment } from './environment.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const NAME = 'someone/tiny';

/** A hub on loopback: what it has, what it was asked for, and how it answers where a test says otherwise. */
const hub = {
  files: new Map<string, Uint8Array>(),
  asked: [] as string[],
  headers: [] as IncomingMessage['headers'][],
  answer: undefined as
    | ((path: string, response: ServerResponse, request: IncomingMessage) => boolean)
    | undefined,
  listing: (): unknown => ({
    sha: COMMIT,
    siblings: [...hub.files].map(([rfilename, content]) => ({
      rfilename,
      size: content.length,
      blobId: sha1(content),
      ...(rfilename.endsWith('.safetensors') && { lfs: { sha256: sha256(content), size: content.length } }),
    })),
  }),
};

const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');
const sha1 = (content: Uint8Array): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

function serve(request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent((request.url ?? '').replace(/\?.*/, ''));
  hub.asked.push(`${path}${request.headers.range ? ` ${request.headers.range}` : ''}`);
  hub.headers.push(request.headers);
  if (hub.answer?.(path, response, request)) return;
  if (path === `/api/models/${NAME}/revision/main`) {
    response.end(JSON.stringify(hub.listing()));
    return;
  }
  const content = hub.files.get(path.replace(`/${NAME}/resolve/${COMMIT}/`, ''));
  if (!content) {
    response.writeHead(404).end();
    return;
  }
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, { 'Content-Length': content.length - from });
  response.end(content.subarray(from));
}

let server: Server;
let cache = '';
const WEIGHTS = `/${NAME}/resolve/${COMMIT}/model.safetensors`;

beforeEach(async () => {
  const model = createModel(createReferenceEngine(), {
    architecture: 'xlstm-large',
    vocabSize: 64,
    ...{ embeddingDim: 32, numBlocks: 2, numHeads: 2 },
  });
  const files = await checkpointFiles({ model });
  model.free();
  const bytes = (content: Uint8Array | string): Uint8Array => new Uint8Array(Buffer.from(content));
  hub.files = new Map([...files].map(([name, content]) => [name, bytes(content)]));
  hub.files.set('LICENSE', bytes('Free for all.'));
  hub.files.set('pictures.bin', bytes('not asked for'));
  Object.assign(hub, { asked: [], headers: [], answer: undefined });
  server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cache = await mkdtemp(join(tmpdir(), 'xlstm-hub-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cache, { recursive: true, force: true });
});

const download = async (options: DownloadOptions = {}, more = {}): Promise<string> =>
  downloadModel(NAME, {
    environment: {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      ...{ cache, token: undefined, offline: false, ...more },
    },
    firstWaitMs: 1,
    ...options,
  });
const folder = (): string => join(cache, 'models--someone--tiny');
const incomplete = (): string[] =>
  readdirSync(join(folder(), 'blobs')).filter((name) => name.endsWith('.incomplete'));

async function refused(options: DownloadOptions = {}, more = {}): Promise<string> {
  const error = await download(options, more).catch((found: Error) => found);
  expect(error).toMatchObject({ name: 'XlstmError' });
  expect(existsSync(join(folder(), 'snapshots', COMMIT))).toBe(false);
  return (error as Error).message;
}

it('lays the files of the model where other programs look for them, and asks for none of them again', async () => {
  const seen: [number, number][] = [];
  const path = await download({ onProgress: (...counts) => seen.push(counts) });
  expect(path).toBe(join(folder(), 'snapshots', COMMIT));
  expect(readdirSync(path).sort()).toEqual(['LICENSE', 'config.json', 'licence.json', 'model.safetensors']);
  for (const name of ['LICENSE', 'config.json', 'model.safetensors']) {
    expect(new Uint8Array(await readFile(join(path, name)))).toEqual(hub.files.get(name));
  }
  expect(await readFile(join(folder(), 'refs/main'), 'utf8')).toBe(COMMIT);
  const [bytes, total] = seen.at(-1)!;
  expect(bytes).toBe(total);
  expect(total).toBe(
    ['LICENSE', 'config.json', 'model.safetensors'].reduce(
      (sum, name) => sum + hub.files.get(name)!.length,
      0,
    ),
  );
  expect(hub.headers.every(({ authorization }) => authorization === undefined)).toBe(true);
  hub.asked.length = 0;
  expect(await download()).toBe(path);
  expect(hub.asked).toEqual([`/api/models/${NAME}/revision/main`]);
});

it('the name then stands for the folder, without a connection', async () => {
  await download();
  vi.stubEnv('HF_HUB_CACHE', cache);
  const { model } = await loadCheckpoint(createReferenceEngine(), NAME);
  expect(model.design?.describe().summary).toContain('xLSTM Large');
  model.free();
  hub.asked.length = 0;
  expect(await download({}, { offline: true })).toBe(join(folder(), 'snapshots', COMMIT));
  expect(hub.asked).toEqual([]);
  await expect(loadCheckpoint(createReferenceEngine(), 'someone/other')).rejects.toMatchObject({
    hint: expect.stringContaining('xlstm download someone/other'),
  });
  await expect(
    downloadModel('someone/other', {
      environment: { endpoint: 'http://x', cache, token: undefined, offline: true },
    }),
  ).rejects.toThrow('HF_HUB_OFFLINE');
});

describe('the licence', () => {
  const recorded = async (): Promise<unknown> =>
    JSON.parse(await readFile(join(folder(), 'snapshots', COMMIT, 'licence.json'), 'utf8'));

  it.each([
    [{ license: 'apache-2.0' }, 'apache-2.0', undefined],
    [
      { license: 'other', license_name: 'nxai-community', license_link: 'https://hub/LICENSE' },
      'nxai-community',
      'https://hub/LICENSE',
    ],
    [{ license: 'other' }, 'other', undefined],
    [{ license: ['a'], license_link: '' }, undefined, undefined],
    [undefined, undefined, undefined],
  ])('is told once and recorded beside the files: %j', async (cardData, name, link) => {
    const { listing } = hub;
    hub.listing = () => ({ ...(listing() as object), cardData });
    try {
      const told: unknown[] = [];
      for (let time = 0; time < 2; time++) await download({ onLicence: (licence) => told.push(licence) });
      const file = join(folder(), 'snapshots', COMMIT, 'LICENSE');
      expect(told).toEqual([{ name, link, file }]);
      expect(await recorded()).toEqual({
        ...{ model: NAME, commit: COMMIT, file: 'LICENSE' },
        ...(name && { licence: name }),
        ...(link && { link }),
      });
    } finally {
      hub.listing = listing;
    }
  });

  it('of a model without a file of its own, whose configuration is in its .ckpt', async () => {
    hub.files = new Map([['model.ckpt', new Uint8Array(10)]]);
    const told: unknown[] = [];
    const path = await download({ onLicence: ({ file }) => told.push(file) });
    expect(told).toEqual([undefined]);
    expect(readdirSync(path).sort()).toEqual(['licence.json', 'model.ckpt']);
  });
});

it('sends the token, if there is one', async () => {
  await download({}, { token: 'hf_secret' });
  expect(new Set(hub.headers.map(({ authorization }) => authorization))).toEqual(
    new Set(['Bearer hf_secret']),
  );
});

describe('a connection that breaks', () => {
  it('goes on where it ended', async () => {
    const content = hub.files.get('model.safetensors')!;
    let left = 3;
    hub.answer = (path, response, request) => {
      if (path !== WEIGHTS || left-- === 0) return false;
      const from = Number(/(\d+)-/.exec(request.headers.range ?? '0-')![1]);
      response.writeHead(from > 0 ? 206 : 200, { 'Content-Length': content.length - from });
      response.write(content.subarray(from, from + 1000), () => response.destroy());
      return true;
    };
    await download();
    expect(hub.asked.filter((asked) => asked.startsWith(WEIGHTS))).toEqual([
      WEIGHTS,
      ...[1000, 2000, 3000].map((from) => `${WEIGHTS} bytes=${from}-`),
    ]);
  });

  it('that brings nothing is tried some times, and what is there stays for the next download', async () => {
    const content = hub.files.get('model.safetensors')!;
    let sent = 0;
    hub.answer = (path, response) => {
      if (path !== WEIGHTS) return false;
      response.writeHead(200, { 'Content-Length': content.length });
      if (sent++ > 0) response.destroy();
      else response.write(content.subarray(0, 500), () => response.destroy());
      return true;
    };
    expect(await refused()).toContain('after 5 attempts');
    expect(incomplete()).toHaveLength(1);
    hub.answer = undefined;
    hub.asked.length = 0;
    await download();
    expect(hub.asked).toContain(`${WEIGHTS} bytes=500-`);
    expect(incomplete()).toEqual([]);
  });

  it('to a server that only sends whole files', async () => {
    const content = hub.files.get('model.safetensors')!;
    let first = true;
    hub.answer = (path, response) => {
      if (path !== WEIGHTS) return false;
      response.writeHead(200, { 'Content-Length': content.length });
      if (first) response.write(content.subarray(0, 700), () => response.destroy());
      else response.end(content);
      first = false;
      return true;
    };
    const path = await download();
    expect(new Uint8Array(await readFile(join(path, 'model.safetensors')))).toEqual(content);
  });

  it('because the caller ends it', async () => {
    const stop = new AbortController();
    hub.answer = (path, response) => {
      if (path !== WEIGHTS) return false;
      response.writeHead(200, { 'Content-Length': hub.files.get('model.safetensors')!.length });
      response.write(hub.files.get('model.safetensors')!.subarray(0, 900), () =>
        setTimeout(() => stop.abort(), 50),
      );
      return true;
    };
    await expect(download({ signal: stop.signal })).rejects.toThrow(/abort/i);
    hub.answer = undefined;
    await download();
    expect(hub.asked).toContain(`${WEIGHTS} bytes=900-`);
  });
});

describe('says what is wrong, and leaves no model', () => {
  it('content with another digest, which is then downloaded anew', async () => {
    const content = hub.files.get('model.safetensors')!.slice();
    content[content.length - 1] ^= 1;
    hub.answer = (path, response) => {
      if (path !== WEIGHTS) return false;
      response.end(content);
      return true;
    };
    expect(await refused()).toMatch(
      /model\.safetensors: expected the digest [0-9a-f]{64}, found [0-9a-f]{64}/,
    );
    expect(incomplete()).toEqual([]);
    hub.answer = undefined;
    await download();
  });

  it('more bytes than the hub said', async () => {
    hub.answer = (path, response) => {
      if (!path.endsWith('config.json')) return false;
      response.end('x'.repeat(hub.files.get('config.json')!.length + 1));
      return true;
    };
    expect(await refused()).toContain('config.json: expected');
  });

  it.each([
    [401, undefined, 'HTTP 401', 'Give a token with HF_TOKEN'],
    [403, 'hf_other', 'the owner of this token', 'Ask for access'],
    [404, undefined, `the hub has no ${NAME} at main`, 'Check the name'],
    [410, undefined, 'the hub refused (HTTP 410)', ''],
  ])('HTTP %i', async (status, token, message, hint) => {
    hub.answer = (_, response) => {
      response.writeHead(status).end();
      return true;
    };
    const error = await download({}, { token }).catch((found: Error) => found);
    expect(error).toMatchObject({ code: 'checkpoint', message: expect.stringContaining(message) });
    expect((error as { hint?: string }).hint ?? '').toContain(hint);
    expect(hub.asked).toHaveLength(1);
  });

  it('too many requests, or a server that fails: it waits and asks again', async () => {
    const answers = [429, 503, 500];
    hub.answer = (_, response) => {
      const status = answers.shift();
      if (status === undefined) return false;
      response.writeHead(status, status === 429 ? { 'Retry-After': '0' } : {}).end();
      return true;
    };
    await download();
    hub.answer = (_, response) => {
      response.writeHead(429).end();
      return true;
    };
    await expect(download()).rejects.toMatchObject({
      message: expect.stringContaining('no answer after 5 attempts (HTTP 429)'),
      hint: expect.stringContaining('HF_TOKEN'),
    });
  });

  it('no hub', async () => {
    const environment = { endpoint: 'http://127.0.0.1:1', cache, token: undefined, offline: false };
    await expect(downloadModel(NAME, { environment, firstWaitMs: 1 })).rejects.toThrow(
      'no answer after 5 attempts',
    );
  });

  it.skipIf(process.platform !== 'linux')('a disk that is full', async () => {
    await mkdir(join(folder(), 'blobs'), { recursive: true });
    const digest = sha256(hub.files.get('model.safetensors')!);
    await symlink('/dev/full', join(folder(), 'blobs', `${digest}.incomplete`));
    expect(await refused()).toContain('the disk is full');
  });

  it.each([
    ['no commit', { sha: 'main', siblings: [] }, 'sha: expected a commit'],
    ['no files', { sha: COMMIT }, 'siblings: expected a list'],
    [
      'a size that is none',
      { sha: COMMIT, siblings: [{ rfilename: 'a', size: -1 }] },
      'size: expected a number',
    ],
    [
      'a digest that is a path',
      { sha: COMMIT, siblings: [{ rfilename: 'a', size: 1, blobId: '../../x' }] },
      'blobId: expected 40',
    ],
    [
      'another thing than a model',
      { sha: COMMIT, siblings: [] },
      'expected a model (config.json, or a .ckpt)',
    ],
    ['JSON that is none', undefined, 'expected'],
  ])('a listing with %s', async (_, listing, message) => {
    hub.answer = (path, response) => {
      if (!path.startsWith('/api')) return false;
      response.end(listing ? JSON.stringify(listing) : '<html>');
      return true;
    };
    expect(await refused()).toContain(message);
  });

  it('a name that leads elsewhere', async () => {
    for (const name of ['tiny', '../tiny', 'a/b/c', 'a/..', '/a/b', 'a/b@../c', 'a\\b', '']) {
      expect(parseHubName(name), name).toBe(undefined);
      await expect(downloadModel(name)).rejects.toMatchObject({ code: 'usage' });
    }
    const before = hub.listing();
    hub.answer = (path, response) => {
      if (!path.startsWith('/api')) return false;
      const evil = { rfilename: '../model.safetensors', size: 1, blobId: '0'.repeat(40) };
      response.end(
        JSON.stringify({ ...(before as object), siblings: [...(before as { siblings: [] }).siblings, evil] }),
      );
      return true;
    };
    const path = await download();
    expect(readdirSync(path).sort()).toEqual(['LICENSE', 'config.json', 'licence.json', 'model.safetensors']);
  });
});

it('minds the variables of Hugging Face', async () => {
  const home = join(cache, 'home');
  await mkdir(home);
  await writeFile(join(home, 'token'), 'hf_file\n');
  expect(await hubEnvironment({ HF_HOME: home })).toEqual({
    endpoint: 'https://huggingface.co',
    ...{ cache: join(home, 'hub'), token: 'hf_file', offline: false },
  });
  expect(
    await hubEnvironment({
      ...{ HF_HOME: home, HF_TOKEN: 'hf_own', HF_HUB_CACHE: cache },
      ...{ HF_ENDPOINT: 'http://localhost:1/', HF_HUB_OFFLINE: '1' },
    }),
  ).toEqual({ endpoint: 'http://localhost:1', cache, token: 'hf_own', offline: true });
  await expect(hubEnvironment({ HF_ENDPOINT: 'file:///x' })).rejects.toThrow(
    'HF_ENDPOINT: expected an address',
  );
  expect(await cachedModel({ name: 'a/b', revision: 'main' }, cache)).toBe(undefined);
});
