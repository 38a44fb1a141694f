import { multiply, silu, softCap } from '../../compute/graph/elementwise.ts';
import { embedding } from '../../compute/graph/embedding.ts';
import { linear } from '../../compute/graph/matmul.ts';
import { norm } from '../../compute/graph/norm.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { split } from '../../compute/graph/views.ts';
import { constantInit, smallInit, wangInit, zerosInit } from '../../nn/init.ts';
import {
  type LanguageModel,
  type LayerOutput,
  type LayerState,
  type Pass,
  type SequenceLayer,
  type StateShapes,
  stateBelow,
  under,
} from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import type { Matrix, Scope } from '../../nn/parameters.ts';
import { feedForwardDim, type LargeConfig } from './config.ts';
import { LargeMlstmLayer } from './mlstm_layer.ts';

/** w ∘ x / √(mean(x²) + eps), w from one. */
class Norm {
  readonly #weight: Tensor;
  readonly #eps: number;

  constructor(scope: Scope, { embeddingDim, normEps }: LargeConfig) {
    this.#weight = scope.parameter('weight', [embeddingDim], constantInit(1));
    this.#eps = normEps;
  }

  forward(x: Tensor): Tensor {
    return norm(x, this.#weight, undefined, { kind: 'rms', groups: 1, eps: this.#eps, weightOffset: 0 });
  }
}

/** y = W_down (SiLU(gate) ∘ up), [gate | up] = W x */
class FeedForward {
  readonly #innerDim: number;
  readonly #up: Matrix; // [2·U, D]
  readonly #bias: Tensor | undefined; // [2·U]
  readonly #down: Linear;

  constructor(scope: Scope, config: LargeConfig) {
    const { embeddingDim, numBlocks, useBias } = config;
    const inner = feedForwardDim(config);
    const names = ['proj_up_gate', 'proj_up'];
    const init = smallInit(embeddingDim);
    this.#innerDim = inner;
    this.#up = scope.matrix(
      names.map((name) => ({ name: `${name}.weight`, shape: [inner, embeddingDim], init })),
    );
    this.#bias = useBias
      ? scope.joined(names.map((name) => ({ name: `${name}.bias`, shape: [inner], init: zerosInit })))
      : undefined;
    this.#down = new Linear(scope.child('proj_down'), inner, embeddingDim, {
      weight: wangInit(embeddingDim, numBlocks),
      bias: useBias && zerosInit,
    });
  }

  forward(x: Tensor, residual: Tensor): Tensor {
    const [gate, up] = split(linear(x, this.#up, this.#bias), [this.#innerDim, this.#innerDim]);
    return this.#down.forward(multiply(silu(gate), up), residual);
  }
}

/** x ← x + mLSTM(norm(x)); x + FFN(norm(x)) */
class LargeBlock implements SequenceLayer {
  readonly #norm: Norm;
  readonly #layer: LargeMlstmLayer;
  readonly #feedForwardNorm: Norm;
  readonly #feedForward: FeedForward;

  constructor(scope: Scope, config: LargeConfig) {
    this.#norm = new Norm(scope.child('norm_mlstm'), config);
    this.#layer = new LargeMlstmLayer(scope.child('mlstm_layer'), config);
    this.#feedForwardNorm = new Norm(scope.child('norm_ffn'), config);
    this.#feedForward = new FeedForward(scope.child('ffn'), config);
  }

  stateShapes(batch: number): StateShapes {
    return this.#layer.stateShapes(batch);
  }

  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const mixed = this.#layer.forward(this.#norm.forward(x), pass, state, x);
    return {
      y: this.#feedForward.forward(this.#feedForwardNorm.forward(mixed.y), mixed.y),
      state: mixed.state,
    };
  }
}

/** xLSTM Large (Beck et al. 2025). Parameter names are those that `transformers` writes. The state of block i is under `blocks.i`. */
export class LargeLanguageModel implements LanguageModel {
  /** What it was built from. */
  readonly config: LargeConfig;
  readonly #embedding: Tensor; // [V, D]
  readonly #blocks: readonly LargeBlock[];
  readonly #norm: Norm | undefined;
  readonly #head: Matrix; // [V, D]

  /** Declares the parameters in the scope. */
  constructor(scope: Scope, config: LargeConfig) {
    this.config = config;
    const { vocabSize, embeddingDim, numBlocks, addOutNorm, tieWeights } = config;
    const shape = [vocabSize, embeddingDim] as const;
    const init = smallInit(embeddingDim);
    const backbone = scope.child('backbone');
    // As in the training of the published models, weight decay leaves the embedding alone.
    this.#embedding = backbone.child('embeddings').parameter('weight', shape, init, false);
    this.#blocks = Array.from(
      { length: numBlocks },
      (_, i) => new LargeBlock(backbone.child(`blocks.${i}`), config),
    );
    this.#norm = addOutNorm ? new Norm(backbone.child('out_norm'), config) : undefined;
    this.#head = tieWeights
      ? this.#embedding
      : scope.child('lm_head').matrix({ name: 'weight', shape, init }, { isOutput: true });
  }

  get vocabSize(): number {
    return this.config.vocabSize;
  }

  stateShapes(batch: number): StateShapes {
    return Object.assign(
      {},
      ...this.#blocks.map((block, i) => under(`blocks.${i}`, block.stateShapes(batch))),
    );
  }

  forward(tokens: Tensor, pass: Pass, state: LayerState): LayerOutput {
    let y = embedding(tokens, this.#embedding);
    const last: Record<string, Tensor> = {};
    this.#blocks.forEach((block, i) => {
      const after = block.forward(y, pass, stateBelow(state, `blocks.${i}`));
      y = after.y;
      Object.assign(last, under(`blocks.${i}`, after.state));
    });
    return { y: this.#norm ? this.#norm.forward(y) : y, state: last };
  }

  logits(y: Tensor): Tensor {
    const { outputLogitSoftCap } = this.config;
    const logits = linear(y, this.#head);
    return outputLogitSoftCap === null ? logits : softCap(logits, outputLogitSoftCap);
  }
}
