import { doctor } from '../doctor.ts';
import type { Engine } from '../engine.ts';
import { findCompiler } from '../native/compiler.ts';
import { createNativeEngine } from '../native/engine.ts';
import { createWasmEngine } from '../wasm/engine.ts';
import { createWebgpuEngine } from '../webgpu/engine.ts';
import { createChromiumEngine } from '../webgpu/testing/chromium_engine.ts';
import { hasSoftwareGpu, useSoftwareGpu } from '../webgpu/testing/software_gpu.ts';

/** An engine under test; `open` makes a new one. */
export interface EngineCase {
  readonly name: string;
  open(threads: number): Promise<Engine>;
  /** Of many cases each so many is tried: those of a GPU have kernels of their own, which one in software compiles for seconds. */
  readonly every: number;
}

export interface EngineCases {
  readonly cases: readonly EngineCase[];
  /** Why the native engine is not among them: a test that cannot run is to be reported with it. */
  readonly missing: string | undefined;
}

/**
 * The fast engines in all their variants: wasm with and without relaxed SIMD, native for each instruction set of this
 * machine. Only a machine without a C++ compiler may lack the native one.
 *
 * @param products Of what: the kernels of amx are those of avx512 but for products of bfloat16, so only tests of these take both.
 */
export async function fastEngines(products: 'f32' | 'bf16' = 'f32'): Promise<EngineCases> {
  if (hasSoftwareGpu) await useSoftwareGpu(); // the first to look for a GPU, as doctor does, decides for the process
  const { instructionSets } = await doctor();
  const compiler = findCompiler();
  const wasm = (['relaxed', 'simd'] as const).map((variant) => ({
    name: `wasm, ${variant === 'relaxed' ? 'relaxed SIMD' : 'SIMD'}`,
    open: (threads: number) => createWasmEngine({ threads, instructionSet: variant }),
    every: 1,
  }));
  if (!compiler.present) return { cases: wasm, missing: `no C++ compiler: ${compiler.detail}` };
  const twice = products === 'f32' && instructionSets.includes('amx') ? ['avx512'] : [];
  const different = instructionSets.filter((name) => !twice.includes(name));
  const native = (different.length > 0 ? different : ['']).map((instructionSet) => ({
    name: `native, ${instructionSet || 'not built'}`,
    open: (threads: number) => createNativeEngine({ threads, instructionSet }),
    every: 1,
  }));
  return { cases: [...wasm, ...native], missing: undefined };
}

const ALL = process.env.XLSTM_GPU_CASES === 'all';

/** WebGPU over a GPU in software, where there is one: in Node, and in headless Chromium. */
export async function gpuEngines(): Promise<EngineCases> {
  if (!hasSoftwareGpu) return { cases: [], missing: 'the GPU in software is for Linux x64' };
  await useSoftwareGpu();
  const cases = [
    { name: 'webgpu in Node', open: () => createWebgpuEngine(), every: ALL ? 1 : 4 },
    { name: 'webgpu in Chromium', open: createChromiumEngine, every: ALL ? 1 : 12 },
  ];
  return { cases, missing: undefined };
}
