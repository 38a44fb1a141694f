import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { ensureFolder } from '../ensure_folder.ts';
import { writeError, writeFileAtomic } from '../files.ts';
import { FileLock } from '../lock.ts';
import { CONFIGS, isLightning, modelFilesIn } from '../model_files.ts';
import { cachedModel, type HubName, modelFolder, requireHubName, snapshotFolder } from './cache.ts';
import { ATTEMPTS, HubClient, type HubFile, type HubLicence, reasonOf } from './client.ts';
import { type HubEnvironment, hubEnvironment } from './environment.ts';

/** How a model is downloaded. */
export interface DownloadOptions {
  /** Ends the download; what is there stays, and the next one goes on from it. */
  readonly signal?: AbortSignal;
  /** Called as bytes arrive: of all files together, those that were there before included. */
  onProgress?(bytes: number, totalBytes: number): void;
  /** Called once for each version of a model, when its files are there: under which terms it is given. */
  onLicence?(licence: ModelLicence): void;
  /** Default: what the environment says. */
  readonly environment?: HubEnvironment;
  /** Waiting before the first repeat of a request that failed, in milliseconds. Default: 500. */
  readonly firstWaitMs?: number;
}

/** Under which terms a model is given. */
export interface ModelLicence extends HubLicence {
  /** The file with its text among those of the model. Undefined: there is none. */
  readonly file: string | undefined;
}

/** Records the terms that were told, beside the files of the model. */
const RECORD = 'licence.json';

/** Files that come along where they are there: they say who may use the model, and how it was meant to write. */
const LICENCES = ['LICENSE', 'LICENSE.md', 'LICENSE.txt'];
const ABOUT = [...LICENCES, 'NOTICE', 'generation_config.json'];

/** Files that are downloaded at the same time. */
const PARALLEL = 4;

/**
 * Downloads a model from a hub into the folder that Hugging Face's programs share, and resolves to its folder there, which
 * `loadModel` takes: its configuration, tokenizer and weights. What was downloaded before is not asked for again, a file that was
 * broken off goes on where it ended, and each is compared with the hub's digest. With HF_HUB_OFFLINE=1 it asks no hub. Rejects with a
 * checkpoint error that says what happened; files that are whole stay.
 *
 * @param model Its name, 'NX-AI/xLSTM-7b', and a branch, tag or commit if it is not `main`: 'NX-AI/xLSTM-7b@v2'.
 */
export async function downloadModel(model: string, options: DownloadOptions = {}): Promise<string> {
  const { signal, onProgress = () => {}, onLicence = () => {}, firstWaitMs } = options;
  const environment = options.environment ?? (await hubEnvironment());
  const hubName = requireHubName(model);
  if (environment.offline) {
    const found = await cachedModel(hubName, environment.cache);
    if (found) return found;
    throw new XlstmError(
      'checkpoint',
      `${model}: not in ${environment.cache}, and HF_HUB_OFFLINE asks for no connection`,
      'Download it once without.',
    );
  }
  const client = new HubClient(environment, signal, firstWaitMs);
  const { commit, files: all, licence } = await client.list(hubName);
  const names = new Set([...modelFilesIn(all.map(({ path }) => path)), ...ABOUT]);
  const files = all.filter(({ path }) => names.has(path) && !path.includes('/') && !path.includes('\\'));
  if (!files.some(({ path }) => CONFIGS.some((name) => name === path) || isLightning(path))) {
    throw new XlstmError(
      'checkpoint',
      `${model}: expected a model (config.json, or a .ckpt), found ${quote(all.map(({ path }) => path).slice(0, 8))}`,
    );
  }
  const folder = modelFolder(environment.cache, hubName);
  makeFolders(folder);
  const lock = await FileLock.acquire(join(folder, '.xlstm-download.lock'), `the download of ${model}`);
  try {
    const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const had = new Map<string, number>();
    const progress = (path: string, bytes: number): void => {
      had.set(path, bytes);
      onProgress(
        [...had.values()].reduce((sum, each) => sum + each, 0),
        totalBytes,
      );
    };
    await eachInParallel(files, (file) =>
      new Download(client, hubName, commit, file, folder).run((bytes) => progress(file.path, bytes)),
    );
    const snapshot = snapshotFolder(folder, commit);
    ensureFolder(snapshot);
    for (const { path, digest } of files) {
      await link(join(folder, 'blobs', digest.hex), join(snapshot, path));
    }
    const record = join(snapshot, RECORD);
    if ((await sizeOf(record)) === undefined) {
      const file = LICENCES.find((name) => files.some(({ path }) => path === name));
      onLicence({ ...licence, file: file && join(snapshot, file) });
      const terms = { model: hubName.name, commit, licence: licence.name, link: licence.link, file };
      await writeFileAtomic(record, `${JSON.stringify(terms, null, 2)}\n`);
    }
    if (hubName.revision !== commit) {
      const ref = join(folder, 'refs', hubName.revision);
      ensureFolder(dirname(ref));
      await writeFileAtomic(ref, commit);
    }
    return snapshot;
  } finally {
    await lock.release();
  }
}

