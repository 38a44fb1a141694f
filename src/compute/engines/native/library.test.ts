import { copyFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { load, loadNativeLibrary } from './engine.ts';

const built = new URL('../../../../dist/native/', import.meta.url);
const there = await loadNativeLibrary().then(
  () => true,
  () => false,
);

const damages: Record<string, (library: string, digest: string) => Promise<void>> = {
  'a library that is cut off': async (library) => truncate(library, 100_000),
  'an empty library': async (library) => truncate(library, 0),
  'a library with a byte changed': async (library) => {
    const bytes = await readFile(library);
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(library, bytes);
  },
  'no library': async (library) => rm(library),
  'no digest': async (_, digest) => rm(digest),
  'an empty digest': async (_, digest) => truncate(digest, 0),
};

it.runIf(there).each(Object.entries(damages))('refuses %s instead of loading it', async (_, damage) => {
  const folder = await mkdtemp(join(tmpdir(), 'xlstm-native-'));
  try {
    for (const file of await readdir(built)) await copyFile(new URL(file, built), join(folder, file));
    const library = (await readdir(folder)).find((file) => /^kernels\.(so|dylib)$/.test(file)) as string;
    await damage(join(folder, library), join(folder, 'kernels.sha256'));
    await expect(load([folder])).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(
        /^the native library (is not the file|lacks the file) ?.*kernels|^there is no native library: .*kernels/,
      ),
      hint: expect.stringMatching(/^build it with "npm run build"/),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
