import { invariant, XlstmError } from '../errors.ts';
import type { Collective } from './collective.ts';

/** What a rank answers. */
type Reply<R> = { readonly result: R } | { readonly error: string };

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const decode = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

/**
 * Tasks of rank 0, given out to ranks as these get free. Tasks and results are plain JSON. The other ranks call
 * `serveRankPool`. No other exchange is made until `close`.
 */
export class RankPool<T, R> {
  readonly #collective: Collective;
  readonly #here: (task: T) => Promise<R>;
  readonly #free: number[];

  /** `here` is what rank 0 itself does with a task. */
  constructor(collective: Collective, here: (task: T) => Promise<R>) {
    this.#collective = collective;
    this.#here = here;
    this.#free = Array.from({ length: collective.size }, (_, rank) => rank);
  }

  /** Rejects where the rank could not do it. At most as many tasks as ranks at a time. */
  async run(task: T): Promise<R> {
    const rank = this.#free.shift();
    invariant(rank !== undefined, 'a task was given while no rank is free');
    try {
      if (rank === 0) return await this.#here(task);
      await this.#collective.send(rank, encode(task));
      const reply = decode(await this.#collective.receive(rank)) as Reply<R>;
      if ('error' in reply) throw new XlstmError('internal', reply.error);
      return reply.result;
    } finally {
      this.#free.push(rank);
    }
  }

  /** Tells the other ranks that there is nothing more. */
  async close(): Promise<void> {
    for (let rank = 1; rank < this.#collective.size; rank++) {
      await this.#collective.send(rank, new Uint8Array(0));
    }
  }
}

/** Does the tasks that rank 0 gives this one, until it has none. */
export async function serveRankPool<T, R>(
  collective: Collective,
  run: (task: T) => Promise<R>,
): Promise<void> {
  for (let task = await collective.receive(0); task.length > 0; task = await collective.receive(0)) {
    const reply = await run(decode(task) as T).then(
      (result): Reply<R> => ({ result }),
      (error): Reply<R> => ({ error: error instanceof Error ? error.message : String(error) }),
    );
    await collective.send(0, encode(reply));
  }
}
