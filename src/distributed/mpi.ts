import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { LibraryHandle } from 'koffi';
import { checkChoice, checkNames } from '../checks.ts';
import { invariant, XlstmError } from '../errors.ts';
import type { Collective, Exchanged, Parts } from './collective.ts';
import { checkLaunch, findLaunch } from './launcher.ts';
import { loadMpiLibrary, type MpiLibrary } from './mpi_library.ts';

/** How ranks are connected. */
export interface MpiOptions {
  /**
   * What a rank does while it waits for others: 'spin' answers soonest and takes a core; 'sleep' looks once a millisecond and
   * leaves the core to others. Default: spin.
   */
  readonly wait?: 'spin' | 'sleep';
}

/** Counts and places of MPI are numbers of 32 bits. */
const MOST_ELEMENTS = 2 ** 31 - 1;

/** Of all messages from one rank to another. */
const TAG = 1;

/**
 * How long a call is looked at again and again before a waiting rank sleeps between looks: short ones are over at once, and
 * libraries move many bytes only while they are looked at.
 */
const EAGER_MS = 1;
/** And longer, the more it moves: about what memory that processes share takes. */
const EAGER_BYTES_PER_MS = 1e6;

/** Time for the launcher to read a message. */
const TOLD_MS = 200;

/** What is asked for in C: a name and the types of its arguments, H for a handle. */
const SIGNATURES = {
  Alltoallv: 'P P P H P P P H H',
  Allgatherv: 'P I H P P P H H',
  Gatherv: 'P I H P P P H I H',
  Bcast: 'P I H I H',
  Barrier: 'H',
} as const;
type CallName = keyof typeof SIGNATURES;
type CFunction = ReturnType<LibraryHandle['func']>;

/** Arrays that a library reads and writes at the moment: garbage collection leaves them. */
const held = new Set<readonly unknown[]>();

/** MPI is begun once in a process and cannot be begun again. */
let begun: Promise<Collective> | undefined;

/**
 * The ranks that `mpirun`, `srun` or the MPI operator of Kubernetes started; one rank where none did. The library is that of
 * XLSTM_MPI_LIBRARY, else one that fits the launcher. A second call gives what the first gave. Rejects with an engine error
 * where there is no library, and where library and launcher do not belong together.
 *
 * @param options How it waits; that of the first call counts.
 */
export function mpi(options: MpiOptions = {}): Promise<Collective> {
  checkNames('mpi', options, ['wait']);
  const { wait = 'spin' } = options;
  checkChoice('wait', wait, ['spin', 'sleep']);
  begun ??= begin(wait === 'sleep');
  return begun;
}

async function begin(patient: boolean): Promise<Collective> {
  const launch = findLaunch(process.env);
  const library = await loadMpiLibrary(process.env, launch);
  const { functions, abi, path } = library;
  const provided = new Int32Array(1);
  const code = functions.func('MPI_Init_thread', 'int', ['void *', 'void *', 'int', 'void *'])(
    null,
    null,
    abi.serialized,
    provided,
  );
  if (code !== 0) throw new XlstmError('engine', `${path}: MPI_Init_thread failed (${code})`);
  // Calls are made by other threads than the one that began, one at a time.
  if (provided[0] < abi.serialized) {
    throw new XlstmError(
      'engine',
      `${path}: expected MPI_THREAD_SERIALIZED (${abi.serialized}), the library provides ${provided[0]}`,
      'Use a library that was built with support for threads.',
    );
  }
  const collective = new MpiCollective(library, patient);
  checkLaunch(launch, collective.size, path);
  return collective;
}

class MpiCollective implements Collective {
  readonly rank: number;
  readonly size: number;
  readonly description: string;
  readonly #library: MpiLibrary;
  readonly #patient: boolean;
  readonly #functions = new Map<string, CFunction>();
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(library: MpiLibrary, patient: boolean) {
    this.#library = library;
    this.#patient = patient;
    const number = new Int32Array(1);
    const ask = (name: string): number => {
      this.#function(name, 'H P')(library.abi.world, number);
      return number[0];
    };
    this.rank = ask('Comm_rank');
    this.size = ask('Comm_size');
    this.description = `${library.version} (${library.path}, ${library.abi.name}), rank ${this.rank} of ${this.size}`;
  }

