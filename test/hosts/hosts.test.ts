import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const library = new URL('../../dist/index.js', import.meta.url).href;
const root = fileURLToPath(new URL('../../', import.meta.url));

/** Opens an engine where some of what the engines use is missing: its description, or the error that a person sees. */
const script = `
import { chooseEngine } from ${JSON.stringify(library)};
const [name, instructionSet] = process.argv.slice(-2);
try {
  const { engine, reason } = await chooseEngine(name, { threads: 2, ...(instructionSet === '-' ? {} : { instructionSet }) });
  console.log(engine.description + ' | ' + reason);
  await engine.close();
} catch (error) {
  if (!error.code || error.code === 'internal') throw error;
  console.log(error.code + ' | ' + error.message + ' | ' + error.hint);
}`;

interface Host {
  readonly name: string;
  readonly engine: 'wasm' | 'auto';
  readonly flags?: readonly string[];
  /** Kilobytes of address space. */
  readonly space?: number;
  /** With 'simd' no native engine can be chosen. */
  readonly instructionSet?: string;
  readonly says: RegExp;
}

const noShared = ['--import', 'data:text/javascript,delete globalThis.SharedArrayBuffer'];
const noWorkers = ['--experimental-permission', `--allow-fs-read=${root}*`];

const hosts: readonly Host[] = [
  { name: 'everything', engine: 'wasm', says: /^wasm, .*, 2 threads \| asked for by name$/ },
  {
    name: 'no WebAssembly',
    engine: 'wasm',
    flags: ['--jitless'],
    says: /^engine \| this host runs no WebAssembly \| start Node without --jitless$/,
  },
  {
    name: 'neither WebAssembly nor what is asked of native',
    engine: 'auto',
    flags: ['--jitless'],
    instructionSet: 'simd',
    says: /^engine \| no engine: native: .*simd.*; wasm: this host runs no WebAssembly \| .*start Node without --jitless$/,
  },
  {
    name: 'no shared memory',
    engine: 'wasm',
    flags: noShared,
    says: /^wasm, .*, 1 thread, the calling one \(no shared memory here\)/,
  },
  {
    name: 'no workers',
    engine: 'wasm',
    flags: noWorkers,
    says: /^wasm, .*, 1 thread, the calling one \(no workers here: .+\)/,
  },
  {
    name: 'no workers and no addons',
    engine: 'auto',
    flags: noWorkers,
    says: /^wasm, .*, 1 thread, .* \| always there; native is not: /,
  },
  {
    name: 'little address space',
    engine: 'wasm',
    space: 3e6,
    says: /^engine \| the host gives WebAssembly no memory: .* \| allow the process more address space/,
  },
  {
    name: 'address space for memory, but not for workers',
    engine: 'wasm',
    space: 12e6,
    says: /^wasm, .*, 1 thread, the calling one \(the limit on address space leaves no room for workers\)/,
  },
  { name: 'a limit that leaves room', engine: 'wasm', space: 20e6, says: /^wasm, .*, 2 threads/ },
];

it.each(hosts)(
  'with $name, $engine says in one line what it takes or why it cannot',
  ({ engine, flags = [], space, instructionSet = '-', says }) => {
    if (space !== undefined && process.platform !== 'linux') return;
    const limit = space === undefined ? '' : `ulimit -v ${space}; `;
    const { stdout, stderr, status } = spawnSync(
      'sh',
      [
        '-c',
        `${limit}exec "$@"`,
        'sh',
        process.execPath,
        '--no-warnings',
        ...flags,
        '--input-type=module',
        '-e',
        script,
        '--',
        engine,
        instructionSet,
      ],
      { encoding: 'utf8', timeout: 30_000 },
    );
    expect(stdout.trim(), stderr).toMatch(says);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(0);
  },
);
