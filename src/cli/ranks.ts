import { readFile } from 'node:fs/promises';
import { cpus, hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { availableCores } from '../compute/engines/host.ts';
import { type Collective, gatherTexts, oneProcess } from '../distributed/collective.ts';
import { findLaunch } from '../distributed/launcher.ts';
import { mpi } from '../distributed/mpi.ts';
import { errorText } from './error_text.ts';

/** The processes that a launcher started together. */
export interface Ranks {
  readonly collective: Collective;
  /** Of an engine of this rank: cores are shared by the ranks that may use them. Undefined: the engine's default. */
  readonly threads: number | undefined;
  /** One line for people. */
  readonly description: string;
}

/**
 * How long other ranks than 0 keep an error to themselves: what all find at once is told by rank 0 alone, which then ends
 * them.
 */
export const FIRST_MS = 2000;

/**
 * Runs with the ranks that mpirun or srun started, or as one process. An error of a rank is told once and ends all of them
 * with exit code 1.
 *
 * @param wait What a rank does while it waits. Default: sleep where there are more ranks than cores, else spin.
 */
export async function withRanks(
  wait: 'spin' | 'sleep' | undefined,
  run: (ranks: Ranks) => Promise<void>,
): Promise<void> {
  if (!findLaunch(process.env)) {
    return run({ collective: oneProcess, threads: undefined, description: oneProcess.description });
  }
  const collective = await mpi({ wait: wait ?? (ranksHere(process.env) > cpus().length ? 'sleep' : 'spin') });
  try {
    await run({ collective, ...(await shareCores(collective)) });
    await collective.close();
  } catch (error) {
    if (collective.size === 1) throw error;
    const { rank } = collective;
    if (rank > 0) await sleep(FIRST_MS);
    const { text } = errorText(error, rank === 0 ? '' : `rank ${rank} on ${hostname()}: `);
    collective.abort(text.trimEnd());
  }
}

/** Ranks that the launcher started on this machine, as it tells; 1 where it does not. */
const ranksHere = (env: Readonly<Record<string, string | undefined>>): number =>
  Number(env.OMPI_COMM_WORLD_LOCAL_SIZE ?? env.MPI_LOCALNRANKS ?? env.SLURM_NTASKS_PER_NODE ?? 1);

/** Threads of this rank, and what there is to tell of all of them. Every rank calls it. */
export async function shareCores(
  collective: Collective,
): Promise<{ readonly threads: number; readonly description: string }> {
  const cores = await availableCores();
  // Ranks that mpirun bound to different cores do not share them.
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const mask = /^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? '';
  const places = await gatherTexts(collective, `${hostname()} ${mask}`);
  const sharing = places.filter((place) => place === places[collective.rank]).length;
  const threads = Math.max(1, Math.floor(cores / sharing));
  const hosts = new Set(places.map((place) => place.split(' ', 1)[0])).size;
  const where = hosts === 1 ? 'one machine' : `${hosts} machines`;
  return { threads, description: `${collective.size} on ${where}, ${collective.description}` };
}
