import { attributes, defineOp, type Tensor } from './op.ts';
import { requireFraction, requireNotNegative, requirePositive } from './options.ts';
import { createNode, requireShape } from './tensor.ts';

/**
 * AdamW (Loshchilov and Hutter 2019). With g the clipped gradient, t the number of the step and λ the weight decay, which
 * is 0 for parameters that it leaves alone:
 *
 * ```text
 * m ← β1 m + (1 − β1) g     v ← β2 v + (1 − β2) g²
 * m̂ = m / (1 − β1^t)     v̂ = v / (1 − β2^t)
 * p ← p − lr · (m̂ / (√v̂ + epsilon) + λ p)
 * ```
 */
export interface AdamwOptions {
  /** β1, from 0 to below 1: how much of the mean gradient m is kept at each step. */
  readonly beta1: number;
  /** β2, from 0 to below 1: how much of the mean square v is kept at each step. */
  readonly beta2: number;
  /** Above 0: bounds the step where gradients vanish. */
  readonly epsilon: number;
  /** λ, not below 0: the share of a parameter, times the learning rate, that each step takes away. */
  readonly weightDecay: number;
}

const adamwOp = defineOp({
  name: 'adamw',
  inputs: ['schedule', 'gradients', 'parameters', 'firstMoment', 'secondMoment'],
  outputs: ['updated'],
  overwrites: true,
  ...attributes<AdamwOptions>(),
  emit({ inputs, outputs, attributes }, to) {
    const { schedule, gradients, parameters, firstMoment, secondMoment } = inputs;
    to.call(
      'adamw',
      { inputs: { schedule, gradients }, outputs: { parameters, firstMoment, secondMoment } },
      { count: gradients.cols, ...attributes },
    );
    to.alias(outputs.updated, parameters);
  },
});

/**
 * AdamW (Loshchilov and Hutter 2019) in place over flat arrays of equal size. schedule [4]: learning rate, gradient
 * factor, 1 − β1^t, 1 − β2^t.
 */
export function adamw(
  schedule: Tensor,
  gradients: Tensor,
  parameters: Tensor,
  moments: readonly [first: Tensor, second: Tensor],
  options: AdamwOptions,
): Tensor {
  requireFraction('adamw', 'beta1', options.beta1);
  requireFraction('adamw', 'beta2', options.beta2);
  requirePositive('adamw', 'epsilon', options.epsilon);
  requireNotNegative('adamw', 'weightDecay', options.weightDecay);
  requireShape(schedule.shape.join() === '4', 'adamw', 'a schedule [4]', schedule);
  for (const t of [gradients, ...moments]) {
    requireShape(
      t.shape.length === 1 && t.shape.join() === parameters.shape.join(),
      'adamw',
      'flat arrays of one size',
      parameters,
      t,
    );
  }
  const [firstMoment, secondMoment] = moments;
  return createNode(
    adamwOp,
    { schedule, gradients, parameters, firstMoment, secondMoment },
    { updated: parameters.shape },
    options,
  ).updated;
}
