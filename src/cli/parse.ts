import { InvalidArgumentError } from 'commander';

/** Readers of option values. What they throw names the option and ends the program as wrong usage. */

const range = (least: number, most: number): string => {
  if (most !== Number.POSITIVE_INFINITY) return ` from ${least} to ${most}`;
  return least === Number.NEGATIVE_INFINITY ? '' : ` of at least ${least}`;
};

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
  (least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a number${range(least, most)}.`);
  };

/** A number above 0. */
export const positive =
  (most = Number.POSITIVE_INFINITY) =>
  (text: string): number => {
    const value = Number(text);
    if (Number.isFinite(value) && value > 0 && value <= most) return value;
    const bound = most === Number.POSITIVE_INFINITY ? '' : ` and at most ${most}`;
    throw new InvalidArgumentError(`Expected a number above 0${bound}.`);
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
