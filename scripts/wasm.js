// Compiles kernels/wasm.cc with the clang that npm installs (LLVM as WebAssembly: no toolchain is needed) into
// dist/wasm/.
import { readFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { compiled, hashOf, inParallel, kernelSources, replaceFile, root } from './files.js';

const flags = [
  '--target=wasm32',
  '-O3',
  '-std=c++17',
  '-ffreestanding',
  '-fno-exceptions',
  '-fno-rtti',
  '-fno-math-errno',
  '-ffp-contract=fast',
  '-pthread',
  '-matomics',
  '-mbulk-memory',
  '-mmutable-globals',
  '-msimd128',
  '-nostdlib',
  '-nostdinc++',
  '-Ikernels',
];
// One module serves shared and plain memory: the loader clears the memory import's shared flag for the latter.
const linkFlags = [
  '--no-entry',
  '--import-memory',
  '--shared-memory',
  '--max-memory=4294967296',
  '--stack-first',
  '-zstack-size=1048576',
  '--export=__heap_base',
  '--export=__stack_pointer',
  '--strip-all',
];
const variants = { simd: [], relaxed: ['-mrelaxed-simd'] };

/** dist/wasm/<variant>.wasm for every variant; { detail } if one is new. */
export async function buildWasm() {
  const sources = kernelSources();
  const compiler = readFileSync(new URL('node_modules/@yowasp/clang/package.json', root), 'utf8');
  const details = await inParallel(
    Object.entries(variants).map(([variant, extra]) => async () => {
      const hash = hashOf(compiler, ...flags, ...extra, ...linkFlags, ...sources.flat());
      const make = () => compileInWorker({ sources, extra });
      const { bytes } = await compiled(`wasm-${variant}`, hash, make);
      const changed = replaceFile(new URL(`dist/wasm/${variant}.wasm`, root), bytes);
      return changed ? `${variant} ${Math.round(bytes.length / 1024)} kB` : undefined;
    }),
  );
  return { detail: details.filter((detail) => detail).join(', ') || undefined };
}

/** LLVM keeps a core busy for seconds, so it gets a thread of its own. */
function compileInWorker(job) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: job });
    worker.once('error', reject);
    worker.once('message', ({ bytes, error }) => (bytes ? resolve(bytes) : reject(new Error(error))));
  });
}

async function compile({ sources, extra }) {
  const { runClang, runLLVM, Exit } = await import('@yowasp/clang');
  await runLLVM(null, {}, { fetchProgress: () => {} }); // loads LLVM without printing about it
  const files = { kernels: {} };
  for (const [path, text] of sources) {
    const parts = path.split('/');
    const name = parts.pop();
    let folder = files.kernels;
    for (const part of parts) {
      folder[part] ??= {};
      folder = folder[part];
    }
    // LLVM's file system here knows no parent folder.
    folder[name] = text.replaceAll('#include "../', '#include "');
  }
  const messages = [];
  const decoder = new TextDecoder();
  const link = linkFlags.map((flag) => `-Wl,${flag}`);
  try {
    const output = await runClang(
      ['clang++', ...flags, ...extra, ...link, 'kernels/wasm.cc', '-o', 'out.wasm'],
      files,
      {
        stderr: (bytes) => bytes && messages.push(decoder.decode(bytes)),
      },
    );
    return output['out.wasm'];
  } catch (error) {
    if (error instanceof Exit) throw new Error(messages.join(''));
    throw error;
  }
}

if (!isMainThread) {
  try {
    parentPort.postMessage({ bytes: await compile(workerData) });
  } catch (error) {
    parentPort.postMessage({ error: error.message });
  }
}
