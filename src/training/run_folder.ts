import { lstat, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckpointFiles } from '../checkpoints/checkpoint.ts';
import { writeCheckpoint } from '../checkpoints/checkpoint_folder.ts';
import { makeFolder, temporarySiblings } from '../checkpoints/files.ts';
import { FileLock, takingOver } from '../checkpoints/lock.ts';
import { removeEmptyFolders } from '../checkpoints/new_folder.ts';
import { XlstmError } from '../errors.ts';
import { MetricsFile } from './metrics_file.ts';

const LOCK = 'lock';
const METRICS = 'metrics.jsonl';
/** The folder of a run's last checkpoint, within its own. */
export const CHECKPOINT = 'checkpoint';
/** That of its best model. */
export const BEST = 'best';

/**
 * The folder of a run, held by this process alone: `metrics.jsonl`, `checkpoint/`, `best/` (best_model.ts) and, while a
 * process holds it, `lock`.
 */
export class RunFolder {
  /** As it was given. */
  readonly path: string;
  readonly #lock: FileLock;
  /** The uppermost folder that was made for it. */
  readonly #made: string | undefined;

  private constructor(path: string, lock: FileLock, made: string | undefined) {
    this.path = path;
    this.#lock = lock;
    this.#made = made;
  }

  /** Takes a folder for a new run: one that is not there, is empty, or holds what a run left that never began. */
  static async create(path: string): Promise<RunFolder> {
    await requireNewFolder(path);
    const made = await makeFolder(path);
    const lock = await FileLock.acquire(join(path, LOCK), path).catch(async (error: unknown) => {
      if (made !== undefined) await removeEmptyFolders(path, made);
      throw error;
    });
    const folder = new RunFolder(path, lock, made);
    try {
      await requireNewFolder(path);
      return folder;
    } catch (error) {
      await folder.release();
      throw error;
    }
  }

  /** Takes the folder of a run to go on with it. */
  static async open(path: string): Promise<RunFolder> {
    const found = await stat(path).catch(() => undefined);
    if (!found?.isDirectory()) {
      throw new XlstmError(
        'checkpoint',
        `${path}: expected a checkpoint in the folder of a run, found no such folder`,
        'Train one with "xlstm train", or give the path of its folder.',
      );
    }
    for (const name of [CHECKPOINT, BEST]) {
      const found = await lstat(join(path, name)).catch(() => undefined);
      if (!found?.isSymbolicLink()) continue;
      throw new XlstmError(
        'checkpoint',
        `${join(path, name)}: expected a folder, found a link, which a checkpoint cannot take the place of`,
        'Move the checkpoint itself here, or let the whole run lie elsewhere.',
      );
    }
    return new RunFolder(path, await FileLock.acquire(join(path, LOCK), path), undefined);
  }

  /** The path of the checkpoint below it. */
  get checkpoint(): string {
    return join(this.path, CHECKPOINT);
  }

  /** Where the model lies that was best on the held-out text. */
  get best(): string {
    return join(this.path, BEST);
  }

  /**
   * Takes the place of the checkpoint, as a whole. Rejects with a checkpoint error where it cannot be written; the one before
   * then stays.
   */
  writeCheckpoint(files: CheckpointFiles): Promise<void> {
    return writeCheckpoint(this.checkpoint, files);
  }

  /** Opens `metrics.jsonl`; see MetricsFile. */
  metrics(resumeAt?: number): MetricsFile {
    return new MetricsFile(join(this.path, METRICS), resumeAt);
  }

  /** Lets other processes write the run. Of a run without a checkpoint nothing is left. */
  async release(): Promise<void> {
    await this.#lock.release();
    if (this.#made === undefined || (await holdsRun(this.path))) return;
    // What stays is seen as a run that never began: the next one may take the folder.
    await rm(join(this.path, METRICS), { force: true }).catch(() => undefined);
    await removeEmptyFolders(this.path, this.#made);
  }
}

/** Throws if the folder holds files of a run (or anything else) that a new run would mix with. */
export async function requireNewFolder(folder: string): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw new XlstmError(
      'data',
      `${folder}: cannot be used as the output folder (${error.code})`,
      'choose a new or empty folder',
    );
  });
  if (await holdsRun(folder)) {
    throw new XlstmError(
      'data',
      `${folder} already holds a run`,
      `Go on with it: xlstm train --resume ${folder} — or choose another folder with --out.`,
    );
  }
  const leftOvers = (await temporarySiblings(join(folder, CHECKPOINT))).map(({ path }) => path);
  for (const name of found) {
    const path = join(folder, name);
    const { size } = await stat(path).catch(() => ({ size: 0 }));
    if (
      name === LOCK ||
      name === takingOver(LOCK) ||
      leftOvers.includes(path) ||
      (name === METRICS && size === 0)
    )
      continue;
    throw new XlstmError(
      'data',
      `${folder} is not empty: expected a new or empty output folder`,
      'Choose another folder with --out.',
    );
  }
}

/** Whether there is a checkpoint to go on from: a run begins with one. */
async function holdsRun(folder: string): Promise<boolean> {
  const checkpoint = join(folder, CHECKPOINT);
  const found = await lstat(checkpoint).catch(() => undefined);
  if (found?.isDirectory() || found?.isSymbolicLink()) return true;
  return (await temporarySiblings(checkpoint)).some(({ kind }) => kind === 'old');
}
