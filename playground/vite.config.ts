import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

/** With them a page has shared memory, and the engine threads. The page works without. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const here = fileURLToPath(new URL('.', import.meta.url));

/** Writes the service worker, which has to know all that was built. */
const offline = (): Plugin => ({
  name: 'offline',
  apply: 'build',
  async writeBundle({ dir = here }) {
    const entries = await readdir(dir, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile() && entry.name !== 'service_worker.js')
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(dir.length + 1)
          .replaceAll('\\', '/'),
      )
      .sort();
    const hash = createHash('sha256');
    for (const file of files) hash.update(file).update(await readFile(join(dir, file)));
    const built = JSON.stringify({ version: hash.digest('hex').slice(0, 16), files });
    const program = await readFile(join(here, 'service_worker.js'), 'utf8');
    await writeFile(join(dir, 'service_worker.js'), `const BUILT = ${built};\n${program}`);
  },
});

export default defineConfig({
  root: here,
  // Relative addresses: the folder can lie anywhere on a server.
  base: './',
  plugins: [offline()],
  build: { outDir: 'dist', emptyOutDir: true, assetsInlineLimit: 0, target: 'es2022' },
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
});
