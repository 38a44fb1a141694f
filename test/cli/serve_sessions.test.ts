import { beforeAll, expect, it, vi } from 'vitest';
import { hasRedis, startRedis } from '../../src/serving/testing/redis.ts';
import { type Started, TINY, workplace } from './command.ts';
import { url } from './serving.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const { xlstm, start } = workplace();

beforeAll(async () => {
  const args = ['train', ...TINY, '--steps', '2', '--engine', 'wasm', '--out', 'run'];
  expect((await xlstm(args)).code).toBe(0);
});

const serve = (...args: string[]): Started =>
  start(['serve', 'run', '--engine', 'wasm', '--port', '0', ...args]);

async function post(server: string, path: string, body: object): Promise<Response> {
  return fetch(`${server}/v1/sessions${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** A text in a session, written whole. */
async function written(server: string, id: string, prompt: string): Promise<string> {
  const response = await post(server, `/${id}/completions`, { prompt, max_tokens: 30, seed: 5 });
  const { choices } = (await response.json()) as { choices: { text: string }[] };
  return choices[0].text;
}

const created = async (server: string): Promise<string> =>
  ((await (await post(server, '', { model: 'run' })).json()) as { id: string }).id;

/** The same conversation where nothing goes wrong. */
async function undisturbed(server: string): Promise<string[]> {
  const id = await created(server);
  return [
    await written(server, id, 'The whale'),
    await written(server, id, ' and'),
    await written(server, id, '.'),
  ];
}

/** Kills a server in the middle of a text of a session. */
async function killedInText({ process, ended }: Started, server: string, id: string): Promise<void> {
  const body = { prompt: ' and', max_tokens: 4000, seed: 5, stream: true };
  const response = await post(server, `/${id}/completions`, body);
  await response.body?.getReader().read();
  process.kill('SIGKILL');
  await ended;
}

it.runIf(hasRedis)('of two servers on one Redis one goes on where the other was killed', async () => {
  const redis = await startRedis();
  const first = serve('--session-store', redis.url);
  const second = serve('--session-store', redis.url);
  const [one, other] = await Promise.all([url(first), url(second)]);
  const expected = await undisturbed(one);
  const id = await created(one);
  expect(await written(one, id, 'The whale')).toBe(expected[0]);
  await killedInText(first, one, id);
  expect(await written(other, id, ' and')).toBe(expected[1]);
  expect(await written(other, id, '.')).toBe(expected[2]);
  await redis.stop();
  expect((await fetch(`${other}/v1/sessions/${id}`)).status).toBe(503);
  second.process.kill('SIGINT');
  expect((await second.ended).code).toBe(0);
});

it('a server that was killed goes on from the disk when it is started again', async () => {
  const first = serve('--session-store', 'disk:sessions');
  const one = await url(first);
  const expected = await undisturbed(one);
  const id = await created(one);
  expect(await written(one, id, 'The whale')).toBe(expected[0]);
  await killedInText(first, one, id);
  const second = serve('--session-store', 'disk:sessions');
  const other = await url(second);
  expect(await written(other, id, ' and')).toBe(expected[1]);
  expect(await written(other, id, '.')).toBe(expected[2]);
  second.process.kill('SIGINT');
  expect((await second.ended).code).toBe(0);
});
