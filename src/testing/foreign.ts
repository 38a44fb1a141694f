import { Session } from 'node:inspector';
import fc from 'fast-check';
import { expect } from 'vitest';
import { XlstmError } from '../errors.ts';

/** Inputs of each reader. */
export const RUNS = 10_000;

/** Bytes that a reader may take above those of the file. */
const SLACK = 2 ** 20;

/** Of one input: far beyond what a small file takes, also on a busy machine. */
const HANG_MS = 5_000;

export type Outcome<T> = { readonly value: T } | { readonly error: XlstmError };

/**
 * Runs a reader on foreign input. It may give a value or an XlstmError that a person can use: it names the `source`,
 * on one line of bounded length. Anything else fails the test.
 */
export function outcome<T>(source: string, read: () => T): Outcome<T> {
  const start = performance.now();
  let result: Outcome<T>;
  try {
    result = { value: read() };
  } catch (error) {
    result = { error: checkedError(error, source) };
  }
  expect(performance.now() - start).toBeLessThan(HANG_MS);
  return result;
}

/**
 * What a reader makes of mutated files: a value that `check` finds sound, or one clear error. Both have to happen often:
 * neither half of the property is empty.
 */
export function checkReader<T>(
  files: fc.Arbitrary<Uint8Array>,
  source: string,
  read: (bytes: Uint8Array) => T,
  check: (value: T, bytes: Uint8Array) => void,
): void {
  let taken = 0;
  const property = fc.property(files, (bytes) => {
    const result = outcome(source, () => read(bytes));
    if ('error' in result) return;
    check(result.value, bytes);
    taken++;
  });
  fc.assert(property, { numRuns: RUNS });
  expectBoth(taken);
}

/** Of RUNS files so many were taken, the others refused. */
export function expectBoth(taken: number): void {
  expect(taken).toBeGreaterThan(RUNS / 50);
  expect(taken).toBeLessThan(RUNS * 0.9);
}

/** The same as `outcome`, of a reader that is asynchronous. */
export async function outcomeAsync<T>(source: string, read: () => Promise<T>): Promise<Outcome<T>> {
  const start = performance.now();
  let result: Outcome<T>;
  try {
    result = { value: await read() };
  } catch (error) {
    result = { error: checkedError(error, source) };
  }
  expect(performance.now() - start).toBeLessThan(HANG_MS);
  return result;
}

function checkedError(error: unknown, source: string): XlstmError {
  if (!(error instanceof XlstmError)) throw error;
  expect(error.code).not.toBe('internal');
  expect(error.message).toContain(source);
  for (const text of [error.message, error.hint ?? '']) {
    expect(text).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\ufeff]/u);
    expect(text.length).toBeLessThan(source.length + 500);
  }
  return error;
}

const ARRAYS = [
  ...['ArrayBuffer', 'SharedArrayBuffer', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array'],
  ...['Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array'],
  'BigUint64Array',
] as const;

/**
 * Bytes that `run` takes in all, whether they are given back or not: of the heap (sampled, to about 1 KB) and of the
 * arrays that it makes.
 */
export function allocated(run: () => void): number {
  const session = new Session();
  session.connect();
  const counted = countArrays();
  let heap = 0;
  try {
    session.post('HeapProfiler.startSampling', {
      samplingInterval: 1024,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    run();
  } finally {
    counted.stop();
    session.post('HeapProfiler.stopSampling', (error, result) => {
      if (error) throw error;
      const pending = [result.profile.head];
      for (let node = pending.pop(); node; node = pending.pop()) {
        heap += node.selfSize;
        pending.push(...node.children);
      }
    });
    session.disconnect();
  }
  return heap + counted.bytes();
}

function countArrays(): { bytes(): number; stop(): void } {
  let bytes = 0;
  const scope = globalThis as Record<string, unknown>;
  const before = ARRAYS.map((name) => [name, scope[name]] as const);
  for (const [name, original] of before) {
    scope[name] = new Proxy(original as new (...args: unknown[]) => { byteLength: number }, {
      construct(target, args, newTarget) {
        const made = Reflect.construct(target, args, newTarget);
        // Over a buffer that is there it is a view.
        const view = args[0] instanceof ArrayBuffer || args[0] instanceof SharedArrayBuffer;
        if (!view) bytes += made.byteLength;
        return made;
      },
    });
  }
  return {
    bytes: () => bytes,
    stop: () => {
      for (const [name, original] of before) scope[name] = original;
    },
  };
}

/** Whatever the file claims, a reader takes memory by the bytes that are there. */
export function expectFrugal(source: string, fileBytes: number, read: () => unknown): void {
  const bytes = allocated(() => outcome(source, read));
  expect(bytes, `${bytes} bytes were allocated for a file of ${fileBytes}`).toBeLessThan(fileBytes + SLACK);
}
