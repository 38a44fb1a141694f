/** What the engines know of the JavaScript they run in. Nothing here imports a `node:` module statically. */

export const inNode = typeof process !== 'undefined' && typeof process.versions?.node === 'string';

/**
 * A module that exists in Node only. The specifier is not a literal, so that no bundler for browsers looks for it.
 */
export const importNode = <T>(name: string): Promise<T> =>
  import(/* @vite-ignore */ /* webpackIgnore: true */ name) as Promise<T>;

export async function availableCores(): Promise<number> {
  if (!inNode) return navigator.hardwareConcurrency || 1;
  const os = await importNode<typeof import('node:os')>('node:os');
  return os.availableParallelism();
}

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
