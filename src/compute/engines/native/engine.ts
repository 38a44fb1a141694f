import { join } from 'node:path';
import { XlstmError } from '../../../errors.ts';
import { type Dtype, dtypes, type Numbers } from '../../program/dtypes.ts';
import { apartLimits, cpuLimits, type EngineLimits, withoutBf16 } from '../../program/limits.ts';
import { type Block, CpuEngine, type Machine, type Words } from '../cpu.ts';
import type { EngineOptions } from '../engine.ts';
import { hostStorage } from '../memory.ts';
import { availableCores, importKoffi, readOrNothing, sha256 } from '../node_host.ts';
import { buildRemedy, libraryRemedy, optionalRemedy } from '../remedies.ts';
import { kernelTableSignature } from '../signature.ts';
import { libraryFile, libraryFolders, platformPackage } from './folders.ts';

/** The C interface of kernels/native.cc. Addresses and handles are numbers. */
export interface NativeLibrary {
  readonly path: string;
  /** Instruction sets that this machine can run, best first. */
  readonly instructionSets: readonly string[];
  /** Whether an instruction set has dot products of bfloat16 on this machine. */
  hasBf16(instructionSet: string): boolean;
  address(memory: ArrayBuffer): number;
  useLargePages(address: number, bytes: number): void;
  /** Whether the library was built to report wrong accesses or races. */
  readonly sanitized: boolean;
  /** Bytes that belong to nothing: a kernel that touches them is reported, if the library was built for that. */
  guard(address: number, bytes: number): void;
  open(instructionSet: string, threads: number): number;
  run(engine: number, words: number, count: number, threads: number): void;
  runAsync(engine: number, words: number, count: number, threads: number): Promise<void>;
  close(engine: number): void;
}

const firstLine = (text: string): string => text.split('\n', 1)[0];

/** Held for good: threads of engines that were never closed still stand in the library's code. */
let loaded: NativeLibrary | undefined;

/** Loads the library that was built here or came as a package; throws an XlstmError that says why it cannot. */
export async function loadNativeLibrary(): Promise<NativeLibrary> {
  loaded ??= await load();
  return loaded;
}

/**
 * The library's path. Its digest lies beside it: loading a file that was cut off would end the process.
 */
async function findLibrary(folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    const path = join(folder, libraryFile);
    const bytes = await readOrNothing(path);
    if (!bytes) continue;
    const expected = await readOrNothing(join(folder, 'kernels.sha256'));
    if (expected && new TextDecoder().decode(expected).trim() === sha256(bytes)) return path;
    const found = expected ? 'is not the file that was built' : 'lacks the file kernels.sha256 beside it';
    throw new XlstmError('engine', `the native library ${found} (${path})`, buildRemedy());
  }
  throw new XlstmError(
    'engine',
    `there is no native library: neither ${join(folders[0], libraryFile)} nor the package ${platformPackage}`,
    libraryRemedy(platformPackage),
  );
}

