// dist/web/xlstm.js: the browser's entry and what it imports as one module, for pages without a bundler. It fetches the
// kernels from ../wasm beside its folder.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { replaceFile, root } from './files.js';

const KERNELS = '../../../../dist/wasm/';

export async function bundleForPages() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('dist/index.js', root))],
    bundle: true,
    format: 'esm',
    minify: true,
    write: false,
    logLevel: 'warning',
  });
  const [{ text }] = outputFiles;
  if (!text.includes(KERNELS)) throw new Error(`dist/index.js names no file of ${KERNELS}`);
  replaceFile(new URL('dist/web/xlstm.js', root), text.replaceAll(KERNELS, '../wasm/'));
  return `${(text.length / 1000).toFixed(0)} kB`;
}
