/** Work that is done one after another, in order; a bounded number of pieces of it waits. */
export class OneByOne {
  readonly #most: number;
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Whether as much waits as may. */
  get full(): boolean {
    return this.#count >= this.#most;
  }

  /** Does the work when its turn comes; work whose signal has aborted by then is left out, and its promise rejects. */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    this.#count++;
    const result = this.#last.then(async () => {
      try {
        signal.throwIfAborted();
        return await work();
      } finally {
        this.#count--;
      }
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when all that was asked for is done. */
  async done(): Promise<void> {
    await this.#last;
  }
}
