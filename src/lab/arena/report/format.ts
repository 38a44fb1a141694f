import type { CellRecord } from '../records.ts';
import type { Cell } from './arena.ts';

/**
 * A score with so many decimals. What is not quite 1 is not rounded to it: 0.996 is 0.99 with two decimals, and only
 * from 0.9995 on does it say 1.00.
 */
export function formatScore(score: number, decimals = 2): string {
  const unit = 10 ** decimals;
  const shown = score < 0.9995 ? Math.min(score, (unit - 1) / unit) : score;
  // Adding 0 turns −0 into 0.
  return formatSigned(Math.round(shown * unit) / unit + 0, decimals);
}

/** With a minus sign, not a hyphen. */
export const formatSigned = (value: number, decimals: number): string =>
  value.toFixed(decimals).replace('-', '−');

export const formatChange = (fraction: number): string =>
  `${fraction > 0 ? '+' : ''}${formatSigned(fraction * 100 + 0, 1)}\u00a0%`;

/** Three digits, from microseconds to minutes. */
export const formatMs = (ms: number): string => (ms >= 100 ? String(Math.round(ms)) : ms.toPrecision(3));

/** For ticks, without what says nothing: 3.00 MB is 3 MB, 1m 00s is 1m. */
export const compact = (text: string): string =>
  text
    .replace(/(\.\d*?)0+(?=\D|$)/, '$1')
    .replace(/\.(?=\D|$)/, '')
    .replace(/ 00[sm]$/, '');

/** 1 seed, 2 seeds */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;

/** "2 of 3 runs finished, 1 diverged" where not all did, else how many there were. */
export function runsInWords({ runs, diverged, failed }: Cell): string {
  if (diverged + failed === 0) return count(runs.length, 'run');
  const finished = runs.length - diverged - failed;
  const lost = [diverged && `${diverged} diverged`, failed && `${failed} failed`].filter(Boolean).join(', ');
  return `${finished} of ${count(runs.length, 'run')} finished, ${lost}`;
}

/** The first line of what went wrong, of any length. */
export const messageOf = ({ status, message, steps }: CellRecord): string =>
  `${status}${status === 'diverged' ? ` at step ${steps}` : ''}${message ? `: ${message}` : ''}`;
