import { XlstmError } from '../errors.ts';
import { type Block, CpuEngine, type Machine, type Words } from './cpu.ts';
import type { EngineOptions } from './engine.ts';
import { availableCores, importNode } from './host.ts';
import { kernelTableSignature } from './signature.ts';

/** The C interface of kernels/native.cc. Addresses and handles are numbers. */
export interface NativeLibrary {
  readonly path: string;
  /** Instruction sets that this machine can run, best first. */
  readonly instructionSets: readonly string[];
  address(memory: ArrayBuffer): number;
  useLargePages(address: number, bytes: number): void;
  open(instructionSet: string, threads: number): number;
  run(engine: number, words: number, count: number, threads: number): void;
  runAsync(engine: number, words: number, count: number, threads: number): Promise<void>;
  close(engine: number): void;
}

export const BUILD_HINT = 'build it with "npm run build" (needs a C++ compiler: c++, g++ or clang++)';

/** Held for good: threads of engines that were never closed still stand in the library's code. */
let loaded: NativeLibrary | undefined;

/** Loads dist/native; throws an XlstmError that says why it cannot. */
export async function loadNativeLibrary(): Promise<NativeLibrary> {
  loaded ??= await load();
  return loaded;
}

async function load(): Promise<NativeLibrary> {
  const { existsSync } = await importNode<typeof import('node:fs')>('node:fs');
  const { fileURLToPath } = await importNode<typeof import('node:url')>('node:url');
  const extension = process.platform === 'darwin' ? 'dylib' : 'so';
  const path = fileURLToPath(new URL(`../../dist/native/kernels.${extension}`, import.meta.url));
  if (!existsSync(path))
    throw new XlstmError('engine', `the native library is not built (${path})`, BUILD_HINT);

  let koffi: typeof import('koffi');
  try {
    koffi = await importNode<typeof import('koffi')>('koffi');
  } catch {
    throw new XlstmError(
      'engine',
      'the package "koffi", which loads the native library, is not installed',
      'npm install koffi',
    );
  }
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load(path);
  } catch (error) {
    throw new XlstmError(
      'engine',
      `the native library does not load: ${(error as Error).message}`,
      BUILD_HINT,
    );
  }
  if (library.func('double xlSignature()')() !== kernelTableSignature()) {
    throw new XlstmError('engine', 'the native library was built from another version of xlstm', BUILD_HINT);
  }
  const isaAt = library.func('const char *xlIsa(int)');
  const instructionSets: string[] = [];
  for (let name = isaAt(0); name; name = isaAt(instructionSets.length)) instructionSets.push(name);
  const run = library.func('void xlRun(double, double, double, int)');
  return {
    path,
    instructionSets,
    address: library.func('double xlAddress(void *)'),
    useLargePages: library.func('void xlUseLargePages(double, double)'),
    open: library.func('double xlOpen(const char *, int)'),
    run,
    runAsync: (engine, words, count, threads) =>
      new Promise((resolve, reject) => {
        run.async(engine, words, count, threads, (error: Error | null) =>
          error ? reject(error) : resolve(),
        );
      }),
    close: library.func('void xlClose(double)'),
  };
}

/** The instruction set to run: the best, or what XLSTM_ISA names. */
export function chooseInstructionSet(library: NativeLibrary): string {
  const wanted = process.env.XLSTM_ISA;
  if (!wanted) return library.instructionSets[0];
  if (!library.instructionSets.includes(wanted)) {
    throw new XlstmError(
      'engine',
      `XLSTM_ISA is "${wanted}", but this machine's native engine has ${library.instructionSets.join(', ')}`,
      'unset XLSTM_ISA to take the best',
    );
  }
  return wanted;
}

const CACHE_LINE = 64;

/** Blocks are ArrayBuffers, whose memory never moves: garbage collection frees them. */
class NativeMachine implements Machine {
  readonly name = 'native';
  readonly threads: number;
  readonly description: string;
  readonly #library: NativeLibrary;
  readonly #engine: number;

  constructor(library: NativeLibrary, isa: string, threads: number) {
    this.#library = library;
    this.threads = threads;
    this.description = `native, ${isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
    this.#engine = library.open(isa, threads);
    if (this.#engine === 0) {
      throw new XlstmError(
        'engine',
        `the machine refused ${threads} threads or their memory`,
        'ask for fewer threads',
      );
    }
  }

  allocate(elements: number, what: string): Block {
    let buffer: ArrayBuffer;
    try {
      buffer = new ArrayBuffer(4 * elements + CACHE_LINE);
    } catch {
      throw new XlstmError(
        'engine',
        `no memory for ${what}: ${(4 * elements).toLocaleString('en-US')} bytes were refused`,
        'use a smaller batch, context or model',
      );
    }
    const start = this.#library.address(buffer);
    this.#library.useLargePages(start, buffer.byteLength);
    const padding = (CACHE_LINE - (start % CACHE_LINE)) % CACHE_LINE;
    const floats = new Float32Array(buffer, padding, elements);
    return { address: start + padding, elements, floats: () => floats };
  }

  /** A run may still be using it: garbage collection knows. */
  release(): void {}

  place(words: Float64Array): Words & { readonly held: Float64Array } {
    return { address: this.#library.address(words.buffer as ArrayBuffer), count: words.length, held: words };
  }

  run(words: Words, threads: number): void {
    this.#library.run(this.#engine, words.address, words.count, threads);
  }

  runElsewhere(words: Words, threads: number): Promise<void> {
    return this.#library.runAsync(this.#engine, words.address, words.count, threads);
  }

  async close(): Promise<void> {
    this.#library.close(this.#engine);
  }
}

export async function createNativeEngine(options: EngineOptions = {}): Promise<CpuEngine> {
  const library = await loadNativeLibrary();
  return new CpuEngine(
    new NativeMachine(library, chooseInstructionSet(library), options.threads ?? (await availableCores())),
  );
}
