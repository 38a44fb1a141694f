import { divide, multiplyAdd, subtract } from '../../compute/graph/elementwise.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { concat, stopGradient } from '../../compute/graph/views.ts';
import { constantInit, smallInit, zerosInit } from '../../nn/init.ts';
import {
  type LayerOutput,
  type LayerState,
  type Network,
  type Pass,
  type SequenceLayer,
  type StateShapes,
  stateBelow,
  under,
} from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import { lastStep, meanOfSteps, reverseSteps } from '../../nn/padding.ts';
import type { Scope } from '../../nn/parameters.ts';
import { stackOf } from '../baselines/contestants.ts';
import type { SequenceConfig } from './config.ts';

/** (x − mean) / scale, of each number of a step. They are learned from data, not trained, and lie with the weights. */
class Scaler {
  readonly #mean: Tensor; // [F]
  readonly #scale: Tensor; // [F]

  constructor(scope: Scope, count: number) {
    this.#mean = scope.parameter('mean', [count], zerosInit, false);
    this.#scale = scope.parameter('scale', [count], constantInit(1), false);
  }

  standardise(x: Tensor): Tensor {
    return divide(subtract(x, stopGradient(this.#mean)), stopGradient(this.#scale));
  }

  /** Back to the data's units: x holds `times` values of each number, all first ones before all second ones. */
  restore(x: Tensor, times: number): Tensor {
    const repeated = (values: Tensor): Tensor =>
      times === 1 ? stopGradient(values) : concat(new Array<Tensor>(times).fill(stopGradient(values)));
    return multiplyAdd(x, repeated(this.#scale), repeated(this.#mean));
  }
}

/**
 * Numbers in, numbers out: standardised inputs, a linear layer, one stack of layers or two in opposite directions, the
 * results of all steps or one of the sequence, and a linear head. x [B, T, inputs] to y [B, T or 1, width of the head],
 * in standardised units.
 */
export class SequenceNetwork implements Network {
  /** What it was built from. */
  readonly config: SequenceConfig;
  /** Numbers of a result: quantiles of outputs, all of the first quantile before those of the second; or classes. */
  readonly width: number;
  readonly #inputScaler: Scaler;
  readonly #outputScaler: Scaler | undefined;
  readonly #input: Linear;
  readonly #forwards: SequenceLayer;
  readonly #backwards: SequenceLayer | undefined;
  readonly #head: Linear | undefined;

  /**
   * The configuration is a checked one, as `config` of a SequenceModel is: it is taken as it is. Throws a usage or config
   * error where sizes do not fit the layers.
   */
  constructor(scope: Scope, config: SequenceConfig) {
    const { inputs, outputs, quantiles, classes, dim, bidirectional } = config;
    this.config = config;
    this.#inputScaler = new Scaler(scope.child('input_scaler'), inputs);
    this.#outputScaler = outputs > 0 ? new Scaler(scope.child('output_scaler'), outputs) : undefined;
    this.#input = new Linear(scope.child('input'), inputs, dim, {
      weight: smallInit(inputs),
      bias: zerosInit,
    });
    const forwards = stackOf(scope.child('forward'), config);
    const backwards = bidirectional ? stackOf(scope.child('backward'), config) : undefined;
    this.#forwards = forwards.layer;
    this.#backwards = backwards?.layer;
    const features = forwards.dim + (backwards?.dim ?? 0);
    const headWidth = classes.length > 0 ? classes.length : outputs * Math.max(1, quantiles.length);
    this.width = headWidth > 0 ? headWidth : features;
    this.#head =
      headWidth > 0
        ? new Linear(scope.child('head'), features, headWidth, {
            weight: smallInit(features),
            bias: zerosInit,
          })
        : undefined;
  }

  /** The state of the stack that reads forwards, under `forward`; none where there is one that reads backwards. */
  stateShapes(batch: number): StateShapes {
    return this.#backwards ? {} : under('forward', this.#forwards.stateShapes(batch));
  }

  /**
   * x in the units of the data, [B, T, inputs], to y in standardised units: [B, T, width], [B, 1, width] where it
   * pools. Of two stacks no state comes back.
   */
  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const { dropout, pool } = this.config;
    const projected = pass.dropout(this.#input.forward(this.#inputScaler.standardise(x)), dropout);
    const forwards = this.#forwards.forward(projected, pass, stateBelow(state, 'forward'));
    const pooled = (y: Tensor): Tensor => {
      if (pool === 'none') return y;
      return pool === 'last' ? lastStep(y, pass.lengths) : meanOfSteps(y, pass.lengths);
    };
    let features = pooled(forwards.y);
    if (this.#backwards) {
      const { y } = this.#backwards.forward(reverseSteps(projected, pass.lengths), pass, {});
      // The stack that reads from the end ends at the first step.
      features = concat([features, pool === 'none' ? reverseSteps(y, pass.lengths) : pooled(y)]);
    }
    features = pass.dropout(features, dropout);
    return {
      y: this.#head ? this.#head.forward(features) : features,
      state: this.#backwards ? {} : under('forward', forwards.state),
    };
  }

  /** Targets in the units of the data to those in which y is. */
  standardiseTargets(targets: Tensor): Tensor {
    return this.#outputScaler ? this.#outputScaler.standardise(targets) : targets;
  }

  /** y in the units of the data. */
  restore(y: Tensor): Tensor {
    return this.#outputScaler ? this.#outputScaler.restore(y, Math.max(1, this.config.quantiles.length)) : y;
  }
}
