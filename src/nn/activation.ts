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
} from '../compute/graph/elementwise.ts';
import type { Tensor } from '../compute/graph/tensor.ts';

const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;

/** Activations by the names of the official configuration. */
export const activations = {
  gelu,
  relu,
  /** max(x, 0)² */
  'relu^2': (x: Tensor): Tensor => square(relu(x)),
  sigmoid,
  /** x · σ(x) */
  swish: silu,
  // The exponential is only taken of what is not positive: its other branch would overflow.
  /** 1.0507 · (x > 0 ? x : 1.6733 (exp(x) − 1)) (Klambauer et al. 2017) */
  selu: (x: Tensor): Tensor =>
    multiply(SELU_SCALE, select(greater(x, 0), x, multiply(SELU_ALPHA, subtract(exp(minimum(x, 0)), 1)))),
} as const;

/** A key of `activations`, as configurations have it. */
export type ActivationName = keyof typeof activations;

/** The keys of `activations`. */
export const activationNames = Object.keys(activations) as ActivationName[];
