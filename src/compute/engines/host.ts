/** What the engines know of the JavaScript they run in. Nothing here imports a `node:` module. */

export const inNode = typeof process !== 'undefined' && typeof process.versions?.node === 'string';

/** What only Node has; not to be called elsewhere. */
export const nodeHost = (): Promise<typeof import('./node_host.ts')> => import('./node_host.ts');

/** Cores that this process may use: by the machine, its affinity, and the limits of its container. */
export const availableCores = async (): Promise<number> =>
  inNode ? (await nodeHost()).availableCores() : navigator.hardwareConcurrency || 1;

/**
 * Bytes of address space that the process may still take; Infinity where nothing limits it or the system does not tell.
 */
export const addressSpaceLeft = async (): Promise<number> =>
  inNode ? (await nodeHost()).addressSpaceLeft() : Number.POSITIVE_INFINITY;

/** False on the main thread of a browser, which may not sleep. */
export function mayWait(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false;
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** Whether Node's permission model lets this process start workers, or processes. True where there is no such model. */
export function permits(what: 'worker' | 'child'): boolean {
  if (!inNode) return true;
  const { permission } = process as { readonly permission?: { has(scope: string): boolean } };
  return permission?.has(what) ?? true;
}

/** How to come to WebAssembly kernels that are missing or of another version. */
export const wasmHint = async (): Promise<string> =>
  inNode ? (await nodeHost()).wasmRemedy() : 'serve dist/wasm of this version of xlstm with the page';