/** Exported for tests, which give it other folders. */
export async function load(folders: readonly string[] = libraryFolders()): Promise<NativeLibrary> {
  const path = await findLibrary(folders);
  let koffi: typeof import('koffi');
  try {
    koffi = await importKoffi();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === 'ERR_MODULE_NOT_FOUND'
      ? new XlstmError(
          'engine',
          'the package "koffi", which loads the native library, is not installed',
          optionalRemedy(),
        )
      : new XlstmError(
          'engine',
          `the package "koffi", which loads the native library, does not load: ${firstLine(message)}`,
          code === 'ERR_DLOPEN_DISABLED' ? 'allow Node to load addons' : optionalRemedy(),
        );
  }
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load(path);
  } catch (error) {
    throw new XlstmError(
      'engine',
      `the native library does not load (${path}): ${firstLine((error as Error).message)}`,
      buildRemedy(),
    );
  }
  if (library.func('double xlSignature()')() !== kernelTableSignature()) {
    throw new XlstmError(
      'engine',
      `the native library was built from another version of xlstm (${path})`,
      buildRemedy(),
    );
  }
  const isaAt = library.func('const char *xlIsa(int)');
  const instructionSets: string[] = [];
  for (let name = isaAt(0); name; name = isaAt(instructionSets.length)) instructionSets.push(name);
  const hasBf16 = library.func('int xlHasBf16(const char *)');
  const run = library.func('void xlRun(double, double, double, int)');
  return {
    path,
    instructionSets,
    hasBf16: (instructionSet) => hasBf16(instructionSet) !== 0,
    address: library.func('double xlAddress(void *)'),
    useLargePages: library.func('void xlUseLargePages(double, double)'),
    sanitized: library.func('int xlSanitized()')() !== 0,
    guard: library.func('void xlGuard(double, double)'),
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

/** The instruction set to run: `wanted`, else the best. */
export function chooseInstructionSet(
  { instructionSets }: NativeLibrary,
  wanted = instructionSets[0],
): string {
  if (instructionSets.includes(wanted)) return wanted;
  throw new XlstmError(
    'engine',
    `instructionSet is "${wanted}", but this machine's native engine has ${instructionSets.join(', ')}`,
    'leave it out to take the best',
  );
}

/** Why an instruction set has no dot products of bfloat16. */
export function lackingBf16(library: NativeLibrary, instructionSet: string): string {
  const other = library.instructionSets.find((name) => library.hasBf16(name));
  return other === undefined
    ? 'this processor has no dot products of bfloat16 (avx512_bf16)'
    : `the instruction set ${instructionSet} has no dot products of bfloat16, ${other} has them here`;
}

const CACHE_LINE = 64;

/** Blocks and words are ArrayBuffers, whose memory never moves: once released, garbage collection frees them. */
class NativeMachine implements Machine {
  readonly name = 'native';
  readonly threads: number;
  readonly description: string;
  readonly limits: EngineLimits;
  readonly shortRun = { flops: 5e7, bytes: 5e7 };
  readonly #library: NativeLibrary;
  readonly #engine: number;
  readonly guard?: Machine['guard'];

  constructor(library: NativeLibrary, isa: string, threads: number) {
    this.#library = library;
    this.threads = threads;
    this.description = `native, ${isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
    const limits = library.sanitized ? apartLimits : cpuLimits;
    this.limits = library.hasBf16(isa) ? limits : withoutBf16(limits, lackingBf16(library, isa));
    if (library.sanitized) this.guard = ({ address }, from, to) => library.guard(address + from, to - from);
    this.#engine = library.open(isa, threads);
    if (this.#engine === 0) {
      throw new XlstmError(
        'engine',
        `the machine refused ${threads} threads or their memory`,
        'ask for fewer threads',
      );
    }
  }

  allocate(bytes: number, what: string): Block {
    let buffer: ArrayBuffer;
    try {
      buffer = new ArrayBuffer(bytes + CACHE_LINE);
    } catch {
      throw new XlstmError(
        'engine',
        `no memory for ${what}: ${bytes.toLocaleString('en-US')} bytes were refused`,
        'use a smaller batch, context or model',
      );
    }
    const start = this.#library.address(buffer);
    this.#library.useLargePages(start, buffer.byteLength);
    const padding = (CACHE_LINE - (start % CACHE_LINE)) % CACHE_LINE;
    this.#library.guard(start, padding);
    this.#library.guard(start + padding + bytes, CACHE_LINE - padding);
    let held: ArrayBuffer | undefined = buffer;
    let views: Partial<Record<Dtype, Numbers>> = {};
    const values = (dtype: Dtype = 'f32'): Numbers => {
      const { array, bytes: size } = dtypes[dtype];
      views[dtype] ??= held ? new array(held, padding, bytes / size) : new array(0);
      return views[dtype];
    };
    const release = (): void => {
      held = undefined;
      views = {};
    };
    return { address: start + padding, ...hostStorage(bytes, values, release) };
  }

  place(words: Float64Array): Words & { readonly held: Float64Array } {
    const address = this.#library.address(words.buffer as ArrayBuffer);
    return { address, count: words.length, held: words, release: () => {} };
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
    new NativeMachine(
      library,
      chooseInstructionSet(library, options.instructionSet),
      options.threads ?? (await availableCores()),
    ),
  );
}
