import { checkOption } from '../checks.ts';

/** Numbers for each level, one row a level: values of the steps of a forecast. */
export type LevelRows = readonly Float64Array[];

/** Checks the levels that a caller asks for. */
export function checkLevels(levels: unknown): asserts levels is readonly number[] {
  const right =
    Array.isArray(levels) &&
    levels.length > 0 &&
    levels.every((level, i) => level > 0 && level < 1 && (i === 0 || level > levels[i - 1]));
  checkOption(right, 'levels', 'numbers between 0 and 1 in ascending order', levels);
}

/**
 * Rows for other levels than those there are, each step by itself: between two neighbours by a straight line, beyond the
 * outermost ones as those.
 */
export function atLevels(rows: LevelRows, from: readonly number[], to: readonly number[]): LevelRows {
  return to.map((level) => {
    const above = from.findIndex((each) => each >= level);
    if (above < 0) return rows[rows.length - 1].slice();
    if (above === 0 || from[above] === level) return rows[above].slice();
    const share = (level - from[above - 1]) / (from[above] - from[above - 1]);
    return rows[above].map((value, h) => (1 - share) * rows[above - 1][h] + share * value);
  });
}
