import { execFile } from 'node:child_process';
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
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts ranks of a program of this folder; does not wait longer than 50 seconds. */
export function mpirun(
  { name, mpirun }: Installed,
  ranks: number,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const more = name === 'Open MPI' ? ['--oversubscribe'] : [];
  return start(mpirun, [...more, '-n', `${ranks}`, process.execPath, ...args], env);
}

/** The same program in a process by itself. */
export const startNode = (args: readonly string[]): Promise<Ended> => start(process.execPath, args);

async function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  try {
    const { stdout, stderr } = await run(program, args, {
      cwd,
      timeout: 50_000,
      // Open MPI refuses the root user, whom containers have, unless told twice.
      env: { ...process.env, OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1', ...env },
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}
