import { type Finding, missing } from './finding.ts';
import { availableCores, inNode, nodeHost, permits } from './host.ts';
import { hasRelaxedSimd, hasSharedMemory, loadWasmModule } from './wasm/module.ts';

export type { Finding } from './finding.ts';

/** What a machine has for the engines. */
export interface DoctorReport {
  /** For example "Node v20.20.2, linux x64, 8 cores". */
  readonly host: string;
  /** native, wasm, webgpu and reference. */
  readonly engines: readonly Finding[];
  /**
   * What engines need or are faster with: relaxed SIMD, shared memory; in Node, koffi and products of bfloat16; limits and
   * features of a graphics processor.
   */
  readonly parts: readonly Finding[];
  /** Instruction sets of the native engine that this machine can run, best first. */
  readonly instructionSets: readonly string[];
  /** Cores that this process may use: engines take as many threads where they are given no number. */
  readonly threads: number;
  /** What `auto` takes, and why. */
  readonly choice: {
    /** none: `auto` would throw. */
    readonly engine: 'native' | 'wasm' | 'none';
    /** For people. */
    readonly reason: string;
  };
}

/** Looks at what the engines need without starting one. */
export async function doctor(): Promise<DoctorReport> {
  const threads = await availableCores();
  const { native, instructionSets, bf16 } = await findNative();
  const wasm = await findWasm();
  const { findWebgpu } = await import('./webgpu/findings.ts');
  const webgpu = await findWebgpu();
  const reference = {
    name: 'reference',
    present: true,
    detail: 'plain TypeScript in float64: slow, for checking the others',
  };
  return {
    host: inNode
      ? `Node ${process.version}, ${process.platform} ${process.arch}, ${threads} cores`
      : `${navigator.userAgent}, ${threads} cores`,
    engines: [native, wasm, webgpu.engine, reference],
    parts: [
      ...(inNode ? [await (await nodeHost()).findKoffi(), bf16] : []),
      await findRelaxedSimd(),
      findSharedMemory(),
      ...webgpu.parts,
    ],
    instructionSets,
    threads,
    choice: native.present
      ? { engine: 'native', reason: 'the native library loads and is the fastest' }
      : wasm.present
        ? { engine: 'wasm', reason: `native is not there: ${native.detail}` }
        : { engine: 'none', reason: 'neither native nor wasm is there' },
  };
}

const BF16 = 'bf16 products';

interface NativeFindings {
  readonly native: Finding;
  readonly instructionSets: readonly string[];
  readonly bf16: Finding;
}

async function findNative(): Promise<NativeFindings> {
  const name = 'native';
  const without = (native: Finding): NativeFindings => ({
    native,
    instructionSets: [],
    bf16: { name: BF16, present: false, detail: 'the native engine alone has them, and is not there' },
  });
  if (!inNode) return without({ name, present: false, detail: 'browsers run no native code' });
  const { chooseInstructionSet, lackingBf16, loadNativeLibrary } = await import('./native/engine.ts');
  try {
    const library = await loadNativeLibrary();
    const { instructionSets } = library;
    const taken = chooseInstructionSet(library);
    const detail = `runs ${taken} (this machine has ${instructionSets.join(', ')})`;
    const present = library.hasBf16(taken);
    return {
      native: { name, present: true, detail },
      instructionSets,
      bf16: {
        name: BF16,
        present,
        detail: present ? `${taken} has them: xlstm train --precision bf16` : lackingBf16(library, taken),
        ...(present ? {} : { hint: 'it takes a processor with AVX-512 and avx512_bf16' }),
      },
    };
  } catch (error) {
    return without(missing(name, error));
  }
}

async function findWasm(): Promise<Finding> {
  const variant = (await hasRelaxedSimd()) ? 'relaxed' : 'simd';
  try {
    await loadWasmModule(variant);
    const threads = hasSharedMemory() && permits('worker') ? 'threads on shared memory' : 'one thread';
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
  const name = 'shared memory';
  if (!hasSharedMemory()) {
    return {
      name,
      present: false,
      detail: 'the page is not cross-origin isolated; wasm runs on one thread',
      hint: 'serve with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp',
    };
  }
  return permits('worker')
    ? { name, present: true, detail: 'wasm can use threads' }
    : {
        name,
        present: false,
        detail: "Node's permission model allows no workers; wasm runs on one thread",
        hint: 'start Node with --allow-worker',
      };
}
