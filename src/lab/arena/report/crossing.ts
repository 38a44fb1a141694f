export interface CostPoint {
  readonly length: number;
  readonly cost: number;
}

/** Where one curve of cost against length runs below another, over the lengths that both have. */
export type Crossing =
  | { readonly kind: 'always' | 'never'; readonly shortest: number; readonly longest: number }
  /** Below from `length` on, or up to it. */
  | { readonly kind: 'from' | 'until'; readonly length: number; readonly crossings: number }
  | { readonly kind: 'unknown' };

/**
 * The length from which on `a` costs less than `b`. Between two lengths both costs are taken as powers of length:
 * straight lines on logarithmic axes. Of several crossings the last counts. Equal cost is not less.
 */
export function crossing(a: readonly CostPoint[], b: readonly CostPoint[]): Crossing {
  const costOf = new Map(b.map(({ length, cost }) => [length, cost]));
  // Below 0: a costs less.
  const gaps = a
    .filter(({ length }) => costOf.has(length))
    .map(({ length, cost }) => ({ length, gap: Math.log(cost / costOf.get(length)!) }))
    .sort((x, y) => x.length - y.length);
  if (gaps.length === 0) return { kind: 'unknown' };
  const [shortest, longest] = [gaps[0].length, gaps[gaps.length - 1].length];
  const found: number[] = [];
  for (let k = 1; k < gaps.length; k++) {
    const [before, after] = [gaps[k - 1], gaps[k]];
    if (before.gap < 0 === after.gap < 0) continue;
    const share = before.gap / (before.gap - after.gap);
    found.push(before.length * (after.length / before.length) ** share);
  }
  const below = gaps[gaps.length - 1].gap < 0;
  if (found.length === 0) return { kind: below ? 'always' : 'never', shortest, longest };
  return { kind: below ? 'from' : 'until', length: found[found.length - 1], crossings: found.length };
}

const whole = new Intl.NumberFormat('en-US');

/** A crossing as the end of a sentence that begins "a is cheaper than b". */
export function crossingWords(found: Crossing): string {
  switch (found.kind) {
    case 'always':
      return `at every length measured (${whole.format(found.shortest)} to ${whole.format(found.longest)})`;
    case 'never':
      return `at no length measured (${whole.format(found.shortest)} to ${whole.format(found.longest)})`;
    case 'unknown':
      return 'unknown: no length was measured for both';
    default: {
      const about = whole.format(Number(found.length.toPrecision(2)));
      const times = found.crossings > 1 ? ` (the curves cross ${found.crossings} times)` : '';
      return found.kind === 'from'
        ? `from about ${about} tokens on${times}`
        : `up to about ${about} tokens${times}`;
    }
  }
}
