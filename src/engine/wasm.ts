import { XlstmError } from '../errors.ts';
import { type Block, CpuEngine, type Machine, type Words } from './cpu.ts';
import type { EngineOptions } from './engine.ts';
import { availableCores, importNode, inNode, mayWait } from './host.ts';
import { kernelTableSignature } from './signature.ts';
import { MAX_PAGES, WasmHeap } from './wasm_heap.ts';
import { workerSource } from './wasm_worker.ts';

/** What kernels/wasm.cc exports. */
interface Kernels {
  readonly __heap_base: WebAssembly.Global<'i32'>;
  signature(): number;
  threadScratchBytes(): number;
  open(scratch: number, threads: number): void;
  run(words: number, count: number, threads: number, mayWait: number): void;
  close(): void;
}

/** Bytes of stack of each worker. */
const STACK_BYTES = 1 << 20;

/** Pages that the module's own data and a first workspace fit in. */
const FIRST_PAGES = 256;

/** A function that uses f32x4.relaxed_madd. */
const relaxedProbe = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  8,
  1,
  96,
  3,
  123,
  123,
  123,
  1,
  123,
  3,
  2,
  1,
  0,
  10,
  13,
  1,
  11,
  0,
  32,
  0,
  32,
  1,
  32,
  2,
  253,
  133,
  2,
  11,
);

/** Whether the host has relaxed SIMD; Node 20 has it behind a flag that can be set while it runs. */
export async function hasRelaxedSimd(): Promise<boolean> {
  if (WebAssembly.validate(relaxedProbe)) return true;
  if (!inNode) return false;
  const v8 = await importNode<typeof import('node:v8')>('node:v8');
  v8.setFlagsFromString('--experimental-wasm-relaxed-simd');
  return WebAssembly.validate(relaxedProbe);
}

export const hasSharedMemory = (): boolean =>
  typeof SharedArrayBuffer !== 'undefined' && (inNode || globalThis.crossOriginIsolated === true);

export type WasmVariant = 'relaxed' | 'simd';

// Literal URLs, so that bundlers find the files.
const moduleUrl = (variant: WasmVariant): URL =>
  variant === 'relaxed'
    ? new URL('../../dist/wasm/relaxed.wasm', import.meta.url)
    : new URL('../../dist/wasm/simd.wasm', import.meta.url);

/** The module's file; throws an XlstmError that says why it cannot be had. */
export async function loadWasmModule(variant: WasmVariant): Promise<Uint8Array<ArrayBuffer>> {
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
  const { readFile } = await importNode<typeof import('node:fs/promises')>('node:fs/promises');
  try {
    return new Uint8Array(await readFile(url));
  } catch {
    throw new XlstmError('engine', `the WebAssembly kernels are not built (${url})`, 'npm run build');
  }
}

/** The module compiled for one memory; the import's limits carry a bit that says whether it is shared. */
async function compile(variant: WasmVariant, shared: boolean): Promise<WebAssembly.Module> {
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

interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly stackTop: number;
}

/** A running worker; resolves to what waits for its end. */
async function startWorker(start: WorkerStart): Promise<() => Promise<void>> {
  if (inNode) {
    const { Worker } = await importNode<typeof import('node:worker_threads')>('node:worker_threads');
    const worker = new Worker(workerSource, { eval: true, workerData: start });
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    await new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('error', reject);
    });
    worker.unref(); // it does not keep Node from exiting
    return () => {
      worker.ref(); // whoever waits for its end must see it
      return ended;
    };
  }
  const url = URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }));
  const worker = new Worker(url);
  await new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => reject(new XlstmError('engine', `a worker did not start: ${event.message}`));
    worker.postMessage(start);
  });
  URL.revokeObjectURL(url);
  return async () => {}; // it closes itself
}

class WasmMachine implements Machine {
  readonly name = 'wasm';
  readonly threads: number;
  readonly description: string;
  readonly #kernels: Kernels;
  readonly #heap: WasmHeap;
  readonly #workers: readonly (() => Promise<void>)[];
  readonly #mayWait: number;
  /** Gives back the memory of blocks that nothing refers to any more. */
  readonly #freed: FinalizationRegistry<{ address: number; bytes: number }>;
  /** The view of the whole memory; made anew after it has grown. */
  #view = new Float32Array(0);

  constructor(
    kernels: Kernels,
    heap: WasmHeap,
    workers: readonly (() => Promise<void>)[],
    description: string,
  ) {
    this.#kernels = kernels;
    this.#heap = heap;
    this.#workers = workers;
    this.threads = workers.length + 1;
    this.description = description;
    this.#mayWait = mayWait() ? 1 : 0;
    this.#freed = new FinalizationRegistry(({ address, bytes }) => heap.free(address, bytes));
  }

  allocate(elements: number, what: string): Block {
    const address = this.#heap.allocate(4 * elements, what);
    const block: Block = {
      address,
      elements,
      floats: () => this.#floats().subarray(address / 4, address / 4 + elements),
    };
    this.#freed.register(block, { address, bytes: 4 * elements }, block);
    return block;
  }

  release(block: Block): void {
    if (this.#freed.unregister(block)) this.#heap.free(block.address, 4 * block.elements);
  }

  place(words: Float64Array): Words {
    const address = this.#heap.allocate(words.byteLength, 'a program');
    new Float64Array(this.#heap.memory.buffer, address, words.length).set(words);
    const placed = { address, count: words.length };
    this.#freed.register(placed, { address, bytes: words.byteLength });
    return placed;
  }

  run(words: Words, threads: number): void {
    this.#kernels.run(words.address, words.count, threads, this.#mayWait);
  }

  async close(): Promise<void> {
    this.#kernels.close();
    await Promise.all(this.#workers.map((ended) => ended()));
  }

  #floats(): Float32Array<ArrayBuffer> {
    const { buffer } = this.#heap.memory;
    if (this.#view.buffer !== buffer) this.#view = new Float32Array(buffer);
    return this.#view;
  }
}

/** One thread runs on plain memory, which every host has; more need shared memory. */
export async function createWasmEngine(
  options: EngineOptions = {},
  variant?: WasmVariant,
): Promise<CpuEngine> {
  const threads = hasSharedMemory() ? (options.threads ?? (await availableCores())) : 1;
  const shared = threads > 1;
  const relaxed = (await hasRelaxedSimd()) && variant !== 'simd';
  const module = await compile(relaxed ? 'relaxed' : 'simd', shared);
  const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MAX_PAGES, shared });
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  const kernels = instance.exports as unknown as Kernels;
  if (kernels.signature() !== kernelTableSignature()) {
    throw new XlstmError(
      'engine',
      'the WebAssembly kernels were built from another version of xlstm',
      'npm run build',
    );
  }
  const heap = new WasmHeap(memory, kernels.__heap_base.value);
  kernels.open(heap.allocate(threads * kernels.threadScratchBytes(), 'the threads’ workspace'), threads);
  const workers = await Promise.all(
    Array.from({ length: threads - 1 }, (_, i) =>
      startWorker({
        module,
        memory,
        thread: i + 1,
        stackTop: heap.allocate(STACK_BYTES, 'a thread’s stack') + STACK_BYTES,
      }),
    ),
  );
  const description =
    `wasm, ${relaxed ? 'relaxed SIMD' : 'SIMD'}, ${threads} ${threads === 1 ? 'thread' : 'threads'}` +
    (hasSharedMemory() ? '' : ' (this page has no shared memory)');
  return new CpuEngine(new WasmMachine(kernels, heap, workers, description));
}
