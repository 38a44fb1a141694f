import {
  exp,
  gelu,
  greater,
  minimum,
  multiply,
  relu,
  select,
  sigmoid,
  silu,
  square,
  subtract,
} from '../graph/elementwise.ts';
import type { Tensor } from '../graph/tensor.ts';

const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;

/** Activations by the names of the official configuration. */
export const activations = {
  gelu,
  relu,
  'relu^2': (x: Tensor): Tensor => square(relu(x)),
  sigmoid,
  swish: silu,
  // The exponential is only taken of what is not positive: its other branch would overflow.
  selu: (x: Tensor): Tensor =>
    multiply(SELU_SCALE, select(greater(x, 0), x, multiply(SELU_ALPHA, subtract(exp(minimum(x, 0)), 1)))),
} as const;

export type ActivationName = keyof typeof activations;

export const activationNames = Object.keys(activations) as ActivationName[];
