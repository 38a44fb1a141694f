import { writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { beforeAll, expect, it, vi } from 'vitest';
import { TINY, workplace } from './command.ts';
import { url } from './serving.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { path, xlstm, start } = workplace();

beforeAll(async () => {
  const args = ['train', ...TINY, '--steps', '2', '--engine', 'wasm', '--out', 'run'];
  expect((await xlstm(args)).code).toBe(0);
});

const post = (server: string, body: object, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${server}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

it('answers, and at Ctrl-C writes what was begun to its end', async () => {
  await writeFile(path('keys'), 'one\ntwo\n');
  const args = [
    'serve',
    'run',
    '--port',
    '0',
    '--engine',
    'wasm',
    '--api-key-file',
    'keys',
    '--name',
    'mine',
  ];
  const started = start(args);
  const server = await url(started);
  const headers = { authorization: 'Bearer two' };
  expect((await post(server, { model: 'mine', prompt: 'a' })).status).toBe(401);
  const body = { model: 'mine', prompt: 'The', max_tokens: 400, stream: true, seed: 1 };
  const response = await post(server, body, headers);
  expect(response.status).toBe(200);
  started.process.kill('SIGINT');
  const text = await response.text();
  expect(text).toContain('"finish_reason":"');
  expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  expect((await started.ended).code).toBe(0);
  await expect(post(server, body, headers)).rejects.toThrow();
});

it('is kept by nobody: who does not read, who sends half of a request, who is gone', async () => {
  const started = start(['serve', 'run', '--port', '0', '--engine', 'wasm', '--slots', '4', '--queue', '0']);
  const server = await url(started);
  const port = Number(new URL(server).port);
  const body = JSON.stringify({ model: 'run', prompt: 'The', max_tokens: 4000, stream: true });
  const head = `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  const open = async (text: string): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((connected) => socket.once('connect', connected));
    socket.write(text);
    return socket;
  };
  const slow = await open(head + body);
  slow.pause();
  const half = await open(head + body.slice(0, 10));
  const gone = await Promise.all(Array.from({ length: 3 }, () => open(head + body)));
  const status = async (): Promise<string> => (await fetch(`${server}/metrics`)).text();
  await expect.poll(status, { timeout: 20_000 }).toMatch(/xlstm_writing\{model="run"\} [34]/);
  for (const socket of gone) socket.destroy();
  await expect.poll(status, { timeout: 20_000 }).toMatch(/xlstm_writing\{model="run"\} [01]\n/);
  expect((await post(server, { model: 'run', prompt: 'a', max_tokens: 5 })).status).toBe(200);
  started.process.kill('SIGTERM');
  expect((await started.ended).code).toBe(0);
  slow.destroy();
  half.destroy();
});

it('says why it cannot begin', async () => {
  const taken = createServer();
  const port = await new Promise<number>((resolve) => {
    taken.listen(0, '127.0.0.1', () => resolve((taken.address() as { port: number }).port));
  });
  const busy = await xlstm(['serve', 'run', '--engine', 'wasm', '--port', String(port)]);
  expect(busy.code).not.toBe(0);
  expect(busy.stderr).toContain(`--port ${port}: the port is in use`);
  taken.close();
  const keyless = await xlstm(['serve', 'run', '--api-key-file', 'none']);
  expect(keyless.stderr).toContain('--api-key-file none: cannot read it (ENOENT)');
  await writeFile(path('empty'), '\n');
  expect((await xlstm(['serve', 'run', '--api-key-file', 'empty'])).stderr).toContain(
    'expected a key a line',
  );
});
