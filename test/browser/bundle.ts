import { build } from 'esbuild';

/** A module for a page with all that it imports; what a page never calls, reading of files, is left out. */
export async function pageModule(entry: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    ...{ bundle: true, format: 'esm', platform: 'browser', write: false, logLevel: 'error' },
    plugins: [
      {
        name: 'without files',
        setup(build) {
          build.onResolve({ filter: /^node:|(native\/engine|node_host)\.ts$/ }, ({ path }) => ({
            path,
            namespace: 'nothing',
          }));
          build.onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'module.exports = {}' }));
        },
      },
    ],
  });
  return outputFiles[0].contents;
}
