// dist/web/xlstm.js: the browser's entry and what it imports as one module, for pages without a bundler. It fetches the
// kernels from ../wasm beside its folder, and packages that few models need from modules beside it.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { replaceFile, root } from './files.js';

const KERNELS = '../../../../dist/wasm/';

/** Packages with a module of their own, by its name. */
const SEPARATE = { '@huggingface/jinja': 'jinja.js', '@huggingface/tokenizers': 'tokenizers.js' };

const separate = {
  name: 'separate',
  setup({ onResolve }) {
    onResolve({ filter: /^@huggingface\// }, ({ path, kind }) =>
      kind === 'entry-point' ? undefined : { path: `./${SEPARATE[path]}`, external: true },
    );
  },
};

async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    minify: true,
    write: false,
    logLevel: 'warning',
    plugins: [separate],
    absWorkingDir: fileURLToPath(root),
  });
  return outputFiles[0].text;
}

export async function bundleForPages() {
  const text = await bundle(fileURLToPath(new URL('dist/index.js', root)));
  if (!text.includes(KERNELS)) throw new Error(`dist/index.js names no file of ${KERNELS}`);
  const modules = new Map([['xlstm.js', text.replaceAll(KERNELS, '../wasm/')]]);
  for (const [name, file] of Object.entries(SEPARATE)) modules.set(file, await bundle(name));
  for (const [file, content] of modules) replaceFile(new URL(`dist/web/${file}`, root), content);
  return [...modules].map(([file, { length }]) => `${file} ${(length / 1000).toFixed(0)} kB`).join(', ');
}
