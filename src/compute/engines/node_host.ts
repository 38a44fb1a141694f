import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { grantedCores } from './cores.ts';
import { optionalRemedy } from './remedies.ts';

/**
 * What the engines ask of Node. Browsers load this file never: host.ts imports it when a function needs it, and bundles
 * for browsers hold nothing in its place ("browser" in package.json).
 */

/** Its specifier is no literal, so that bundles for Node leave the package, which loads an addon, where it is. */
export const importKoffi = (name = 'koffi'): Promise<typeof import('koffi')> =>
  import(/* @vite-ignore */ /* webpackIgnore: true */ name);

/** The same for the package that brings WebGPU to Node. */
export const importWebgpu = (name = 'webgpu'): Promise<{ create(options: string[]): unknown }> =>
  import(/* @vite-ignore */ /* webpackIgnore: true */ name);

/**
 * What Linux lacks for Vulkan: its loader, or a driver for it. Undefined where nothing is, or where koffi, which looks, is not
 * there. Dawn would find out too, and write about it to stderr.
 */
export async function vulkanLack(): Promise<'loader' | 'driver' | undefined> {
  if (process.platform !== 'linux') return undefined;
  const koffi = await importKoffi().catch(() => undefined);
  if (!koffi) return undefined;
  let vulkan: ReturnType<typeof koffi.load>;
  try {
    vulkan = koffi.load('libvulkan.so.1');
  } catch {
    return 'loader';
  }
  const create = vulkan.func('int vkCreateInstance(const void *info, const void *allocator, void *instance)');
  const destroy = vulkan.func('void vkDestroyInstance(uintptr_t instance, const void *allocator)');
  const info = new Uint32Array(16);
  info[0] = 1; // VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO; all else may be 0
  const instance = new BigUint64Array(1);
  const VK_ERROR_INCOMPATIBLE_DRIVER = -9;
  const result: number = create(info, null, instance);
  if (result === 0) destroy(instance[0], null);
  return result === VK_ERROR_INCOMPATIBLE_DRIVER ? 'driver' : undefined;
}

/** Cores that this process may use: by the machine, its affinity, and the limits of its container. */
export async function availableCores(): Promise<number> {
  const cores = availableParallelism();
  if (process.platform !== 'linux') return cores;
  return Math.min(cores, await grantedCores((path) => readFile(path, 'utf8').catch(() => undefined)));
}

/**
 * Bytes of address space that the process may still take; Infinity where nothing limits it or the system does not tell.
 */
export async function addressSpaceLeft(): Promise<number> {
  if (process.platform !== 'linux') return Number.POSITIVE_INFINITY;
  const read = (file: string): Promise<string> => readFile(`/proc/self/${file}`, 'utf8').catch(() => '');
  const limit = /^Max address space +(\d+)/m.exec(await read('limits'))?.[1];
  const taken = /^VmSize:\s+(\d+) kB/m.exec(await read('status'))?.[1];
  return limit === undefined || taken === undefined
    ? Number.POSITIVE_INFINITY
    : Number(limit) - 1024 * Number(taken);
}

/** Node 20 has relaxed SIMD behind a flag that can be set while it runs. */
export const allowRelaxedSimd = (): void => setFlagsFromString('--experimental-wasm-relaxed-simd');

/** The file's bytes; undefined where it cannot be read. */
export const readOrNothing = (file: URL | string): Promise<Uint8Array<ArrayBuffer> | undefined> =>
  readFile(file).then(
    (bytes) => new Uint8Array(bytes),
    () => undefined,
  );

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A worker that runs `source`, a CommonJS script, and finds `data` in `workerData`. */
export const startWorker = (source: string, workerData: unknown): Worker =>
  // Options of the process, such as --input-type=module or preloaded modules, are not for this source.
  new Worker(source, { eval: true, execArgv: [], workerData });

export { wasmRemedy } from './remedies.ts';

export async function findKoffi() {
  const name = 'koffi';
  const koffi = await importKoffi().catch(() => undefined);
  return koffi
    ? { name, present: true, detail: koffi.version }
    : {
        name,
        present: false,
        detail: 'the package that loads the native library',
        hint: optionalRemedy(),
      };
}
