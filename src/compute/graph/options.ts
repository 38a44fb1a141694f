import { XlstmError } from '../../errors.ts';

/** Throws a usage error unless an option of an operation is what is expected; `found` is shown. */
export function requireOption(
  holds: boolean,
  op: string,
  option: string,
  expected: string,
  found: unknown,
): void {
  if (holds) return;
  const text = typeof found === 'string' ? `"${found}"` : String(found);
  throw new XlstmError('usage', `${op}: ${option} is ${text}`, `give ${expected}`);
}

/** A whole number from `least` on. */
export const requireCount = (op: string, option: string, value: number, least = 1): void =>
  requireOption(
    Number.isSafeInteger(value) && value >= least,
    op,
    option,
    `a whole number of at least ${least}`,
    value,
  );

/** Engines compute in float32. */
const isFinite32 = (value: number): boolean =>
  typeof value === 'number' && Number.isFinite(Math.fround(value));

/** A finite number. */
export const requireFinite = (op: string, option: string, value: number): void =>
  requireOption(isFinite32(value), op, option, 'a finite number', value);

/** A finite number of at least 0. */
export const requireNotNegative = (op: string, option: string, value: number): void =>
  requireOption(isFinite32(value) && value >= 0, op, option, 'a finite number of at least 0', value);

/** A finite number above 0. */
export const requirePositive = (op: string, option: string, value: number): void =>
  requireOption(isFinite32(value) && Math.fround(value) > 0, op, option, 'a finite number above 0', value);

/** A number from 0 on and below 1. */
export const requireFraction = (op: string, option: string, value: number): void =>
  requireOption(value >= 0 && value < 1, op, option, 'a number from 0 on and below 1', value);
