import { spawn } from 'node:child_process';
import type { SweepCell, SweepRecord } from './sweep.ts';

/** What launchers say to their processes: a command of a cell is none of theirs. */
const LAUNCHERS = /^(OMPI_|PMIX_|PMI_|PMI2_|HYDRA_|HYDI_|MPI_LOCAL|SLURM_PROCID$|SLURM_STEP)/;

/** Characters of what a command that failed said last. */
const TOLD = 2000;

/**
 * Runs a cell as a process of its own. Rejects with the signal's reason where it was stopped.
 *
 * @param program What Node runs, before the command.
 */
export async function runCommand(
  program: readonly string[],
  { command, options, folder }: SweepCell,
  signal: AbortSignal,
): Promise<SweepRecord> {
  const start = performance.now();
  const { code, killedBy, stdout, stderr } = await ended(
    [...program, ...argumentsOf({ command, options, folder })],
    signal,
  );
  signal.throwIfAborted();
  const record = { command, options, seconds: (performance.now() - start) / 1000 };
  if (code !== 0) {
    const how = killedBy ? `ended by ${killedBy}` : `exit code ${code}`;
    return { ...record, status: 'failed', message: `${how}: ${stderr.slice(-TOLD).trim()}` };
  }
  try {
    return { ...record, status: 'done', result: JSON.parse(stdout) };
  } catch {
    return { ...record, status: 'failed', message: `expected JSON, found ${stdout.slice(0, TOLD)}` };
  }
}

/** The whole command line: {cell} stands for the folder of the cell, in which a run of training lies. */
export function argumentsOf({ command, options, folder }: SweepCell): string[] {
  const chosen = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const has = (option: string): boolean =>
    [...command, ...chosen].some((word) => word === option || word.startsWith(`${option}=`));
  const out = command[0] === 'train' && !has('--out') ? ['--out', '{cell}'] : [];
  const json = has('--json') ? [] : ['--json'];
  return [...command, ...chosen, ...out, ...json].map((word) => word.replaceAll('{cell}', folder));
}

interface Ended {
  readonly code: number | null;
  readonly killedBy: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

function ended(args: readonly string[], signal: AbortSignal): Promise<Ended> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !LAUNCHERS.test(name)));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr = (stderr + text).slice(-2 * TOLD);
    });
    const stop = (): void => {
      child.kill('SIGKILL');
    };
    signal.addEventListener('abort', stop);
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      signal.removeEventListener('abort', stop);
      resolve({ code, killedBy, stdout, stderr });
    });
  });
}
