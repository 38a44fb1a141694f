import type { Tirex2Config } from '../models/tirex2/config.ts';
import { momentsOf, type Values } from './tirex_scale.ts';

/** What a scale is made of. */
export interface ScaleNumbers {
  readonly mean: number;
  readonly scale: number;
  /** Whether the row held 0 and 1 alone and was left as it is. */
  readonly isBinary: boolean;
}

/** How the numbers of a row become those of the network and back. */
export interface RowScale extends ScaleNumbers {
  readonly scaled: (value: number) => number;
  readonly restored: (value: number) => number;
}

/** A constant row is divided by this. */
const LEAST_DEVIATION = 1e-8;

/** What sinh takes at most. */
const MOST = 20;

const asTheyAre: ScaleNumbers = { mean: 0, scale: 1, isBinary: true };

/**
 * That of a row, its missing values left out: rows of 0 and 1, where the model is aware of them, are left as they are, all
 * others have mean 0 and deviation 1, and then their asinh where the model takes it.
 */
export function rowScale(
  values: Values,
  { arcsinh, binaryAware }: Pick<Tirex2Config, 'arcsinh' | 'binaryAware'>,
): RowScale {
  if (binaryAware && isBinary(values)) return scaleFrom(asTheyAre, arcsinh);
  const { count, mean, deviation } = momentsOf(values);
  const scale = count === 0 ? 1 : Math.max(deviation, LEAST_DEVIATION);
  return scaleFrom({ mean, scale, isBinary: false }, arcsinh);
}

/** (x − mean) / scale, and of rows that are not binary their asinh where it is taken. */
export function scaleFrom({ mean, scale, isBinary }: ScaleNumbers, arcsinh: boolean): RowScale {
  const scaled = (value: number): number => (value - mean) / scale;
  const restored = (value: number): number => value * scale + mean;
  return arcsinh && !isBinary
    ? {
        ...{ mean, scale, isBinary },
        scaled: (value) => Math.asinh(scaled(value)),
        restored: (value) => restored(Math.sinh(Math.min(MOST, Math.max(-MOST, value)))),
      }
    : { mean, scale, isBinary, scaled, restored };
}

function isBinary(values: Values): boolean {
  for (let i = 0; i < values.length; i++) {
    if (values[i] !== 0 && values[i] !== 1 && !Number.isNaN(values[i])) return false;
  }
  return true;
}
