/** Upper bounds of the buckets, in seconds. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** How often something took how long. */
export class Histogram {
  readonly #counts = BOUNDS.map(() => 0);
  #count = 0;
  #seconds = 0;

  observe(seconds: number): void {
    this.#count++;
    this.#seconds += seconds;
    BOUNDS.forEach((bound, i) => {
      if (seconds <= bound) this.#counts[i]++;
    });
  }

  get count(): number {
    return this.#count;
  }

  get seconds(): number {
    return this.#seconds;
  }

  /** How often it took at most so many seconds. */
  get buckets(): readonly { readonly seconds: number; readonly count: number }[] {
    return BOUNDS.map((seconds, i) => ({ seconds, count: this.#counts[i] }));
  }
}
