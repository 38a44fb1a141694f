import { InvalidArgumentError } from 'commander';
import { type AdapterOptions, LARGEST_RANK } from '../nn/adapter.ts';

/** Readers of option values. What they throw names the option and ends the program as wrong usage. */

const range = (least: number, most: number): string => {
  return most === Number.POSITIVE_INFINITY ? ` of at least ${least}` : ` from ${least} to ${most}`;
};

/** Engines compute in float32: a larger number would be infinite there. */
const LARGEST = 3.4e38;

/** A whole number. */
export const integer =
  (least: number, most = Number.POSITIVE_INFINITY) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\s*[+-]?\d+\s*$/.test(text) && Number.isSafeInteger(value) && value >= least && value <= most) {
      return value;
    }
    throw new InvalidArgumentError(`Expected a whole number${range(least, most)}.`);
  };

export const number =
  (least: number, most = LARGEST) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a number${range(least, most)}.`);
  };

/** A number above 0. */
export const positive =
  (most = LARGEST) =>
  (text: string): number => {
    const value = Number(text);
    if (value > 0 && value <= most) return value;
    throw new InvalidArgumentError(`Expected a number above 0 and at most ${most}.`);
  };

/** Block numbers separated by commas, "all" or "none". */
export function blockList(text: string): readonly number[] | 'all' {
  if (text === 'all') return 'all';
  if (text === 'none') return [];
  if (!/^\d+(,\d+)*$/.test(text)) {
    throw new InvalidArgumentError('Expected block numbers such as 1,3, or all, or none.');
  }
  return text.split(',').map(Number);
}

/** Whole numbers separated by commas. */
export const integerList =
  (least: number) =>
  (text: string): readonly number[] =>
    text.split(',').map(integer(least));

/** Quantiles separated by commas, ascending, the median among them. */
export function quantileList(text: string): readonly number[] {
  const levels = text.split(',').map(Number);
  const ascending = levels.every((level, i) => level > 0 && level < 1 && (i === 0 || level > levels[i - 1]));
  if (ascending && levels.includes(0.5)) return levels;
  throw new InvalidArgumentError(
    'Expected ascending numbers between 0 and 1, 0.5 among them, such as 0.1,0.5,0.9.',
  );
}

/** Names separated by commas; commas inside square brackets, or inside double quotes as in CSV, belong to a name. */
export function nameList(text: string): readonly string[] {
  const names = text
    .split(/,(?![^[]*\])(?=(?:[^"]*"[^"]*")*[^"]*$)/)
    .map((name) => name.trim().replace(/^"(.*)"$/s, (_, quoted: string) => quoted.replaceAll('""', '"')));
  if (names.some((name) => name === ''))
    throw new InvalidArgumentError('Expected names separated by commas.');
  return [...new Set(names)];
}

/** Names of an option that may also be given several times. */
export const moreNames = (text: string, before: readonly string[] | undefined): readonly string[] => [
  ...new Set([...(before ?? []), ...nameList(text)]),
];

/** A whole number above 0, which may end in k or M, of either case: 200k, 1.5M. */
export function count(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([km]?)\s*$/i.exec(text);
  const value = match
    ? Math.round(Number(match[1]) * { '': 1, k: 1e3, m: 1e6 }[match[2].toLowerCase() as '' | 'k' | 'm'])
    : 0;
  if (value >= 1 && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('Expected a whole number above 0 such as 50000, 200k or 1.5M.');
}

/** Such numbers separated by commas. */
export const counts = (text: string): readonly number[] => text.split(',').map(count);

/** The path of a file for charts. */
export function plotPath(text: string): string {
  if (/[^/\\]\.(svg|html)$/i.test(text)) return text;
  throw new InvalidArgumentError('Expected the name of a file that ends in .svg or .html.');
}

/** The path of a file or folder. */
export function path(text: string): string {
  if (text !== '') return text;
  throw new InvalidArgumentError('Expected a path.');
}

/** Adapters as rank=8,alpha=16,targets=q,v: what follows targets are names; alpha is twice the rank where it is not said. */
export function loraOptions(text: string): AdapterOptions {
  const [, settings, names] = /^(.*?)(?:(?:^|,)targets=(.*))?$/s.exec(text) ?? [];
  const pairs = settings.split(',').map((each) => each.split('=', 2) as [string, string]);
  const given = new Map(pairs);
  const [rank, alpha] = [given.get('rank'), given.get('alpha')];
  const known = 1 + Number(alpha !== undefined);
  if (rank === undefined || pairs.length !== known) {
    throw new InvalidArgumentError('Expected rank=8,alpha=16 or rank=8,alpha=16,targets=q,v.');
  }
  const rows = integer(1, LARGEST_RANK)(rank);
  return {
    rank: rows,
    alpha: alpha === undefined ? 2 * rows : positive()(alpha),
    ...(names !== undefined && { targets: nameList(names) }),
  };
}
