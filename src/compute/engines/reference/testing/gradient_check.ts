import { expect } from 'vitest';
import { tensorError } from './values.ts';

const STEP = 1e-3;
const TOLERANCE = 1e-8;

/** Derivative of loss with respect to values[at]: central differences of fourth order, error ~ STEP⁴. */
function derivative(loss: () => number, values: Float64Array, at: number): number {
  const kept = values[at];
  const lossAt = (offset: number): number => {
    values[at] = kept + offset;
    return loss();
  };
  const near = lossAt(STEP) - lossAt(-STEP);
  const far = lossAt(2 * STEP) - lossAt(-2 * STEP);
  values[at] = kept;
  return (8 * near - far) / (12 * STEP);
}

/**
 * Expects that each gradient is that of `loss` with respect to its variable, every element of the buffer included:
 * where rows have gaps between them the gradient must be 0 as well.
 */
export function expectGradients(
  loss: () => number,
  variables: Readonly<Record<string, { values: Float64Array; gradient: Float64Array }>>,
): void {
  for (const [name, { values, gradient }] of Object.entries(variables)) {
    const expected = values.map((_, at) => derivative(loss, values, at));
    expect(Math.max(...expected.map(Math.abs)), `gradient of ${name} vanishes`).toBeGreaterThan(1e-3);
    expect(tensorError(gradient, expected), `gradient of ${name}`).toBeLessThan(TOLERANCE);
  }
}
