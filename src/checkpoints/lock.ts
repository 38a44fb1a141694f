import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { XlstmError } from '../errors.ts';
import { writeError } from './files.ts';
import { isAlive, processStart } from './process.ts';

/** What a lock file says of the process that holds it. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** What `processStart` says of it. */
  readonly process: string | null;
  /** When the lock was taken, for people. */
  readonly since: string;
}

/** A lock file whose holder cannot be read is being written, or was left empty: by then the latter. */
const WRITING_MS = 5000;

/** Another process takes a left lock over meanwhile: that is done in milliseconds. */
const RETRY_MS = 5;
const ATTEMPTS = 400;

/** Who holds this may replace the lock of a process that has ended. */
export const takingOver = (lock: string): string => `${lock}.taking`;

/**
 * Keeps other processes from writing something: a file that holds who has it. A holder that has ended leaves the file
 * behind; the next process takes it over.
 */
export class FileLock {
  readonly #path: string;
  readonly #content: string;

  private constructor(path: string, content: string) {
    this.#path = path;
    this.#content = content;
  }

  /** Makes the file, whose folder must be there. `what` names the thing that is locked, in the error if it is held. */
  static async acquire(path: string, what: string): Promise<FileLock> {
    const holder: Holder = {
      pid: process.pid,
      host: hostname(),
      process: processStart(process.pid),
      since: new Date().toISOString(),
    };
    const content = `${JSON.stringify({ ...holder, key: randomUUID() })}\n`;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if ((await create(path, content)) || (await takeOver(path, what, content)))
        return new FileLock(path, content);
      await sleep(RETRY_MS);
    }
    throw new XlstmError('data', `${path}: other processes take the lock again and again`, 'Try again.');
  }

  /** Removes the file, unless another process has taken the lock over. */
  async release(): Promise<void> {
    const found = await readFile(this.#path, 'utf8').catch(() => undefined);
    // What cannot be removed is of a process that ends soon: the next one takes it over.
    if (found === this.#content) await rm(this.#path, { force: true }).catch(() => undefined);
  }
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(content);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw writeError(path, error);
  }
}

/**
 * Puts the content in place of a lock whose holder has ended; throws where it has not, or where that cannot be known.
 * False where another process is faster. The lock's file is there at every moment, so that nobody can make it anew, and
 * one process at a time may replace it: the one that has made `takingOver(path)`.
 */
async function takeOver(path: string, what: string, content: string): Promise<boolean> {
  const found = await readFile(path, 'utf8').catch(() => undefined);
  if (found === undefined) return false;
  await checkLeft(found, path, what);
  const taking = takingOver(path);
  if (!(await create(taking, content))) {
    await removeLeft(taking);
    return false;
  }
  try {
    // Not that of another one that has taken it over since.
    if ((await readFile(path, 'utf8').catch(() => undefined)) !== found) {
      await rm(taking, { force: true });
      return false;
    }
    await rename(taking, path);
    return (await readFile(path, 'utf8').catch(() => undefined)) === content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    await rm(taking, { force: true });
    throw writeError(path, error);
  }
}

/** Takes away what a process left that ended while it took a lock over. */
async function removeLeft(taking: string): Promise<void> {
  const found = await readFile(taking, 'utf8').catch(() => undefined);
  const holder = found === undefined ? undefined : parseHolder(found);
  const age =
    Date.now() -
    (await stat(taking).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    ));
  if (holder ? !mayLive(holder) : age > WRITING_MS) await rm(taking, { force: true });
}

async function checkLeft(found: string, path: string, what: string): Promise<void> {
  const holder = parseHolder(found);
  if (holder === undefined) {
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs < WRITING_MS) {
      throw new XlstmError('data', `${what}: another process is about to write it`, 'Try again in a while.');
    }
  } else if (mayLive(holder)) {
    const far = holder.host !== hostname();
    throw new XlstmError(
      'data',
      `${what} is being written by process ${holder.pid}${far ? ` on ${holder.host}` : ''}, since ${holder.since}`,
      far
        ? `Wait for it to end. If it has ended: delete ${path}`
        : 'Wait for it to end, or stop it: one process at a time may write a run.',
    );
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, process, since } = JSON.parse(text) as Partial<Holder>;
    if (!Number.isSafeInteger(pid) || Number(pid) < 1 || typeof host !== 'string') return undefined;
    return { pid: Number(pid), host, process: process ?? null, since: String(since) };
  } catch {
    return undefined;
  }
}

function mayLive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  if (!isAlive(holder.pid)) return false;
  // The number may have gone to a younger process.
  const now = processStart(holder.pid);
  return holder.process === null || now === null || holder.process === now;
}
