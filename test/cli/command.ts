import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';

export const bin = fileURLToPath(new URL('../../bin/xlstm.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts the command line in a folder. */
export function start(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { process: child, ended };
}

/** A folder for the tests of a file, with a small text in `text.txt`; the command line runs in it. */
export function workplace(): {
  path(...names: string[]): string;
  xlstm(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended>;
  start(args: readonly string[]): Started;
  /** Starts training into the folder `out` and waits for so many lines of metrics more than there are, or its end. */
  begun(args: readonly string[], out: string, lines?: number): Promise<Started>;
} {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xlstm-cli-'));
    await writeFile(join(folder, 'text.txt'), TEXT);
  });
  afterAll(() => rm(folder, { recursive: true }));
  return {
    path: (...names) => join(folder, ...names),
    xlstm: (args, env) => start(folder, args, env).ended,
    start: (args) => start(folder, args),
    async begun(args, out, lines = 3) {
      const started = start(folder, args);
      const file = join(folder, out, 'metrics.jsonl');
      const count = async (): Promise<number> =>
        existsSync(file) ? (await readFile(file, 'utf8')).split('\n').length : 0;
      const before = await count();
      while (started.process.exitCode === null && (await count()) < before + lines) await sleep(2);
      return started;
    },
  };
}

const TEXT = 'The white whale swims in the wide and restless sea, and nobody knows where it sleeps.\n'.repeat(
  40,
);

/** Options of the smallest model worth the name. */
const SMALL = ['--dim', '16', '--heads', '2', '--blocks', '2'];
/** Options of small steps. */
export const SHORT = ['--batch', '2', '--length', '16', '--warmup-steps', '2', '--sample', '0'];

/** The smallest model on a text. */
export const tinyOn = (...data: string[]): string[] => ['--data', ...data, ...SMALL, ...SHORT];
export const TINY = tinyOn('text.txt');

/** The lines of a metrics file. */
export const metrics = async (path: string): Promise<Record<string, number>[]> =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
