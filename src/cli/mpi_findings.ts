import { hostname } from 'node:os';
import { gatherTexts } from '../distributed/collective.ts';
import { findLaunch, type Launch } from '../distributed/launcher.ts';
import { mpi } from '../distributed/mpi.ts';
import { loadMpiLibrary } from '../distributed/mpi_library.ts';
import { shareCores } from './ranks.ts';

/** What connects the ranks that mpirun starts, or would connect them. */
export interface MpiReport {
  /** Name or path of the file. */
  readonly library: string;
  readonly version: string;
  /** How its handles are made. */
  readonly abi: string;
  /** Undefined: this process was started by itself. */
  readonly launcher: Launch['launcher'] | undefined;
  /** In their order; none where this process was started by itself. */
  readonly ranks: readonly { readonly host: string; readonly pid: number; readonly threads: number }[];
}

/**
 * Looks for MPI; every rank calls it and gets the same. Throws an engine error where there is no library, and where library
 * and launcher do not belong together.
 */
export async function findMpi(): Promise<MpiReport> {
  const launch = findLaunch(process.env);
  const { path, version, abi } = await loadMpiLibrary(process.env, launch);
  const found = { library: path, version, abi: abi.name, launcher: launch?.launcher };
  if (!launch) return { ...found, ranks: [] };
  const collective = await mpi({ wait: 'sleep' });
  const { threads } = await shareCores(collective);
  const own = JSON.stringify({ host: hostname(), pid: process.pid, threads });
  const ranks = (await gatherTexts(collective, own)).map((text) => JSON.parse(text));
  await collective.close();
  return { ...found, ranks };
}

/** The report as text for a terminal. */
export function formatMpi({ library, version, abi, launcher, ranks }: MpiReport): string {
  return [
    `library   ${library}: ${version}`,
    `ABI       ${abi}`,
    `launcher  ${launcher ?? 'none: started by itself. Try mpirun -n 2 xlstm doctor --mpi'}`,
    ...ranks.map(
      ({ host, pid, threads }, rank) =>
        `rank ${`${rank}`.padEnd(4)} ${host}, process ${pid}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    ),
  ].join('\n');
}
