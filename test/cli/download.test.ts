import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { workplace } from './command.ts';

const { path, xlstm } = workplace();
const COMMIT = 'a'.repeat(40);
const digest = (content: Uint8Array): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

/** Has the model that `xlstm init` wrote. */
const server = createServer((request, response) => {
  const name = /\/resolve\/a{40}\/(.*)$/.exec(request.url ?? '')?.[1];
  const content = (file: string): Uint8Array => readFileSync(path('models/xlstm-tiny', file));
  const siblings = ['config.json', 'model.safetensors', 'tokenizer.json'].map((rfilename) => {
    return { rfilename, size: content(rfilename).length, blobId: digest(content(rfilename)) };
  });
  if (name) response.end(content(name));
  else if (request.url?.startsWith('/api/models/me/tiny/'))
    response.end(JSON.stringify({ sha: COMMIT, siblings, cardData: { license: 'apache-2.0' } }));
  else response.writeHead(404).end();
});
let env: Record<string, string> = {};

beforeAll(async () => {
  expect((await xlstm(['init', '--preset', 'xlstm-tiny'])).code).toBe(0);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  env = { HF_ENDPOINT: `http://127.0.0.1:${port}`, HF_HUB_CACHE: path('hub') };
}, 60_000);
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

it('downloads a model, whose name every command takes afterwards', async () => {
  const before = await xlstm(['generate', 'me/tiny'], env);
  expect(before.code).toBe(1);
  expect(before.stderr).toContain('xlstm download me/tiny');
  const { code, stdout, stderr } = await xlstm(['download', 'me/tiny'], env);
  expect(code, stderr).toBe(0);
  expect(stdout.trim()).toBe(path('hub/models--me--tiny/snapshots', COMMIT));
  expect(stderr).toMatch(/^licence me\/tiny is given under apache-2\.0$/m);
  expect((await xlstm(['download', 'me/tiny'], env)).stderr).not.toContain('licence');
  const { stdout: json, stderr: problem } = await xlstm(
    ['generate', 'me/tiny', '--prompt', 'a', '--max-tokens', '3', '--json'],
    env,
  );
  expect(JSON.parse(json).tokens, problem).toBe(3);
  expect((await xlstm(['convert', 'me/tiny', 'official', '--to', 'official'], env)).code).toBe(0);
  expect(await readFile(path('official/config.yaml'), 'utf8')).toContain('vocab_size: 256');
}, 60_000);

it('says in one message what is wrong', async () => {
  const missing = await xlstm(['download', 'me/other'], env);
  expect(missing.code).toBe(1);
  expect(missing.stderr).toMatch(
    /^error: .*the hub has no me\/other at main \(HTTP 404\)\n {2}Check the name/,
  );
  const wrong = await xlstm(['download', 'tiny'], env);
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('As NX-AI/xLSTM-7b');
});
