import { type Expression, either, literal, ranges, repeat, sequence } from './expression.ts';

const DIGIT = ranges([0x30, 0x39]);
const digit = (first: string, last: string): Expression => ranges([first.charCodeAt(0), last.charCodeAt(0)]);

/** Whole numbers from `least` to `most`, as JSON writes them. */
export function integersBetween(least: number, most: number): Expression {
  const parts: Expression[] = [];
  if (least < 0) parts.push(sequence(literal('-'), either(...naturals(Math.max(1, -most), -least))));
  if (most >= 0) parts.push(...naturals(Math.max(0, least), most));
  return either(...parts);
}

/** Those of each number of digits by themselves. */
function naturals(least: number, most: number): Expression[] {
  const parts: Expression[] = [];
  for (let digits = String(least).length; digits <= String(most).length; digits++) {
    const low = digits === 1 ? 0 : 10 ** (digits - 1);
    parts.push(between(String(Math.max(least, low)), String(Math.min(most, 10 ** digits - 1))));
  }
  return parts;
}

/** Texts of as many digits as both bounds have. */
function between(low: string, high: string): Expression {
  const { length } = low;
  if (/^0*$/.test(low) && /^9*$/.test(high)) return repeat(DIGIT, length, length);
  const [a, b] = [low[0], high[0]];
  if (a === b) return sequence(digit(a, a), between(low.slice(1), high.slice(1)));
  const rest = length - 1;
  const parts = [
    sequence(digit(a, a), between(low.slice(1), '9'.repeat(rest))),
    sequence(digit(b, b), between('0'.repeat(rest), high.slice(1))),
  ];
  const [first, last] = [Number(a) + 1, Number(b) - 1];
  if (first <= last) parts.push(sequence(digit(String(first), String(last)), repeat(DIGIT, rest, rest)));
  return either(...parts);
}
