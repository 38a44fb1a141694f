import { createNode, type Op, type Tensor } from './tensor.ts';

export interface AdamwOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

const adamwOp: Op<AdamwOptions> = {
  name: 'adamw',
  overwrites: true,
  emit(node, to) {
    const [schedule, gradients, parameters, firstMoment, secondMoment] = node.inputs as readonly Tensor[];
    to.call('adamw', {
      count: gradients.cols,
      ...node.attributes,
      schedule: to.contiguous(schedule),
      gradients: to.contiguous(gradients),
      parameters: to.contiguous(parameters),
      firstMoment: to.contiguous(firstMoment),
      secondMoment: to.contiguous(secondMoment),
    });
    to.alias(node.outputs[0], parameters);
  },
};

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
  return createNode(adamwOp, [schedule, gradients, parameters, ...moments], options, [parameters.shape])[0];
}
