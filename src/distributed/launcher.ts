import { XlstmError } from '../errors.ts';

/** What a launcher told a process in its environment. */
export interface Launch {
  /** mpirun of Open MPI, mpirun of MPICH (or another Hydra), or srun. */
  readonly launcher: 'Open MPI' | 'MPICH' | 'Slurm';
  readonly rank: number;
  readonly size: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Undefined for a process that was started by itself. */
export function findLaunch(env: Environment): Launch | undefined {
  const read = (launcher: Launch['launcher'], rank: string, size: string): Launch | undefined => {
    const [first, second] = [Number(env[rank] ?? Number.NaN), Number(env[size] ?? Number.NaN)];
    return Number.isSafeInteger(first) && Number.isSafeInteger(second)
      ? { launcher, rank: first, size: second }
      : undefined;
  };
  return (
    read('Open MPI', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE') ??
    // Tasks of a step: in a batch script, which is one process, these are not set.
    read('Slurm', 'SLURM_PROCID', 'SLURM_STEP_NUM_TASKS') ??
    read('MPICH', 'PMI_RANK', 'PMI_SIZE')
  );
}

/** Ranks that do not find each other. Each of them finds so by itself. */
export class LaunchMismatch extends XlstmError {}

/** Throws where the launcher started more ranks, or fewer, than found each other: each would do all of the work. */
export function checkLaunch(launch: Launch | undefined, size: number, library: string): void {
  if (!launch || launch.size === size) return;
  const { launcher } = launch;
  throw new LaunchMismatch(
    'engine',
    `${launcher} started ${launch.size} ranks, but ${library} finds ${size}: they do not belong together`,
    launcher === 'Slurm'
      ? 'Start them with srun --mpi=pmix (Open MPI) or srun --mpi=pmi2 (MPICH); srun --mpi=list says what there is.'
      : `Start them with the mpirun of that library, or name the library of ${launcher} in XLSTM_MPI_LIBRARY.`,
  );
}
