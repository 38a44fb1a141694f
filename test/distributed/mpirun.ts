import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadMpiLibrary } from '../../src/distributed/mpi_library.ts';

const run = promisify(execFile);

export interface Installed {
  readonly name: 'MPICH' | 'Open MPI';
  readonly mpirun: string;
  readonly library: string;
  /** Whether both the launcher and the library are there. */
  readonly present: boolean;
}

/** As Debian installs them, side by side. */
const known = [
  { name: 'MPICH', mpirun: 'mpirun.mpich', library: 'libmpich.so.12' },
  { name: 'Open MPI', mpirun: 'mpirun.openmpi', library: 'libmpi.so.40' },
] as const;

/** The two libraries, and whether they are on this machine. */
export const installed: readonly Installed[] = await Promise.all(
  known.map(async (mpi) => {
    const found = await Promise.all([
      run(mpi.mpirun, ['--version']),
      loadMpiLibrary({ XLSTM_MPI_LIBRARY: mpi.library }, undefined),
    ]).then(
      () => true,
      () => false,
    );
    return { ...mpi, present: found };
  }),
);

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Programs that ranks run, in order: so many ranks, and what Node is given. */
export type Programs = readonly (readonly [ranks: number, args: readonly string[]])[];

/** Starts ranks in a folder. */
export function startRanks(
  { name, mpirun }: Installed,
  cwd: string,
  programs: Programs,
  env: NodeJS.ProcessEnv = {},
): Started {
  const more = name === 'Open MPI' ? ['--oversubscribe'] : [];
  const parts = programs.map(([ranks, args]) => ['-n', `${ranks}`, process.execPath, ...args]);
  return start(cwd, mpirun, [...more, ...parts.flatMap((part, i) => (i > 0 ? [':', ...part] : part))], env);
}

const here = fileURLToPath(new URL('.', import.meta.url));

/** Ranks of a program of this folder. */
export const mpirun = (
  library: Installed,
  ranks: number,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> => startRanks(library, here, [[ranks, args]], env).ended;

/** A program of this folder in a process by itself. */
export const startNode = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  start(here, process.execPath, args, env).ended;

/** Does not wait longer than 100 seconds. */
function start(cwd: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  // Open MPI refuses the root user, whom containers have, unless told twice.
  const root = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' };
  const child = spawn(program, args, {
    cwd,
    timeout: 100_000,
    env: { ...process.env, ...root, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (text) => {
      said[name] += text;
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...said }));
  });
  return { process: child, ended };
}

/**
 * What Ctrl-C does. The launcher of Open MPI passes it on after a second and kills what is there a second later, which is too
 * soon on a machine that does other work: there rank 0 gets it, as it would from the launcher.
 */
export function interrupt({ name }: Installed, { process: launcher }: Started): void {
  if (name === 'Open MPI') process.kill(pidOfRank(launcher, 0), 'SIGINT');
  else launcher.kill('SIGINT');
}

/** The process of a rank that this launcher, or a process of it, started. */
export function pidOfRank(launcher: ChildProcess, rank: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = /^PPid:\s*(\d+)$/m.exec(readOrNothing(`/proc/${name}/status`))?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isOurs = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent === launcher.pid || (parent !== undefined && isOurs(parent));
  };
  for (const pid of [...parents.keys()].filter(isOurs)) {
    const env = readOrNothing(`/proc/${pid}/environ`).split('\0');
    if (env.some((text) => new RegExp(`^(PMI_RANK|OMPI_COMM_WORLD_RANK)=${rank}$`).test(text))) return pid;
  }
  throw new Error(`no process of ${launcher.pid} is rank ${rank}`);
}

/** Processes come and go while they are looked at. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
