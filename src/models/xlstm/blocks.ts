import { add } from '../../compute/graph/elementwise.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { GatedFeedForward } from '../../nn/feed_forward.ts';
import type { LayerOutput, LayerState, Pass, SequenceLayer, StateShapes } from '../../nn/layer.ts';
import { stateBelow, under } from '../../nn/layer.ts';
import { LayerNorm } from '../../nn/norm.ts';
import type { Scope } from '../../nn/parameters.ts';
import { type BlockStackConfig, feedForwardDim, isSlstmBlock } from './config.ts';
import { MlstmLayer } from './mlstm_layer.ts';
import { SlstmLayer } from './slstm_layer.ts';

/** y = x + mLSTM(norm(x)), the layer being `MlstmLayer`. */
export class MlstmBlock implements SequenceLayer {
  readonly #norm: LayerNorm;
  readonly #layer: MlstmLayer;

  /** Of the configuration `embeddingDim`, `numBlocks`, `bias`, `dropout` and `mlstm` count. */
  constructor(scope: Scope, config: BlockStackConfig) {
    this.#norm = new LayerNorm(scope.child('xlstm_norm'), config.embeddingDim);
    this.#layer = new MlstmLayer(scope.child('xlstm'), config);
  }

  stateShapes(batch: number): StateShapes {
    return this.#layer.stateShapes(batch);
  }

  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    return this.#layer.forward(this.#norm.forward(x), pass, state, x);
  }
}

/** x' = x + sLSTM(norm(x)); y = x' + FFN(norm(x')), the layers being `SlstmLayer` and `GatedFeedForward`. */
export class SlstmBlock implements SequenceLayer {
  readonly #norm: LayerNorm;
  readonly #layer: SlstmLayer;
  readonly #feedForwardNorm: LayerNorm;
  readonly #feedForward: GatedFeedForward;

  /** `blockIndex`, from 0 on, decides the initial biases of the forget gates where these depend on the depth. */
  constructor(scope: Scope, config: BlockStackConfig, blockIndex: number) {
    const { embeddingDim, numBlocks } = config;
    const { actFn, bias, dropout } = config.slstm.feedforward;
    this.#norm = new LayerNorm(scope.child('xlstm_norm'), embeddingDim);
    this.#layer = new SlstmLayer(scope.child('xlstm'), config, blockIndex);
    this.#feedForwardNorm = new LayerNorm(scope.child('ffn_norm'), embeddingDim);
    const options = { innerDim: feedForwardDim(config), activation: actFn, bias, dropout, numBlocks };
    this.#feedForward = new GatedFeedForward(scope.child('ffn'), embeddingDim, options);
  }

  stateShapes(batch: number): StateShapes {
    return this.#layer.stateShapes(batch);
  }

  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const cell = this.#layer.forward(this.#norm.forward(x), pass, state);
    const mixed = add(x, cell.y);
    return {
      y: this.#feedForward.forward(this.#feedForwardNorm.forward(mixed), pass, mixed),
      state: cell.state,
    };
  }
}

/** Blocks one after another, then a norm where `addPostBlocksNorm` says so. The state of block i is under `blocks.i`. */
export class BlockStack implements SequenceLayer {
  readonly #blocks: readonly SequenceLayer[];
  readonly #norm: LayerNorm | undefined;

  /** The configuration is one of `blockStackConfig`: it is taken as it is. */
  constructor(scope: Scope, config: BlockStackConfig) {
    const { numBlocks, embeddingDim, addPostBlocksNorm } = config;
    this.#blocks = Array.from({ length: numBlocks }, (_, i) => {
      const blockScope = scope.child(`blocks.${i}`);
      return isSlstmBlock(config, i)
        ? new SlstmBlock(blockScope, config, i)
        : new MlstmBlock(blockScope, config);
    });
    this.#norm = addPostBlocksNorm ? new LayerNorm(scope.child('post_blocks_norm'), embeddingDim) : undefined;
  }

  stateShapes(batch: number): StateShapes {
    return Object.assign(
      {},
      ...this.#blocks.map((block, i) => under(`blocks.${i}`, block.stateShapes(batch))),
    );
  }

  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    let y = x;
    const last: Record<string, Tensor> = {};
    this.#blocks.forEach((block, i) => {
      const result = block.forward(y, pass, stateBelow(state, `blocks.${i}`));
      y = result.y;
      Object.assign(last, under(`blocks.${i}`, result.state));
    });
    return { y: this.#norm ? this.#norm.forward(y) : y, state: last };
  }
}
