// What the build steps share: reading sources, hashing them, replacing a file as a whole.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = new URL('..', import.meta.url);
/** Compiled objects by the hash of what they were made from. */
export const cache = new URL('node_modules/.cache/xlstm/', root);

export const hashOf = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 24);
};

export function readIfThere(url) {
  try {
    return readFileSync(url);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file in one move, so that a reader never sees half of it; false if it already is the same. */
export function replaceFile(url, contents) {
  const bytes = Buffer.from(contents);
  if (readIfThere(url)?.equals(bytes)) return false;
  mkdirSync(new URL('.', url), { recursive: true });
  const temporary = new URL(`${url.href}.${process.pid}`);
  writeFileSync(temporary, bytes);
  renameSync(temporary, url);
  return true;
}

/** Every file below a folder that `wanted` accepts, as [path, text], in a fixed order. */
export function readTree(folder, wanted) {
  const base = fileURLToPath(new URL(folder, root));
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
    .map((path) => [relative(base, path).replaceAll('\\', '/'), readFileSync(path, 'utf8')]);
}

/** The C++ sources. Every compiled object depends on all of them. */
export const kernelSources = () => readTree('kernels/', (name) => /\.(cc|h)$/.test(name));

/**
 * The object called `name`, made from what `hash` stands for: from the cache, or by `make`, which returns its bytes.
 * The cache keeps the newest of each name.
 */
export async function compiled(name, hash, make) {
  const url = new URL(`${name}-${hash}`, cache);
  const kept = readIfThere(url);
  if (kept) return { bytes: kept, url, fresh: false };
  const bytes = await make();
  replaceFile(url, bytes);
  for (const file of readdirSync(cache)) {
    if (file.startsWith(`${name}-`) && file !== `${name}-${hash}`)
      rmSync(new URL(file, cache), { force: true });
  }
  return { bytes, url, fresh: true };
}

/** The results of jobs run side by side: unless told otherwise as many as leave a core for each of two compilers. */
export async function inParallel(jobs, atOnce = Math.max(1, Math.floor(availableParallelism() / 2))) {
  const results = [];
  const entries = jobs.entries();
  const work = async () => {
    for (const [i, job] of entries) results[i] = await job();
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return results;
}

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Waits until no other build of this folder runs; the returned function ends this one's turn. */
export async function takeTurn() {
  const lock = new URL('lock', cache);
  mkdirSync(cache, { recursive: true });
  for (let waited = false; ; ) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = Number(readIfThere(lock)?.toString());
    if (owner && !alive(owner)) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!waited) console.log('waiting for another build of this folder');
    waited = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
