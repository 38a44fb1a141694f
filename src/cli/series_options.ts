import type { Command } from 'commander';
import { moreNames } from './parse.ts';

/** Which columns of a table are the series. */
export interface SeriesChoice {
  readonly target?: readonly string[];
  readonly time?: string;
  readonly id?: string;
  readonly past: readonly string[];
  readonly known: readonly string[];
  readonly timeZone?: string;
}

/** Adds the options that name columns; `covariates` says what those of both kinds are to the command. */
export const addSeriesOptions = (
  command: Command,
  covariates: { readonly past: string; readonly known: string },
): Command =>
  command
    .option(
      '--target <columns>',
      'what to forecast, several together (default: the only column of numbers)',
      moreNames,
    )
    .option('--time <column>', 'times of the rows (default: the only column of dates)')
    .option('--id <column>', 'tells several series of one table apart')
    .option('--past <columns>', covariates.past, moreNames, [])
    .option('--known <columns>', covariates.known, moreNames, [])
    .option('--time-zone <name>', 'of times without an offset, such as Europe/Berlin (default: UTC)');
