import { nice, ticks } from 'd3-array';
import { invariant } from '../../errors.ts';

export type Interval = readonly [number, number];

/** Maps values to pixels; both ends of the domain are ends of the range. */
export interface Scale {
  readonly domain: Interval;
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/** Multiples of 1, 2 or 5 times a power of ten inside the domain, about `count` of them. */
export const linearTicks = ([low, high]: Interval, count: number): number[] => ticks(low, high, count);

const LOG_DIGITS = [[1], [1, 3], [1, 2, 5]] as const;

/** Powers of ten, with 3 or 2 and 5 times them where there is room; linear ticks within less than a decade. */
export function logTicks([low, high]: Interval, count: number): number[] {
  if (high / low < 10) return linearTicks([low, high], count);
  const from = Math.floor(Math.log10(low) + 1e-9);
  const to = Math.ceil(Math.log10(high) - 1e-9);
  const every = Math.max(1, Math.ceil((to - from) / count));
  const of = (digits: readonly number[]): number[] => {
    const found: number[] = [];
    for (let power = from; power <= to; power += every) {
      for (const digit of digits) {
        const tick = Number(`${digit}e${power}`);
        if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) found.push(tick);
      }
    }
    return found;
  };
  if (every > 1) return of([1]);
  return LOG_DIGITS.map(of).findLast((found) => found.length <= count) ?? of([1]);
}

/** The domain widened to ticks, so that no value lies beyond the last gridline. */
export function niceDomain([low, high]: Interval, count: number): Interval {
  if (low === high) {
    const margin = low === 0 ? 1 : Math.abs(low) / 10;
    return niceDomain([low - margin, high + margin], count);
  }
  return nice(low, high, count);
}

export function linearScale(domain: Interval, range: Interval, ticks = linearTicks(domain, 5)): Scale {
  const [low, high] = domain[0] === domain[1] ? [domain[0] - 0.5, domain[1] + 0.5] : domain;
  const slope = (range[1] - range[0]) / (high - low);
  return { domain: [low, high], at: (value) => range[0] + (value - low) * slope, ticks };
}

export function logScale(domain: Interval, range: Interval, ticks = logTicks(domain, 5)): Scale {
  invariant(domain[0] > 0, `a logarithmic axis begins above 0, not at ${domain[0]}`);
  const [low, high] = domain[0] === domain[1] ? [domain[0] / 2, domain[1] * 2] : domain;
  const slope = (range[1] - range[0]) / Math.log(high / low);
  return { domain: [low, high], at: (value) => range[0] + Math.log(value / low) * slope, ticks };
}

/**
 * Moves heights apart until neighbours are `gap` from each other, keeping their order and within [low, high] where
 * they fit; returned in the order in which they came.
 */
export function spread(heights: readonly number[], gap: number, [low, high]: Interval): number[] {
  const order = heights.map((_, k) => k).sort((a, b) => heights[a] - heights[b] || a - b);
  // Blocks of labels that touch; each wants its members' mean place.
  const blocks: { members: number[]; first: number }[] = [];
  const place = (members: number[]): number => {
    const wanted = members.reduce((sum, k, rank) => sum + heights[k] - rank * gap, 0) / members.length;
    return Math.max(low, Math.min(wanted, high - (members.length - 1) * gap));
  };
  for (const k of order) {
    let block = { members: [k], first: place([k]) };
    for (let last = blocks.at(-1); last && last.first + last.members.length * gap > block.first; ) {
      blocks.pop();
      const members = [...last.members, ...block.members];
      block = { members, first: place(members) };
      last = blocks.at(-1);
    }
    blocks.push(block);
  }
  const placed = heights.slice();
  for (const { members, first } of blocks) {
    for (const [rank, k] of members.entries()) placed[k] = first + rank * gap;
  }
  return placed;
}
