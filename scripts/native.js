// Compiles the kernels with the machine's C++ compiler, once for each instruction set, into one shared library.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compiled, hashOf, inParallel, kernelSources, replaceFile, root } from './files.js';

const run = promisify(execFile);

const optimized = ['-O3'];
const flags = [
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
const platforms = {
  linux: { file: 'kernels.so', link: ['-Wl,-z,defs', '-Wl,-z,nodelete', '-lpthread'] },
  darwin: { file: 'kernels.dylib', link: ['-Wl,-install_name,@rpath/kernels.dylib', '-lpthread'] },
  win32: { file: 'kernels.dll', link: [] },
};
const here = { platform: process.platform, arch: process.arch };
// The names are native.cc's, which has amx besides: it runs what is compiled for avx512. Best first.
const setsOf = {
  x64: {
    avx512: ['-mavx512f', '-mavx512dq', '-mavx512bw', '-mavx512vl', '-mavx2', '-mfma'],
    avx2: ['-mavx2', '-mfma'],
    sse2: [],
  },
  arm64: { neon: [] },
};
export const instructionSets = (arch) => setsOf[arch] ?? { generic: [] };

/** The compiler of that name, if it runs; `args` go before all others. */
export async function compilerAt(command) {
  try {
    const { stdout } = await run(command, ['--version']);
    return { command, args: [], version: stdout.split('\n')[0] };
  } catch {
    // Not there, or a stand-in that only offers to install one.
    return undefined;
  }
}

async function findCompiler() {
  for (const command of [process.env.CXX, 'c++', 'g++', 'clang++']) {
    const compiler = command && (await compilerAt(command));
    if (compiler) return compiler;
  }
  return undefined;
}

/**
 * The bytes of a library of the kernels for a platform and an architecture (Node's names for them; this machine's unless
 * told otherwise) and the named instruction sets (all of them), from the cache where it holds them. `options` go to
 * compiler and linker; objects are cached under `prefix`.
 */
export async function compileKernels(compiler, { prefix, options = optimized, target = here, sets, atOnce }) {
  const extras = instructionSets(target.arch);
  const names = sets ?? Object.keys(extras);
  const sources = kernelSources();
  const kernels = fileURLToPath(new URL('kernels/', root));
  const folder = mkdtempSync(join(tmpdir(), 'xlstm-'));
  try {
    const compile = (name, file, extra) => {
      const all = [...compiler.args, ...flags, ...options, ...extra];
      return compiled(prefix + name, hashOf(compiler.version, ...all, ...sources.flat()), async () => {
        const object = join(folder, `${name}.o`);
        await run(compiler.command, [...all, '-c', join(kernels, file), '-o', object]);
        return readFileSync(object);
      });
    };
    const jobs = [
      () =>
        compile(
          'native',
          'native.cc',
          names.map((isa) => `-DXL_WITH_${isa.toUpperCase()}`),
        ),
      ...names.map((isa) => () => compile(isa, 'all.cc', [...extras[isa], `-DXL_ISA=xl_${isa}`])),
    ];
    const objects = await inParallel(jobs, atOnce);
    const { file, link } = platforms[target.platform] ?? platforms.linux;
    const linking = [...compiler.args, '-shared', ...options];
    const { bytes } = await compiled(
      `${prefix}library`,
      hashOf(...linking, ...link, ...objects.map(({ url }) => url.pathname)),
      async () => {
        const library = join(folder, file);
        // By their names compilers know them for objects.
        const inputs = objects.map(({ bytes }, i) => {
          const path = join(folder, `${i}.o`);
          writeFileSync(path, bytes);
          return path;
        });
        await run(compiler.command, [...linking, ...inputs, ...link, '-o', library]);
        return readFileSync(library);
      },
    );
    return bytes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes the library and its digest to a folder, in which the engine loads it; false if it was there. */
export function placeLibrary(folder, bytes, { platform } = here) {
  const { file } = platforms[platform] ?? platforms.linux;
  // Before the library: what is not there yet is not missed, what does not fit is not loaded.
  replaceFile(new URL('kernels.sha256', folder), createHash('sha256').update(bytes).digest('hex'));
  return replaceFile(new URL(file, folder), bytes);
}

/** dist/native/kernels.so (.dylib): { detail } if it is new, { skipped } where there is no compiler. */
export async function buildNative() {
  if (process.platform === 'win32') {
    return { skipped: 'on Windows the native library comes as a package; WebAssembly serves without it' };
  }
  const compiler = await findCompiler();
  if (!compiler) return { skipped: 'no C++ compiler (c++, g++ or clang++); one would make a faster engine' };
  const bytes = await compileKernels(compiler, { prefix: '' });
  const changed = placeLibrary(new URL('dist/native/', root), bytes);
  const sets = Object.keys(instructionSets(process.arch)).join(', ');
  return { detail: changed ? `${sets} (${compiler.version})` : undefined };
}
