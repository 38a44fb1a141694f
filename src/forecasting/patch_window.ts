/** What a window holds. */
export interface SavedWindow {
  /** Of each variate as many values as are kept; a ring. */
  readonly rows: readonly Float64Array[];
  /** Patches that were filled since the beginning. */
  readonly patches: number;
  /** Values of the patch that is being filled. */
  readonly step: number;
}

/** The last patches of some variates: values that come step by step, NaN where one is missing. */
export class PatchWindow {
  readonly #patchSize: number;
  readonly #most: number;
  readonly #rows: readonly Float64Array[];
  #patches = 0;
  #step = 0;

  /** @param most Patches that are kept. */
  constructor(variates: number, patchSize: number, most: number) {
    this.#patchSize = patchSize;
    this.#most = most;
    this.#rows = Array.from({ length: variates }, () => new Float64Array(most * patchSize));
  }

  /** A copy. */
  save(): SavedWindow {
    return { rows: this.#rows.map((row) => row.slice()), patches: this.#patches, step: this.#step };
  }

  /** Takes over what a window of the same sizes held. */
  restore({ rows, patches, step }: SavedWindow): void {
    for (const [v, row] of rows.entries()) this.#rows[v].set(row);
    this.#patches = patches;
    this.#step = step;
  }

  /** Patches that were filled since the beginning. */
  get patches(): number {
    return this.#patches;
  }

  /** Takes the values of a step; true where they fill a patch. */
  push(values: ArrayLike<number>): boolean {
    const at = (this.#patches % this.#most) * this.#patchSize + this.#step;
    for (const [v, row] of this.#rows.entries()) row[at] = values[v];
    this.#step = (this.#step + 1) % this.#patchSize;
    if (this.#step > 0) return false;
    this.#patches++;
    return true;
  }

  /** The last `patches` full patches of each variate, as many as are kept at most. */
  last(patches: number): Float64Array[] {
    const length = patches * this.#patchSize;
    const end = (this.#patches % this.#most) * this.#patchSize;
    return this.#rows.map((row) =>
      Float64Array.from({ length }, (_, i) => row[(end - length + i + row.length) % row.length]),
    );
  }
}
