import { XlstmError } from '../errors.ts';
import { availableCores, importNode, inNode } from './host.ts';
import { hasRelaxedSimd, hasSharedMemory, loadWasmModule } from './wasm.ts';

/** One thing that was looked for. */
export interface Finding {
  readonly name: string;
  readonly present: boolean;
  /** What was found, or why it is missing. */
  readonly detail: string;
  /** What to do to get it, where it is missing. */
  readonly hint?: string;
}

export interface DoctorReport {
  /** For example "Node v20.20.2, linux x64, 8 cores". */
  readonly host: string;
  readonly engines: readonly Finding[];
  readonly parts: readonly Finding[];
  /** Instruction sets of the native engine that this machine can run, best first. */
  readonly instructionSets: readonly string[];
  readonly threads: number;
  /** What `auto` takes, and why. */
  readonly choice: { readonly engine: 'native' | 'wasm' | 'none'; readonly reason: string };
}

/** Looks at what the engines need without starting one. */
export async function doctor(): Promise<DoctorReport> {
  const threads = await availableCores();
  const { native, instructionSets } = await findNative();
  const wasm = await findWasm();
  const reference = {
    name: 'reference',
    present: true,
    detail: 'plain TypeScript in float64: slow, for checking the others',
  };
  return {
    host: inNode
      ? `Node ${process.version}, ${process.platform} ${process.arch}, ${threads} cores`
      : `${navigator.userAgent}, ${threads} cores`,
    engines: [native, wasm, reference],
    parts: [...(await findNativeParts()), await findRelaxedSimd(), findSharedMemory()],
    instructionSets,
    threads,
    choice: native.present
      ? { engine: 'native', reason: 'the native library loads and is the fastest' }
      : wasm.present
        ? { engine: 'wasm', reason: `native is not there: ${native.detail}` }
        : { engine: 'none', reason: 'neither native nor wasm is there' },
  };
}

const missing = (name: string, error: unknown): Finding => {
  if (!(error instanceof XlstmError)) throw error;
  return { name, present: false, detail: error.message, hint: error.hint };
};

async function findNative(): Promise<{ native: Finding; instructionSets: readonly string[] }> {
  const name = 'native';
  if (!inNode)
    return { native: { name, present: false, detail: 'browsers run no native code' }, instructionSets: [] };
  const { chooseInstructionSet, loadNativeLibrary } = await import('./native.ts');
  try {
    const library = await loadNativeLibrary();
    const detail = `runs ${chooseInstructionSet(library)} (this machine has ${library.instructionSets.join(', ')})`;
    return { native: { name, present: true, detail }, instructionSets: library.instructionSets };
  } catch (error) {
    return { native: missing(name, error), instructionSets: [] };
  }
}

async function findWasm(): Promise<Finding> {
  const variant = (await hasRelaxedSimd()) ? 'relaxed' : 'simd';
  try {
    await loadWasmModule(variant);
    const threads = hasSharedMemory() ? 'threads on shared memory' : 'one thread';
    return {
      name: 'wasm',
      present: true,
      detail: `${variant === 'relaxed' ? 'relaxed SIMD' : 'SIMD'}, ${threads}`,
    };
  } catch (error) {
    return missing('wasm', error);
  }
}

async function findRelaxedSimd(): Promise<Finding> {
  const present = await hasRelaxedSimd();
  return {
    name: 'relaxed SIMD',
    present,
    detail: present ? 'wasm has fused multiply-add' : 'this host has none; wasm runs with plain SIMD',
    ...(present ? {} : { hint: 'use Node 20 or later, or a current browser' }),
  };
}

function findSharedMemory(): Finding {
  const present = hasSharedMemory();
  return {
    name: 'shared memory',
    present,
    detail: present
      ? 'wasm can use threads'
      : 'the page is not cross-origin isolated; wasm runs on one thread',
    ...(present
      ? {}
      : {
          hint: 'serve with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp',
        }),
  };
}

/** What the native engine is made with and loaded by. */
async function findNativeParts(): Promise<Finding[]> {
  if (!inNode) return [];
  const { execFileSync } = await importNode<typeof import('node:child_process')>('node:child_process');
  const candidates = [process.env.CXX, 'c++', 'g++', 'clang++'].filter((command) => command !== undefined);
  const versionOf = (command: string): string | undefined => {
    try {
      return execFileSync(command, ['--version'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).split('\n')[0];
    } catch {
      return undefined;
    }
  };
  const compiler = candidates.map(versionOf).find((version) => version !== undefined);
  const koffi = await importNode<typeof import('koffi')>('koffi').catch(() => undefined);
  return [
    compiler === undefined
      ? {
          name: 'C++ compiler',
          present: false,
          detail: `none of ${candidates.join(', ')} runs`,
          hint: 'install g++ (apt install g++) or clang (xcode-select --install), then "npm run build"',
        }
      : { name: 'C++ compiler', present: true, detail: compiler },
    koffi === undefined
      ? {
          name: 'koffi',
          present: false,
          detail: 'the package that loads the native library',
          hint: 'npm install koffi',
        }
      : { name: 'koffi', present: true, detail: koffi.version },
  ];
}

/** The report as text for a terminal. */
export function formatDoctor(report: DoctorReport): string {
  const lines = [report.host, ''];
  const width = Math.max(...[...report.engines, ...report.parts].map(({ name }) => name.length));
  const list = (title: string, findings: readonly Finding[]): void => {
    lines.push(title);
    for (const { name, present, detail, hint } of findings) {
      lines.push(`  ${present ? 'yes' : 'no '}  ${name.padEnd(width)}  ${detail}`);
      if (hint) lines.push(`       ${''.padEnd(width)}  to get it: ${hint}`);
    }
    lines.push('');
  };
  list('Engines', report.engines);
  list('What they use', report.parts);
  lines.push(`--engine auto takes ${report.choice.engine}: ${report.choice.reason}`);
  return lines.join('\n');
}
