// Compiles the kernels with the machine's C++ compiler, once for each instruction set, into one shared library.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compiled, hashOf, inParallel, kernelSources, replaceFile, root } from './files.js';

const run = promisify(execFile);

const flags = [
  '-O3',
  '-std=c++17',
  '-fPIC',
  '-fvisibility=hidden',
  '-fno-exceptions',
  '-fno-rtti',
  '-fno-math-errno',
  '-ffp-contract=fast',
  '-Wno-psabi',
];
// nodelete: a library with sleeping threads in it must never be unloaded.
const linkFlags = ['-shared', ...(process.platform === 'linux' ? ['-Wl,-z,defs', '-Wl,-z,nodelete'] : [])];
// The names are native.cc's.
const instructionSets = {
  x64: {
    avx512: ['-mavx512f', '-mavx512dq', '-mavx512bw', '-mavx512vl', '-mavx2', '-mfma'],
    avx2: ['-mavx2', '-mfma'],
    sse2: [],
  },
  arm64: { neon: [] },
}[process.arch] ?? { generic: [] };

async function findCompiler() {
  for (const command of [process.env.CXX, 'c++', 'g++', 'clang++']) {
    if (!command) continue;
    try {
      const { stdout } = await run(command, ['--version']);
      return { command, version: stdout.split('\n')[0] };
    } catch {
      // Not there, or a stand-in that only offers to install one.
    }
  }
  return undefined;
}

/** dist/native/kernels.so (.dylib): { detail } if it is new, { skipped } where there is no compiler. */
export async function buildNative() {
  if (process.platform === 'win32')
    return { skipped: 'Windows has no native engine yet; WebAssembly serves' };
  const compiler = await findCompiler();
  if (!compiler) {
    return {
      skipped: 'no C++ compiler (c++, g++ or clang++); install one and run "npm run build" for more speed',
    };
  }
  const sources = kernelSources();
  const kernels = fileURLToPath(new URL('kernels/', root));
  const folder = mkdtempSync(join(tmpdir(), 'xlstm-'));
  try {
    const compile = (name, file, extra) =>
      compiled(name, hashOf(compiler.version, ...flags, ...extra, ...sources.flat()), async () => {
        const object = join(folder, `${name}.o`);
        await run(compiler.command, [...flags, ...extra, '-c', join(kernels, file), '-o', object]);
        return readFileSync(object);
      });
    const jobs = [
      () => compile('native', 'native.cc', []),
      ...Object.entries(instructionSets).map(
        ([isa, extra]) =>
          () =>
            compile(isa, 'all.cc', [...extra, `-DXL_ISA=xl_${isa}`]),
      ),
    ];
    const objects = await inParallel(jobs);
    const extension = process.platform === 'darwin' ? 'dylib' : 'so';
    const { bytes } = await compiled(
      'library',
      hashOf(...linkFlags, ...objects.map(({ url }) => url.pathname)),
      async () => {
        const library = join(folder, 'library');
        const inputs = objects.map(({ url }) => fileURLToPath(url));
        await run(compiler.command, [...linkFlags, ...inputs, '-lpthread', '-o', library]);
        return readFileSync(library);
      },
    );
    const changed = replaceFile(new URL(`dist/native/kernels.${extension}`, root), bytes);
    return {
      detail: changed ? `${Object.keys(instructionSets).join(', ')} (${compiler.version})` : undefined,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
