import { XlstmError } from '../errors.ts';

/** Numbers that ranks exchange. */
export type Exchanged = Float32Array | Float64Array | Uint8Array;

/** Parts of one array, one for each rank. */
export interface Parts {
  /** The first element of each. */
  readonly starts: readonly number[];
  /** Elements of each. */
  readonly counts: readonly number[];
}

/**
 * Processes that work on one thing. Every rank makes the same calls in the same order, with arrays of the same type. A rank
 * that ends without `close` ends the others; so does `abort`.
 */
export interface Collective {
  /** This process, from 0 on. */
  readonly rank: number;
  /** Processes. */
  readonly size: number;
  /** One line for people: what connects them. */
  readonly description: string;
  /**
   * Gives rank d the part d of `send`, and puts this rank's part of every rank's array one after the other, in the order of
   * ranks, into `received` [size · counts[rank]].
   */
  allToAll<T extends Exchanged>(send: T, parts: Parts, received: T): Promise<void>;
  /** Each rank has its own part of `whole`, and gets the others'. */
  allGather(whole: Exchanged, parts: Parts): Promise<void>;
  /** Puts the `counts[rank]` elements of each rank at its part of `whole`, which only rank 0 needs to give. */
  gather<T extends Exchanged>(part: T, parts: Parts, whole: T | undefined): Promise<void>;
  /** Overwrites the values of every rank with those of rank 0; they are as many everywhere. */
  broadcast(values: Exchanged): Promise<void>;
  /** Gives another rank bytes that it has to `receive`; made while no exchange of all ranks is at work. Waiting sleeps. */
  send(to: number, bytes: Uint8Array): Promise<void>;
  /** The next bytes that a rank sent to this one. */
  receive(from: number): Promise<Uint8Array>;
  /** Resolves when every rank has come here. */
  barrier(): Promise<void>;
  /** Writes the message to standard error and ends all ranks with exit code 1, now; of one process it is an error. */
  abort(message: string): never;
  /** Takes leave of the others, after which no call is made. Resolves when all have. */
  close(): Promise<void>;
}

function alone(): never {
  throw new XlstmError('usage', 'one process has no other rank to send to or to receive from');
}

/** A process by itself: what it gives is what it gets. */
export const oneProcess: Collective = {
  rank: 0,
  size: 1,
  description: 'one process',
  allToAll: async (send, { starts, counts }, received) =>
    received.set(send.subarray(starts[0], starts[0] + counts[0])),
  allGather: async () => {},
  gather: async (part, { starts }, whole) => whole?.set(part, starts[0]),
  broadcast: async () => {},
  send: async () => alone(),
  receive: async () => alone(),
  barrier: async () => {},
  abort(message) {
    throw new XlstmError('engine', message);
  },
  close: async () => {},
};

/** Parts of equal size, for `size` ranks, that follow each other. */
export function evenParts(size: number, count: number): Parts {
  const ranks = Array.from({ length: size }, (_, rank) => rank);
  return { starts: ranks.map((rank) => rank * count), counts: ranks.map(() => count) };
}

/** `count` elements in parts of whole blocks, as even as blocks allow; what is left of a block belongs to the last one. */
export function blockParts(size: number, count: number, block: number): Parts {
  const blocks = Math.ceil(count / block);
  const ends = Array.from({ length: size }, (_, rank) =>
    Math.min(count, Math.floor(((rank + 1) * blocks) / size) * block),
  );
  const starts = [0, ...ends.slice(0, -1)];
  return { starts, counts: ends.map((end, rank) => end - starts[rank]) };
}

/** As many numbers of each rank, in the order of ranks. */
export async function gatherNumbers(
  collective: Collective,
  values: readonly number[],
): Promise<readonly number[][]> {
  const whole = new Float64Array(collective.size * values.length);
  whole.set(values, collective.rank * values.length);
  await collective.allGather(whole, evenParts(collective.size, values.length));
  return Array.from({ length: collective.size }, (_, rank) =>
    Array.from(whole.subarray(rank * values.length, (rank + 1) * values.length)),
  );
}

/** Sums over ranks, added in the order of ranks: the same bits on each. */
export async function sumOverRanks(
  collective: Collective,
  values: readonly number[],
): Promise<readonly number[]> {
  const rows = await gatherNumbers(collective, values);
  return values.map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));
}

/** A text of each rank, in the order of ranks. */
export async function gatherTexts(collective: Collective, text: string): Promise<readonly string[]> {
  const bytes = new TextEncoder().encode(text);
  const counts = (await gatherNumbers(collective, [bytes.length])).map(([count]) => count);
  const starts = counts.map((_, rank) => counts.slice(0, rank).reduce((sum, count) => sum + count, 0));
  const whole = new Uint8Array(counts.reduce((sum, count) => sum + count, 0));
  whole.set(bytes, starts[collective.rank]);
  await collective.allGather(whole, { starts, counts });
  return starts.map((start, rank) => new TextDecoder().decode(whole.subarray(start, start + counts[rank])));
}
