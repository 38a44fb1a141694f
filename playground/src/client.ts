import type { Calls, EngineOrder, Failure, Reply, Request } from './protocol.ts';

/** A call that the worker refused, or that was lost with it. */
export class CallError extends Error {
  readonly hint: string | undefined;

  constructor({ message, hint }: Failure) {
    super(message);
    this.hint = hint;
  }
}

type Argument<K extends keyof Calls> = Parameters<Calls[K]>[0];

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

const PING_EVERY = 4_000;
/**
 * A worker that lets so many pass is taken for lost: half a minute, in which the largest model here makes its step. A page
 * that slept has sent none.
 */
const MOST_UNANSWERED = 8;

const KEPT = 'What was kept in this browser is still there.';

/** The worker that computes, and what it is asked. One that is lost is told of once; the next call starts another. */
export class Client {
  #worker: Worker | undefined;
  #order: EngineOrder = { choice: 'auto', lost: undefined };
  #calls = 0;
  #unanswered = 0;
  #pings = 0;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<string, Set<(data: unknown) => void>>();
  /** Hears that the worker is gone, and why if that is to be told. */
  onLost: (failure: Failure | undefined) => void = () => {};

  /** Resolves to what the worker answers. Rejects with a CallError. */
  ask<K extends keyof Calls>(call: K, argument: Argument<K>): ReturnType<Calls[K]> {
    this.#worker ??= this.#start();
    const id = ++this.#calls;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#worker.postMessage({ id, call, argument } satisfies Request);
    return answer as ReturnType<Calls[K]>;
  }

  /** What is to compute from now on: the next call starts another worker. What the one before held is gone. */
  compute(order: EngineOrder): void {
    this.#order = order;
    if (this.#worker)
      this.#end({ message: 'Another engine was chosen meanwhile.', hint: 'Ask again.' }, false);
  }

  /** Ends what is being computed, and with it the worker. */
  stop(): void {
    this.#end({ message: 'Stopped.', hint: KEPT });
  }

  /** Calls `listener` for each event of this name until the function that it gives is called. */
  on(event: string, listener: (data: unknown) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./worker/worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#lose(event.message || 'its program could not be loaded');
    };
    this.#unanswered = 0;
    this.#pings = window.setInterval(() => this.#watch(), PING_EVERY);
    worker.postMessage({ id: 0, call: 'useEngine', argument: this.#order } satisfies Request);
    return worker;
  }

  #watch(): void {
    if (this.#unanswered >= MOST_UNANSWERED) {
      this.#lose(`it has not answered for ${(MOST_UNANSWERED * PING_EVERY) / 1000} seconds`);
      return;
    }
    this.#unanswered++;
    this.#worker?.postMessage({ id: 0, call: 'ping', argument: undefined } satisfies Request);
  }

  #hear(reply: Reply): void {
    this.#unanswered = 0;
    if ('event' in reply) {
      if (reply.event === 'engineLost') this.#loseEngine(reply.data as string);
      for (const listener of this.#listeners.get(reply.event) ?? []) listener(reply.data);
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('failure' in reply) waiting?.reject(new CallError(reply.failure));
    else waiting?.resolve(reply.result);
  }

  #lose(cause: string): void {
    this.#end({
      message: `The worker that computes has ended: ${cause}.`,
      hint: `${KEPT} The next thing that you ask for starts another worker; if it ends again, take a smaller model or a shorter text.`,
    });
  }

  #loseEngine(cause: string): void {
    this.#order = { ...this.#order, lost: cause };
    this.#end({
      message: `The engine was lost: ${cause}.`,
      hint: `${KEPT} The next thing that you ask for is computed by the processor, with WebAssembly.`,
    });
  }

  #end(failure: Failure, tell = true): void {
    window.clearInterval(this.#pings);
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(new CallError(failure));
    this.#waiting.clear();
    this.onLost(tell ? failure : undefined);
  }
}
