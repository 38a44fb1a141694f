import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** With them a page has shared memory, and the engine threads. The page works without. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // Relative addresses: the folder can lie anywhere on a server.
  base: './',
  build: { outDir: 'dist', emptyOutDir: true, assetsInlineLimit: 0, target: 'es2022' },
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
});