function makeFolders(folder: string): void {
  try {
    for (const name of ['blobs', 'snapshots', 'refs']) ensureFolder(join(folder, name));
  } catch (error) {
    throw writeError(folder, error);
  }
}

/** The first failure ends all: those at work stop at their next piece. */
async function eachInParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      await run(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  if (failures.length > 0) throw failures[0];
}

/** One file, on its way to its place among the blobs. */
class Download {
  readonly #client: HubClient;
  readonly #model: HubName;
  readonly #commit: string;
  readonly #file: HubFile;
  readonly #blob: string;
  readonly #incomplete: string;

  constructor(client: HubClient, model: HubName, commit: string, file: HubFile, folder: string) {
    this.#client = client;
    this.#model = model;
    this.#commit = commit;
    this.#file = file;
    this.#blob = join(folder, 'blobs', file.digest.hex);
    this.#incomplete = `${this.#blob}.incomplete`;
  }

  async run(onBytes: (bytes: number) => void): Promise<void> {
    const { bytes } = this.#file;
    if ((await sizeOf(this.#blob)) === bytes) return onBytes(bytes);
    try {
      await this.#fetch(onBytes);
      await this.#check();
      await rename(this.#incomplete, this.#blob);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOSPC' || code === 'EDQUOT') {
        throw new XlstmError(
          'checkpoint',
          `${this.#incomplete}: the disk is full, ${bytes} bytes were needed for ${this.#file.path}`,
          'Make room, or choose another folder with HF_HUB_CACHE; the download goes on from where it was.',
        );
      }
      throw writeError(this.#incomplete, error);
    }
  }

  async #fetch(onBytes: (bytes: number) => void): Promise<void> {
    const { path, bytes } = this.#file;
    if (((await sizeOf(this.#incomplete)) ?? 0) > bytes) await rm(this.#incomplete);
    const file = await open(this.#incomplete, 'a');
    try {
      let at = (await file.stat()).size;
      // A connection that brought something does not count among the attempts.
      for (let attempt = 1; at < bytes; attempt++) {
        const before = at;
        let problem = 'the connection ended';
        try {
          at = await this.#append(file, at, onBytes);
        } catch (error) {
          if (error instanceof XlstmError || isLocal(error)) throw error;
          problem = reasonOf(error);
          at = (await file.stat()).size;
        }
        if (at > before) attempt = 0;
        else if (attempt === ATTEMPTS) {
          throw new XlstmError(
            'checkpoint',
            `${path}: ${at} of ${bytes} bytes arrived, no more after ${ATTEMPTS} attempts (${problem})`,
            'Try again: the download goes on from there.',
          );
        }
        if (at < bytes) await this.#client.wait(Math.max(1, attempt));
      }
      await file.sync();
      onBytes(bytes);
    } finally {
      await file.close();
    }
  }

  /** Asks for what is missing and writes it; returns where the file ends then. */
  async #append(file: FileHandle, from: number, onBytes: (bytes: number) => void): Promise<number> {
    const { path, bytes } = this.#file;
    const response = await this.#client.content(this.#model, this.#commit, path, from);
    let at = from;
    if (from > 0 && response.status !== 206) {
      // It sends all of it: what is there is left out.
      await file.truncate(0);
      at = 0;
    }
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
      if (at + piece.length > bytes) {
        throw new XlstmError('checkpoint', `${path}: expected ${bytes} bytes, found more`, 'Try again.');
      }
      await file.appendFile(piece);
      at += piece.length;
      onBytes(at);
    }
    return at;
  }

  /** A file that is not what the hub says is removed: the next download begins it anew. */
  async #check(): Promise<void> {
    const { path, bytes, digest } = this.#file;
    const hash: Hash = createHash(digest.kind === 'git' ? 'sha1' : 'sha256');
    if (digest.kind === 'git') hash.update(`blob ${bytes}\0`);
    for await (const piece of createReadStream(this.#incomplete, { highWaterMark: 2 ** 20 }))
      hash.update(piece);
    const found = hash.digest('hex');
    if (found === digest.hex) return;
    await rm(this.#incomplete);
    throw new XlstmError(
      'checkpoint',
      `${path}: expected the digest ${digest.hex}, found ${found}: what arrived is damaged`,
      'Try again: this file is downloaded anew.',
    );
  }
}

/** What the system says of a file here, in place of a connection. */
const isLocal = (error: unknown): boolean => {
  const { syscall, name } = error as NodeJS.ErrnoException;
  return name === 'AbortError' || syscall === 'write' || syscall === 'open' || syscall === 'ftruncate';
};

const sizeOf = async (path: string): Promise<number | undefined> =>
  (await stat(path).catch(() => undefined))?.size;

/** Windows lets only some people make links: there the file itself goes to the snapshot's folder. */
async function link(blob: string, path: string): Promise<void> {
  if ((await sizeOf(path)) !== undefined) return;
  await rm(path, { force: true });
  try {
    await symlink(relative(dirname(path), blob), path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw writeError(path, error);
    await rename(blob, path);
  }
}
