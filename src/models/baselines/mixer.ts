import type { Tensor } from '../../compute/graph/tensor.ts';
import { invariant } from '../../errors.ts';
import type { LayerOutput, LayerState, Pass, StateShapes } from '../../nn/layer.ts';

/** Where in the text the layer's input stands. */
export interface Place {
  readonly pass: Pass;
  /** [B, T, 1]: the number of each token in its document, from 1 on; there if the architecture needs positions. */
  readonly positions: Tensor | undefined;
}

/** The part of a block in which tokens see each other: what tells the models of this folder apart. */
export interface Mixer {
  stateShapes(batch: number): StateShapes;
  /** x [B, T, D]; the residual is added to the result. */
  forward(x: Tensor, place: Place, state: LayerState, residual: Tensor): LayerOutput;
}

export function positionsOf({ positions }: Place): Tensor {
  invariant(positions !== undefined, 'a mixer that reads positions is in a model that does not count them');
  return positions;
}
