import { XlstmError } from '../../../errors.ts';
import { type Dtype, dtypes, type Numbers } from '../../program/dtypes.ts';
import { cpuLimits, type EngineLimits, withoutBf16 } from '../../program/limits.ts';
import { type Block, CpuEngine, type Machine, type Words } from '../cpu.ts';
import type { EngineOptions } from '../engine.ts';
import { addressSpaceLeft, availableCores, mayWait, wasmHint } from '../host.ts';
import { hostStorage } from '../memory.ts';
import { kernelTableSignature } from '../signature.ts';
import { createMemory, MAX_BYTES, WasmHeap } from './heap.ts';
import { chooseVariant, compileWasmModule, hasSharedMemory, type WasmVariant } from './module.ts';
import { WasmThreads } from './threads.ts';

/** What kernels/wasm.cc exports. */
interface Kernels {
  readonly __heap_base: WebAssembly.Global<'i32'>;
  signature(): number;
  threadScratchBytes(): number;
  open(scratch: number, threads: number): void;
  run(words: number, count: number, threads: number, mayWait: number): void;
  close(): void;
  /** 1 for the first call. */
  abandon(): number;
}

/** Bytes of stack of each worker. */
const STACK_BYTES = 1 << 20;

/** Memory from the heap. */
interface Piece {
  readonly address: number;
  readonly bytes: number;
  release(): void;
}

/** One for all of these engines: Programs are planned once for engines of the same limits. */
const limits: EngineLimits = withoutBf16(
  { ...cpuLimits, largestBinding: MAX_BYTES },
  'WebAssembly has no dot products of bfloat16',
);

class WasmMachine implements Machine {
  readonly name = 'wasm';
  readonly limits = limits;
  readonly shortRun = { flops: 2e7, bytes: 4e7 };
  readonly threads: number;
  readonly description: string;
  readonly runElsewhere: Machine['runElsewhere'];
  readonly #kernels: Kernels;
  readonly #heap: WasmHeap;
  readonly #workers: WasmThreads | undefined;
  readonly #mayWait = mayWait() ? 1 : 0;
  /** Gives back what nobody released and nothing refers to any more. */
  readonly #lost: FinalizationRegistry<Piece>;
  #failed: (error: Error) => void = () => {};

  constructor(
    { kernels, heap }: Instance,
    threads: number,
    description: string,
    workers: WasmThreads | undefined,
  ) {
    this.#kernels = kernels;
    this.#heap = heap;
    this.#workers = workers;
    this.threads = threads;
    this.description = description;
    this.#lost = new FinalizationRegistry(({ address, bytes }) => heap.free(address, bytes));
    if (workers) {
      workers.watch((error) => this.#failed(error));
      this.runElsewhere = ({ address, count }, threads) => workers.run({ words: address, count, threads });
    }
  }

  watch(failed: (error: Error) => void): void {
    this.#failed = failed;
  }

  allocate(bytes: number, what: string): Block {
    const piece = this.#piece(bytes, what);
    const values = (dtype: Dtype = 'f32'): Numbers => {
      const { array, bytes: size } = dtypes[dtype];
      return new array(this.#heap.memory.buffer, piece.address, bytes / size);
    };
    return this.#watched({ ...piece, ...hostStorage(bytes, values, piece.release) }, piece);
  }

  place(words: Float64Array): Words {
    const piece = this.#piece(words.byteLength, 'a program');
    new Float64Array(this.#heap.memory.buffer, piece.address, words.length).set(words);
    return this.#watched({ ...piece, count: words.length }, piece);
  }

  #piece(bytes: number, what: string): Piece {
    const address = this.#heap.allocate(bytes, what);
    const piece: Piece = {
      address,
      bytes,
      release: () => {
        if (this.#lost.unregister(piece)) this.#heap.free(address, bytes);
      },
    };
    return piece;
  }

  #watched<T extends object>(holder: T, piece: Piece): T {
    this.#lost.register(holder, piece, piece);
    return holder;
  }

  run(words: Words, threads: number): void {
    try {
      this.#kernels.run(words.address, words.count, threads, this.#mayWait);
    } catch (error) {
      this.#kernels.abandon();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#kernels.close();
    await this.#workers?.end();
  }
}

interface Instance {
  readonly module: WebAssembly.Module;
  readonly kernels: Kernels;
  readonly heap: WasmHeap;
}

async function instantiate(variant: WasmVariant, shared: boolean, threads: number): Promise<Instance> {
  const module = await compileWasmModule(variant, shared);
  const { memory, maximum } = createMemory(shared);
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  const kernels = instance.exports as unknown as Kernels;
  if (kernels.signature() !== kernelTableSignature()) {
    throw new XlstmError(
      'engine',
      'the WebAssembly kernels were built from another version of xlstm',
      await wasmHint(),
    );
  }
  const heap = new WasmHeap(memory, kernels.__heap_base.value, maximum);
  kernels.open(heap.allocate(threads * kernels.threadScratchBytes(), 'the threads’ workspace'), threads);
  return { module, kernels, heap };
}

/** Workers for all threads; the calling thread takes the place of number 0 in short runs. */
async function startWorkers({ module, kernels, heap }: Instance, threads: number): Promise<WasmThreads> {
  const workers = new WasmThreads(() => kernels.abandon() === 1);
  const { memory } = heap;
  const starts = Array.from({ length: threads }, (_, thread) => {
    const stackTop = heap.allocate(STACK_BYTES, 'a thread’s stack') + STACK_BYTES;
    return { module, memory, thread, stackTop };
  });
  await workers.start(starts);
  return workers;
}

/**
 * V8 reserves 10 GiB of addresses around a memory and up to 1 GiB for a worker, and ends the process where a worker
 * gets none.
 */
const spaceFor = (threads: number): number => (11 + threads) * 2 ** 30;

/** Threads need shared memory and workers; without either, one thread, the calling one, runs on plain memory. */
export async function createWasmEngine(options: EngineOptions = {}): Promise<CpuEngine> {
  const variant = await chooseVariant(options.instructionSet);
  const describe = (threads: number, { heap }: Instance): string =>
    `wasm, ${variant === 'relaxed' ? 'relaxed SIMD' : 'SIMD'}, ${threads} ${threads === 1 ? 'thread' : 'threads'}` +
    (heap.limit < MAX_BYTES ? `, memory up to ${heap.limit / 2 ** 20} MiB (the host refuses more)` : '');
  const threads = options.threads ?? (await availableCores());
  let lack = 'no shared memory here';
  if (hasSharedMemory() && (await addressSpaceLeft()) < spaceFor(threads)) {
    lack = 'the limit on address space leaves no room for workers';
  } else if (hasSharedMemory()) {
    const instance = await instantiate(variant, true, threads);
    try {
      const workers = await startWorkers(instance, threads);
      return new CpuEngine(new WasmMachine(instance, threads, describe(threads, instance), workers));
    } catch (error) {
      if (error instanceof XlstmError) throw error;
      lack = `no workers here: ${(error as Error).message}`;
    }
  }
  const instance = await instantiate(variant, false, 1);
  return new CpuEngine(
    new WasmMachine(instance, 1, `${describe(1, instance)}, the calling one (${lack})`, undefined),
  );
}
