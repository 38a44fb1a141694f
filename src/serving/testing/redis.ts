import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether there is a Redis to start: Debian's package redis-server. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

export interface StartedRedis {
  readonly url: string;
  stop(): Promise<void>;
}

/** A Redis of its own, which keeps nothing. */
export async function startRedis(): Promise<StartedRedis> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'xlstm-redis-'));
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', folder];
  const redis: ChildProcess = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => redis.once('exit', () => resolve()));
  await new Promise<void>((ready, failed) => {
    let told = '';
    redis.stdout?.on('data', (text) => {
      told += text;
      if (told.includes('Ready to accept connections')) ready();
    });
    ended.then(() => failed(new Error(told)));
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: () => {
      redis.kill('SIGKILL');
      return ended;
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
