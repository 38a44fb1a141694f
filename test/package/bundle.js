// Bundles page.js of a folder into its site/ for browsers, with next to no settings:
//   node test/package/bundle.js vite|esbuild|webpack FOLDER
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const [bundler, folder] = process.argv.slice(2);
const entry = join(folder, 'page.js');
const site = join(folder, 'site');

const bundlers = {
  async vite() {
    const { build } = await import('vite');
    const rolldownOptions = { input: entry, output: { entryFileNames: 'page.js' } };
    await build({
      root: folder,
      configFile: false,
      logLevel: 'warn',
      build: { outDir: site, emptyOutDir: false, rolldownOptions },
    });
  },
  async esbuild() {
    const { build } = await import('esbuild');
    const options = { bundle: true, format: 'esm', splitting: true, minify: true };
    await build({ ...options, entryPoints: [entry], outdir: site, logLevel: 'warning' });
    // It leaves the address of a file as it stands in the package.
    cpSync(join(folder, 'node_modules/xlstm/dist/wasm'), join(site, 'dist/wasm'), { recursive: true });
  },
  async webpack() {
    const { default: webpack } = await import('webpack');
    const output = { path: site, filename: 'page.js' };
    const performance = { maxAssetSize: 1e6 }; // the kernels are larger than what it warns of
    const options = { mode: 'production', context: folder, entry, output, performance };
    const stats = await promisify(webpack)(options);
    if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString('errors-warnings'));
  },
};
await bundlers[bundler]();
