// npm run check:sanitized: tests of the native engine over libraries that report wrong accesses and races as they happen
// (docs/testing.md). Fails where it cannot check.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, takeTurn } from './files.js';
import { compileKernels, compilerAt, instructionSets, placeLibrary } from './native.js';

/** They run the native engine forward and backward, on one thread and on several. */
const suites = [
  'src/lab/verification/verify.test.ts',
  'src/compute/graph/random_graphs.test.ts',
  'src/compute/graph/conv.test.ts',
  'src/compute/graph/gated_norm.test.ts',
  'src/compute/graph/mlstm_projections.test.ts',
  'src/compute/graph/packed_linear.test.ts',
  'src/compute/graph/sequence_ops.test.ts',
  'src/compute/engines/thin_products.test.ts',
  'src/compute/engines/engines.test.ts',
];

const folder = new URL('dist/native-sanitized/', root);
const FOUND = 99;

/** `planted`: faults of planted_faults.js, and what the report calls them. */
const sanitizers = [
  {
    name: 'address',
    options: ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
    runtimes: ['libasan.so', 'libubsan.so'],
    // Node frees little at its end; memory that is refused is an error that tests expect.
    settings: 'detect_leaks=0:allocator_may_return_null=1',
    planted: { end: 'use-after-poison', between: 'use-after-poison' },
    // The narrow vectors' tails are other code.
    sets: (all) => [...new Set([all[0], all.at(-1)])],
  },
  {
    name: 'thread',
    options: ['-fsanitize=thread'],
    runtimes: ['libtsan.so'],
    // What Node does between its own threads is not looked at; memory that is refused is an error that tests expect.
    settings: 'ignore_noninstrumented_modules=1:allocator_may_return_null=1',
    planted: { race: 'data race' },
    sets: (all) => [all[0]],
  },
];

async function timed(what, work) {
  const start = performance.now();
  const result = await work();
  console.log(`${what.padEnd(60)} ${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s`);
  return result;
}

/** The absolute path of a sanitizer's runtime, which the compiler names. */
function runtimePath(compiler, runtime) {
  const { stdout } = spawnSync(compiler.command, [`-print-file-name=${runtime}`], { encoding: 'utf8' });
  const path = stdout.trim();
  if (!isAbsolute(path))
    throw new Error(`${compiler.command} has no ${runtime}: install libasan, libubsan and libtsan`);
  return path;
}

/** Runs Node over a sanitized library. The sanitizers' reports go to files, which survive a worker of the test runner. */
function runOver({ name, settings }, preload, args) {
  const reports = new URL(`reports-${name}/`, folder);
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const common = `halt_on_error=1:exitcode=${FOUND}:log_path=${fileURLToPath(reports)}report`;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: fileURLToPath(root),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: {
      ...process.env,
      LD_PRELOAD: preload,
      XLSTM_NATIVE_FOLDER: fileURLToPath(new URL(`${name}/`, folder)),
      ASAN_OPTIONS: `${common}:${settings}`,
      UBSAN_OPTIONS: `${common}:print_stacktrace=1`,
      TSAN_OPTIONS: `${common}:${settings}`,
    },
  });
  const found = readdirSync(reports).map((file) => readFileSync(new URL(file, reports), 'utf8'));
  // Tests ask for more memory than there is.
  const report = found.join('\n').replace(/^.*WARNING: AddressSanitizer failed to allocate.*\n/gm, '');
  return { ended: signal ?? status, text: `${stdout}${stderr}`, report };
}

async function check(compiler, sanitizer, supported) {
  const { name, options, runtimes, planted } = sanitizer;
  const preload = runtimes.map((runtime) => runtimePath(compiler, runtime)).join(':');
  const sets = sanitizer.sets(supported);
  await timed(`${name}: library for ${sets.join(', ')}`, async () => {
    const endTurn = await takeTurn();
    try {
      const all = ['-O1', '-g', '-fno-omit-frame-pointer', ...options];
      const atOnce = availableParallelism();
      const bytes = await compileKernels(compiler, { prefix: `${name}-`, options: all, sets, atOnce });
      placeLibrary(new URL(`${name}/`, folder), bytes);
    } finally {
      endTurn();
    }
  });
  const script = fileURLToPath(new URL('scripts/planted_faults.js', root));
  for (const [fault, expected] of Object.entries({ none: undefined, ...planted })) {
    await timed(`${name}: planted fault: ${fault}`, () => {
      const { ended, text, report } = runOver(sanitizer, preload, [script, fault]);
      const right = expected ? ended === FOUND && report.includes(expected) : ended === 0 && report === '';
      if (!right)
        throw new Error(`"${expected ?? 'nothing'}" is to be reported, found (${ended}):\n${report}${text}`);
    });
  }
  await timed(`${name}: ${suites.length} suites`, () => {
    const vitest = fileURLToPath(new URL('node_modules/vitest/vitest.mjs', root));
    const args = [vitest, 'run', '-t', 'native', ...suites];
    const { ended, text, report } = runOver(sanitizer, preload, args);
    if (ended !== 0 || report) throw new Error(`the suites ended with ${ended}\n${report}\n${text}`);
    console.log(text.match(/^.*Tests .*$/m)?.[0] ?? '');
  });
}

try {
  const compiler = await compilerAt('g++');
  if (process.platform !== 'linux' || !compiler)
    throw new Error('needs Linux and g++ with its sanitizers (apt install g++)');
  const { loadNativeLibrary } = await import(new URL('dist/compute/engines/native/engine.js', root).href);
  const { instructionSets: supported } = await loadNativeLibrary();
  const compiled = supported.filter((name) => name in instructionSets(process.arch));
  for (const sanitizer of sanitizers) await check(compiler, sanitizer, compiled);
} catch (error) {
  console.error(`check:sanitized failed: ${error.stderr || error.message}`);
  process.exitCode = 1;
}
