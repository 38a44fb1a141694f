// Builds dist/: the compiled TypeScript, the kernels as WebAssembly and, where the machine has a C++ compiler, as a
// native library. Steps whose sources have not changed are skipped. `npm install` and `npm test` run it.
//   node scripts/build.js            everything
//   node scripts/build.js native     the named steps: types, web, corpus, header, wasm, native
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildCorpus } from './corpus.js';
import { hashOf, readIfThere, readTree, replaceFile, root, takeTurn } from './files.js';
import { writeKernelHeader } from './header.js';
import { buildNative } from './native.js';
import { buildWasm } from './wasm.js';
import { bundleForPages } from './web.js';

const only = process.argv.slice(2);

async function step(name, run) {
  if (only.length > 0 && !only.includes(name)) return;
  const start = performance.now();
  const report = (text) => {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${name.padEnd(7)} ${text.padEnd(70)} ${seconds.padStart(5)} s`);
  };
  try {
    const { detail, skipped } = await run();
    report(skipped ? `skipped: ${skipped}` : (detail ?? 'unchanged'));
  } catch (error) {
    report('failed');
    const lines = `${error.stdout ?? ''}${error.stderr ?? error.message}`.trim().split('\n');
    const shown = lines.slice(0, name === 'types' ? lines.length : 12);
    for (const line of shown) console.log(`        ${line}`);
    // The WebAssembly engine takes the native one's place; nothing takes another step's.
    if (name !== 'native') process.exitCode = 1;
  }
}

async function buildTypes() {
  const tree = readTree('src/', (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package.json'].map((f) =>
    readIfThere(new URL(f, root)),
  );
  const hash = hashOf(...settings, ...tree.flat());
  const stamp = new URL('dist/types.hash', root);
  if (readIfThere(stamp)?.toString() === hash) return {};
  const tsc = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root));
  const project = fileURLToPath(new URL('tsconfig.build.json', root));
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stdout);
  replaceFile(stamp, hash);
  return { detail: `${tree.length} files` };
}

const endTurn = await takeTurn();
try {
  await step('types', buildTypes);
  await step('web', async () => ({ detail: await bundleForPages() }));
  await step('corpus', buildCorpus);
  await step('header', async () => ({ detail: await writeKernelHeader() }));
  await Promise.all([step('wasm', buildWasm), step('native', buildNative)]);
} finally {
  endTurn();
}
