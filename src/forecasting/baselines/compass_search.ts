/** Where a search begins and what it may change. */
export interface SearchSpace {
  /** Points to begin at; the best of them is taken. */
  readonly starts: readonly (readonly number[])[];
  readonly least: readonly number[];
  readonly most: readonly number[];
  /** Coordinates that move. */
  readonly free: readonly boolean[];
}

const FIRST_STEP = 0.25;
const LAST_STEP = 0.004;

/**
 * A minimum within bounds without derivatives (compass search): steps along each coordinate, a share of its range, that
 * halve where none of them leads down. Deterministic.
 */
export function compassSearch(
  cost: (point: readonly number[]) => number,
  { starts, least, most, free }: SearchSpace,
): { readonly point: readonly number[]; readonly cost: number } {
  let best = starts
    .map((point) => ({ point, cost: cost(point) }))
    .reduce((one, other) => (other.cost < one.cost ? other : one));
  for (let step = FIRST_STEP; step >= LAST_STEP; ) {
    const before = best;
    for (const [i, moves] of free.entries()) {
      if (!moves) continue;
      for (const sign of [1, -1]) {
        const value = best.point[i] + sign * step * (most[i] - least[i]);
        const point = best.point.with(i, Math.min(most[i], Math.max(least[i], value)));
        const found = { point, cost: cost(point) };
        if (found.cost < best.cost) best = found;
      }
    }
    if (best === before) step /= 2;
  }
  return best;
}
