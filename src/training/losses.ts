import { checkNumber, checkQuantiles } from '../checks.ts';
import {
  absolute,
  greater,
  maximum,
  multiply,
  select,
  square,
  subtract,
} from '../compute/graph/elementwise.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { concat, split } from '../compute/graph/views.ts';

/** Losses of predictions y against targets, element by element. */
export type ElementLoss = (y: Tensor, target: Tensor) => Tensor;

/** (y − target)² */
export const squaredError: ElementLoss = (y, target) => square(subtract(y, target));

/** |y − target| */
export const absoluteError: ElementLoss = (y, target) => absolute(subtract(y, target));

/** Huber (1964): e² / 2 where |e| ≤ delta, else delta (|e| − delta / 2). Throws a usage error unless delta > 0. */
export function huberLoss(delta = 1): ElementLoss {
  checkNumber('delta', delta, 'a finite number above 0', (value) => value > 0);
  return (y, target) => {
    const error = absolute(subtract(y, target));
    const far = multiply(delta, subtract(error, delta / 2));
    return select(greater(error, delta), far, multiply(0.5, square(error)));
  };
}

/**
 * The pinball loss of Koenker and Bassett (1978): max(q (target − y), (q − 1) (target − y)), least in the mean where y
 * is the target's q-quantile. y [..., Q · O] holds all targets' first quantile, then their second and so on; targets
 * [..., O]; the losses have the shape of y. Throws a usage error unless the quantiles ascend between 0 and 1.
 */
export function quantileLoss(quantiles: readonly number[]): ElementLoss {
  checkQuantiles(quantiles);
  return (y, target) => {
    const values = split(y, new Array<number>(quantiles.length).fill(target.cols));
    return concat(
      values.map((value, i) => {
        const error = subtract(target, value);
        return maximum(multiply(quantiles[i], error), multiply(quantiles[i] - 1, error));
      }),
    );
  };
}
