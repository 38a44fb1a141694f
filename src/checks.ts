import { XlstmError } from './errors.ts';

/** What callers may get wrong: options and arrays of numbers, checked before anything is computed from them. */

/** Throws unless the option is right: its name, what was expected, what was found. */
export function checkOption(right: boolean, name: string, expected: string, found: unknown): void {
  if (!right) throw new XlstmError('usage', `${name}: expected ${expected}, found ${described(found)}`);
}

/** Checks that an option is a whole number, at least `least` and at most `most`. */
export function checkWhole(
  name: string,
  found: unknown,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): void {
  const bounds = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  const right = Number.isSafeInteger(found) && (found as number) >= least && (found as number) <= most;
  checkOption(right, name, `a whole number ${bounds}`, found);
}

/** Checks that an option is a finite number in a range; `expected` says which. */
export function checkNumber(
  name: string,
  found: unknown,
  expected: string,
  inRange: (value: number) => boolean,
): void {
  checkOption(Number.isFinite(found) && inRange(found as number), name, expected, found);
}

/** As `checkNumber`, of what engines compute with: it is finite and in the range as float32, too. */
export function checkFloat(
  name: string,
  found: unknown,
  expected: string,
  inRange: (value: number) => boolean,
): void {
  checkNumber(name, found, `${expected}, as float32 too`, (value) => {
    const rounded = Math.fround(value);
    return Number.isFinite(rounded) && inRange(value) && inRange(rounded);
  });
}

/** Checks that an option is one of a few values. */
export function checkChoice(name: string, found: unknown, choices: readonly unknown[]): void {
  checkOption(choices.includes(found), name, choices.map(described).join(' or '), found);
}

/** Checks that options are an object of these names alone: what is spelled wrong would have no effect. */
export function checkNames(what: string, options: unknown, names: readonly string[]): void {
  checkOption(typeof options === 'object' && options !== null, what, 'an object of options', options);
  const unknown = Object.keys(options as object).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new XlstmError('usage', `${what}: there is no option "${unknown}"`, `It has ${names.join(', ')}.`);
}

/** Checks that these are numbers between 0 and 1 in ascending order, one at least. */
export function checkQuantiles(quantiles: unknown): asserts quantiles is readonly number[] {
  const right =
    Array.isArray(quantiles) &&
    quantiles.length > 0 &&
    quantiles.every((q, i) => q > 0 && q < 1 && (i === 0 || q > quantiles[i - 1]));
  checkOption(right, 'quantiles', 'numbers between 0 and 1 in ascending order', quantiles);
}

/** What the numbers of an array may be. */
export type Range =
  /** Whole numbers from 0 to ids − 1; with `none` also negative ones, which mean none. */
  | {
      /** How many there are. */
      readonly ids: number;
      /** Whether there may be none at a position. */
      readonly none?: true;
    }
  /** 0 or 1. */
  | 'flags'
  /** Any finite number. */
  | 'finite'
  /** Any number, also NaN. */
  | 'any';

/** Checks the length of an array and every number in it; `unit` says what makes up the length. */
export function checkArray(
  name: string,
  values: unknown,
  length: number,
  unit: string,
  range: Range,
): asserts values is ArrayLike<number> {
  const array = values as ArrayLike<number>;
  if (typeof values !== 'object' || values === null || typeof array.length !== 'number') {
    throw new XlstmError('usage', `${name}: expected an array of numbers, found ${described(values)}`);
  }
  if (array.length !== length) {
    throw new XlstmError('usage', `${name} must hold ${unit} = ${length} numbers, found ${array.length}`);
  }
  checkRange(name, array, range);
}

/** Checks every number of an array. */
export function checkRange(name: string, values: ArrayLike<number>, range: Range): void {
  const at = firstOutside(values, range);
  if (at < 0) return;
  throw new XlstmError(
    'usage',
    `${name}: position ${at}: expected ${rangeText(range)}, found ${described(values[at])}`,
  );
}

function firstOutside(values: ArrayLike<number>, range: Range): number {
  const { length } = values;
  if (range === 'any') {
    for (let i = 0; i < length; i++) if (typeof values[i] !== 'number') return i;
  } else if (range === 'finite') {
    for (let i = 0; i < length; i++) if (!Number.isFinite(values[i])) return i;
  } else if (range === 'flags') {
    for (let i = 0; i < length; i++) if (values[i] !== 0 && values[i] !== 1) return i;
  } else {
    const least = range.none ? Number.MIN_SAFE_INTEGER : 0;
    for (let i = 0; i < length; i++) {
      const id = values[i];
      if (!(id >= least && id < range.ids && Number.isInteger(id))) return i;
    }
  }
  return -1;
}

function rangeText(range: Range): string {
  if (range === 'any') return 'a number';
  if (range === 'finite') return 'a finite number';
  if (range === 'flags') return '0 or 1';
  return `a whole number from 0 to ${range.ids - 1}${range.none ? ', or one below 0 for none' : ''}`;
}

function described(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** Of some names the three that are the nearest to another, by the letters to change (Levenshtein's distance). */
export function nearestNames(name: string, names: readonly string[]): readonly string[] {
  const distance = (other: string): number => {
    let row = Array.from({ length: other.length + 1 }, (_, i) => i);
    for (let i = 1; i <= name.length; i++) {
      const next = [i];
      for (let j = 1; j <= other.length; j++) {
        const change = row[j - 1] + (name[i - 1] === other[j - 1] ? 0 : 1);
        next.push(Math.min(change, row[j] + 1, next[j - 1] + 1));
      }
      row = next;
    }
    return row[other.length];
  };
  return names
    .map((other) => ({ other, far: distance(other) }))
    .sort((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(({ other }) => other);
}
