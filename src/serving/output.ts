/**
 * What one makes and another reads in a loop, in order. The maker does not wait for the reader; a reader that ends its loop, or
 * never began it and calls `return`, tells the maker by `ended`.
 */
export class Output<T, R> implements AsyncIterableIterator<T, R, undefined> {
  readonly #values: T[] = [];
  #last: { readonly result: R } | { readonly error: unknown } | undefined;
  #left = false;
  #wake: (() => void) | undefined;
  readonly #onLeave: () => void;

  /** `onLeave` is called when the reader ends its loop before the end. */
  constructor(onLeave: () => void = () => {}) {
    this.#onLeave = onLeave;
  }

  /** Nobody reads what would still come. */
  get ended(): boolean {
    return this.#left;
  }

  push(value: T): void {
    if (this.#last) return;
    this.#values.push(value);
    this.#wake?.();
  }

  /** There is nothing after what was pushed. */
  end(result: R): void {
    this.#last ??= { result };
    this.#wake?.();
  }

  /** The loop throws this, after what was pushed; an output that is at its end stays as it is. */
  fail(error: unknown): void {
    this.#last ??= { error };
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<T, R>> {
    for (;;) {
      if (this.#left) return { done: true, value: undefined as never };
      if (this.#values.length > 0) return { done: false, value: this.#values.shift() as T };
      if (this.#last) {
        this.#left = true;
        if ('error' in this.#last) throw this.#last.error;
        return { done: true, value: this.#last.result };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<T, R>> {
    if (!this.#left) this.#onLeave();
    this.#left = true;
    this.#wake?.();
    return { done: true, value: undefined as never };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