  allToAll<T extends Exchanged>(send: T, { starts, counts }: Parts, received: T): Promise<void> {
    const own = counts[this.rank];
    const type = this.#type(send);
    checkPlaces(send, { starts, counts });
    invariant(received.length === this.size * own, 'allToAll: the received array has another size');
    const [ownCounts, ownStarts] = [starts.map(() => own), starts.map((_, rank) => rank * own)];
    checkPlaces(received, { starts: ownStarts, counts: ownCounts });
    return this.#call('Alltoallv', [
      ...[send, Int32Array.from(counts), Int32Array.from(starts), type],
      ...[received, Int32Array.from(ownCounts), Int32Array.from(ownStarts), type],
      this.#library.abi.world,
    ]);
  }

  allGather(whole: Exchanged, { starts, counts }: Parts): Promise<void> {
    const type = this.#type(whole);
    checkPlaces(whole, { starts, counts });
    const { inPlace, world } = this.#library.abi;
    const places = [whole, Int32Array.from(counts), Int32Array.from(starts), type];
    return this.#call('Allgatherv', [inPlace, 0, type, ...places, world]);
  }

  gather<T extends Exchanged>(part: T, { starts, counts }: Parts, whole: T | undefined): Promise<void> {
    const type = this.#type(part);
    invariant(part.length === counts[this.rank], 'gather: the part has another size');
    if (this.rank === 0) {
      invariant(whole !== undefined, 'gather: rank 0 has to give the whole');
      checkPlaces(whole, { starts, counts });
    }
    const places = [whole ?? null, Int32Array.from(counts), Int32Array.from(starts), type];
    return this.#call('Gatherv', [part, part.length, type, ...places, 0, this.#library.abi.world]);
  }

  broadcast(values: Exchanged): Promise<void> {
    checkPlaces(values, { starts: [0], counts: [values.length] });
    return this.#call('Bcast', [values, values.length, this.#type(values), 0, this.#library.abi.world]);
  }

  async send(to: number, bytes: Uint8Array): Promise<void> {
    await this.#transfer('Isend', Float64Array.of(bytes.length), to);
    if (bytes.length > 0) await this.#transfer('Isend', bytes, to);
  }

  async receive(from: number): Promise<Uint8Array> {
    const length = new Float64Array(1);
    await this.#transfer('Irecv', length, from);
    const bytes = new Uint8Array(length[0]);
    if (bytes.length > 0) await this.#transfer('Irecv', bytes, from);
    return bytes;
  }

  barrier(): Promise<void> {
    return this.#call('Barrier', [this.#library.abi.world]);
  }

  abort(message: string): never {
    process.stderr.write(`${message}\n`);
    // A launcher that ends all processes passes on only what it has read by then.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TOLD_MS);
    this.#function('Abort', 'H I')(this.#library.abi.world, 1);
    process.exit(1);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#last;
    this.#function('Finalize', '')();
  }

  /** Calls take place in the order in which they were asked for, one at a time. */
  #call(name: CallName, values: readonly unknown[]): Promise<void> {
    if (this.#closed) {
      return Promise.reject(new XlstmError('usage', `${name}: the collective was closed`));
    }
    const made = this.#last.then(async () => {
      held.add(values);
      try {
        await (this.#patient ? this.#sleeping(name, values) : this.#spinning(name, values));
      } finally {
        held.delete(values);
      }
    });
    this.#last = made.catch(() => undefined);
    return made;
  }

  async #spinning(name: CallName, values: readonly unknown[]): Promise<void> {
    const call = this.#function(name, SIGNATURES[name]);
    const code = await new Promise<number>((resolve, reject) => {
      call.async(...values, (error: Error | null, result: number) =>
        error ? reject(error) : resolve(result),
      );
    });
    this.#check(name, code);
  }

  async #sleeping(name: CallName, values: readonly unknown[]): Promise<void> {
    const request = this.#request();
    this.#check(name, this.#function(`I${name.toLowerCase()}`, `${SIGNATURES[name]} P`)(...values, request));
    const bytes = values.reduce((sum: number, value) => sum + (isExchanged(value) ? value.byteLength : 0), 0);
    await this.#finished(request, EAGER_MS + bytes / EAGER_BYTES_PER_MS);
  }

  async #transfer(name: 'Isend' | 'Irecv', values: Exchanged, other: number): Promise<void> {
    const request = this.#request();
    const kept = [values, request];
    held.add(kept);
    try {
      const call = this.#function(name, 'P I H I I H P');
      const place = [values, values.length, this.#type(values), other, TAG, this.#library.abi.world];
      this.#check(name, call(...place, request));
      await this.#finished(request, EAGER_MS);
    } finally {
      held.delete(kept);
    }
  }

  #request(): Int32Array | BigInt64Array {
    return this.#library.abi.handle === 'int' ? new Int32Array(1) : new BigInt64Array(1);
  }

  /** Looks whether what was begun is over: for so many milliseconds all the time, then from time to time. */
  async #finished(request: Int32Array | BigInt64Array, eagerMs: number): Promise<void> {
    const test = this.#function('Test', 'P P P');
    const done = new Int32Array(1);
    // MPI_Status: 20 to 40 bytes, by library.
    const status = new Uint8Array(128);
    const start = performance.now();
    for (;;) {
      this.#check('Test', test(request, done, status));
      if (done[0] !== 0) break;
      await (performance.now() - start < eagerMs ? setImmediate() : sleep(1));
    }
  }

  #check(name: string, code: number): void {
    if (code !== 0)
      throw new XlstmError('engine', `MPI_${name} failed with code ${code} on rank ${this.rank}`);
  }

  #type(values: Exchanged): number | bigint {
    const { abi } = this.#library;
    if (values instanceof Float32Array) return abi.float;
    return values instanceof Float64Array ? abi.double : abi.byte;
  }

  #function(name: string, signature: string): CFunction {
    let found = this.#functions.get(name);
    if (!found) {
      const types = { P: 'void *', I: 'int', H: this.#library.abi.handle };
      const argumentTypes = signature.split(' ').filter((letter) => letter !== '');
      found = this.#library.functions.func(
        `MPI_${name}`,
        'int',
        argumentTypes.map((letter) => types[letter as keyof typeof types]),
      );
      this.#functions.set(name, found);
    }
    return found;
  }
}

const isExchanged = (value: unknown): value is Exchanged =>
  value instanceof Float32Array || value instanceof Float64Array || value instanceof Uint8Array;

/** What lies outside of an array would be written over without a word. */
function checkPlaces(values: Exchanged, { starts, counts }: Parts): void {
  for (const [rank, start] of starts.entries()) {
    invariant(
      start >= 0 && counts[rank] >= 0 && start + counts[rank] <= values.length,
      `a part of ${counts[rank]} elements from ${start} on lies outside of ${values.length}`,
    );
    if (start + counts[rank] <= MOST_ELEMENTS) continue;
    throw new XlstmError(
      'usage',
      `MPI exchanges at most ${MOST_ELEMENTS} numbers at a time, found ${values.length}`,
      'Use a smaller model.',
    );
  }
}
