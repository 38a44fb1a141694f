import { relaxedSimd } from 'wasm-feature-detect';
import { XlstmError } from '../../../errors.ts';
import { inNode, nodeHost, wasmHint } from '../host.ts';

/** Absent under `node --jitless` and in browsers that lock it. */
const hasWebAssembly = (): boolean => typeof WebAssembly !== 'undefined';

/** Whether the host has relaxed SIMD. */
export async function hasRelaxedSimd(): Promise<boolean> {
  if (!hasWebAssembly()) return false;
  if (await relaxedSimd()) return true;
  if (!inNode) return false;
  (await nodeHost()).allowRelaxedSimd();
  return relaxedSimd();
}

/** Whether threads can share a WebAssembly memory. */
export const hasSharedMemory = (): boolean =>
  typeof SharedArrayBuffer !== 'undefined' && (inNode || globalThis.crossOriginIsolated === true);

export type WasmVariant = 'relaxed' | 'simd';

/** The variant to run: the one asked for, else the best. */
export async function chooseVariant(wanted: string | undefined): Promise<WasmVariant> {
  const variants: WasmVariant[] = (await hasRelaxedSimd()) ? ['relaxed', 'simd'] : ['simd'];
  if (wanted === undefined) return variants[0];
  const found = variants.find((variant) => variant === wanted);
  if (found) return found;
  throw new XlstmError(
    'engine',
    `instructionSet is "${wanted}", but the wasm engine has ${variants.join(', ')} here`,
    'leave it out to take the best',
  );
}

// Literal URLs, so that bundlers find the files.
const moduleUrl = (variant: WasmVariant): URL =>
  variant === 'relaxed'
    ? new URL('../../../../dist/wasm/relaxed.wasm', import.meta.url)
    : new URL('../../../../dist/wasm/simd.wasm', import.meta.url);

/** The module's file; throws an XlstmError that says why it cannot be had. */
export async function loadWasmModule(variant: WasmVariant): Promise<Uint8Array<ArrayBuffer>> {
  if (!hasWebAssembly()) {
    throw new XlstmError(
      'engine',
      'this host runs no WebAssembly',
      inNode ? 'start Node without --jitless' : 'allow WebAssembly in this browser',
    );
  }
  const url = moduleUrl(variant);
  if (!inNode) {
    const response = await fetch(url);
    if (!response.ok) {
      throw new XlstmError(
        'engine',
        `${url} cannot be fetched: ${response.status}`,
        'serve dist/wasm with the page',
      );
    }
    return new Uint8Array(await response.arrayBuffer());
  }
  const bytes = await (await nodeHost()).readOrNothing(url);
  if (bytes) return bytes;
  throw new XlstmError('engine', `the WebAssembly kernels are not built (${url})`, await wasmHint());
}

/** The module compiled for one memory; the import's limits carry a bit that says whether it is shared. */
export async function compileWasmModule(variant: WasmVariant, shared: boolean): Promise<WebAssembly.Module> {
  const bytes = await loadWasmModule(variant);
  if (!shared) clearSharedFlag(bytes);
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new XlstmError(
      'engine',
      `this host cannot run the WebAssembly kernels: ${(error as Error).message}`,
      'use Node 20 or later, or a browser with WebAssembly SIMD',
    );
  }
}

/** Rewrites the memory import "env.memory" from shared to plain. Limits: 1 = has a maximum, 2 = shared. */
function clearSharedFlag(bytes: Uint8Array): void {
  const name = [3, 101, 110, 118, 6, 109, 101, 109, 111, 114, 121, 2, 3]; // "env" "memory" kind 2, limits 3
  const at = bytes.findIndex((_, i) => name.every((byte, j) => bytes[i + j] === byte));
  if (at < 0) throw new XlstmError('internal', 'the WebAssembly kernels import no shared memory');
  bytes[at + name.length - 1] = 1;
}
