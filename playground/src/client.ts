import type { Calls, Failure, Reply, Request } from './protocol.ts';

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
/** A worker that is not heard of for so long is taken for lost: a step of the largest model here takes less. */
const SILENCE = 30_000;

/** The worker that computes, and what it is asked. One that is lost is told of once; the next call starts another. */
export class Client {
  #worker: Worker | undefined;
  #calls = 0;
  #heard = 0;
  #pings = 0;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<string, Set<(data: unknown) => void>>();
  /** Hears that the worker is gone, and why. */
  onLost: (failure: Failure) => void = () => {};

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
    this.#heard = performance.now();
    this.#pings = window.setInterval(() => this.#watch(), PING_EVERY);
    return worker;
  }

  #watch(): void {
    // A page that slept has not listened either.
    if (document.hidden || this.#waiting.size === 0) {
      this.#heard = performance.now();
    } else if (performance.now() - this.#heard > SILENCE) {
      this.#lose(`it has not been heard of for ${SILENCE / 1000} seconds`);
      return;
    }
    this.#worker?.postMessage({ id: 0, call: 'ping', argument: undefined } satisfies Request);
  }

  #hear(reply: Reply): void {
    this.#heard = performance.now();
    if ('event' in reply) {
      for (const listener of this.#listeners.get(reply.event) ?? []) listener(reply.data);
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('failure' in reply) waiting?.reject(new CallError(reply.failure));
    else waiting?.resolve(reply.result);
  }

  #lose(cause: string): void {
    window.clearInterval(this.#pings);
    this.#worker?.terminate();
    this.#worker = undefined;
    const failure = {
      message: `The worker that computes has ended: ${cause}.`,
      hint: 'What was kept in this browser is still there. The next thing that you ask for starts another worker; if it ends again, take a smaller model or a shorter text.',
    };
    for (const { reject } of this.#waiting.values()) reject(new CallError(failure));
    this.#waiting.clear();
    this.onLost(failure);
  }
}
