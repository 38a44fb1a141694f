import { subtract } from '../../compute/graph/elementwise.ts';
import { embedding } from '../../compute/graph/embedding.ts';
import { linear } from '../../compute/graph/matmul.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { smallInit } from '../../nn/init.ts';
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
import type { Matrix, Scope } from '../../nn/parameters.ts';
import type { Mixer } from './mixer.ts';
import { LearnedPositions, tokenCounts } from './positions.ts';

export interface Norm {
  forward(x: Tensor): Tensor;
}

export interface FeedForward {
  /** The residual is added to the result. */
  forward(x: Tensor, pass: Pass, residual: Tensor): Tensor;
}

/** What distinguishes one model from another; each part is built for every block anew. */
export interface MixerParts {
  readonly norm: (scope: Scope) => Norm;
  readonly mixer: (scope: Scope) => Mixer;
  /** Absent: a block is its mixer alone. */
  readonly feedForward?: (scope: Scope) => FeedForward;
  /** Whether mixers are told the number of each token in its document. */
  readonly needsPositions?: boolean;
  /** With so many rows of learned positions, added to the embedding. */
  readonly learnedPositions?: number;
}

export interface StackSizes {
  readonly embeddingDim: number;
  readonly numBlocks: number;
}

export interface Sizes extends StackSizes {
  readonly vocabSize: number;
}

interface Block {
  readonly mixerNorm: Norm;
  readonly mixer: Mixer;
  readonly feedForwardNorm: Norm | undefined;
  readonly feedForward: FeedForward | undefined;
}

/**
 * A stack of blocks and a norm, [B, T, D] to [B, T, D]. A block is x ← x + mixer(norm(x)); x ← x + feedForward(norm(x)).
 * A reset token starts anew: what follows it does not depend on what was before it.
 */
export class MixerStack implements SequenceLayer {
  readonly #positions: LearnedPositions | undefined;
  readonly #counts: boolean;
  readonly #blocks: readonly Block[];
  readonly #norm: Norm;

  constructor(scope: Scope, { embeddingDim, numBlocks }: StackSizes, parts: MixerParts) {
    const { norm, mixer, feedForward, learnedPositions } = parts;
    this.#positions = learnedPositions
      ? new LearnedPositions(scope.child('position_embedding'), learnedPositions, embeddingDim)
      : undefined;
    this.#counts = parts.needsPositions === true || learnedPositions !== undefined;
    this.#blocks = Array.from({ length: numBlocks }, (_, i) => {
      const block = scope.child(`blocks.${i}`);
      return {
        mixerNorm: norm(block.child('mixer_norm')),
        mixer: mixer(block.child('mixer')),
        feedForwardNorm: feedForward && norm(block.child('ffn_norm')),
        feedForward: feedForward?.(block.child('ffn')),
      };
    });
    this.#norm = norm(scope.child('post_blocks_norm'));
  }

  stateShapes(batch: number): StateShapes {
    const shapes = this.#blocks.map(({ mixer }, i) => under(`blocks.${i}`, mixer.stateShapes(batch)));
    return Object.assign(this.#counts ? { count: [batch, 1] } : {}, ...shapes);
  }

  forward(input: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const last: Record<string, Tensor> = {};
    const counted = this.#counts ? tokenCounts(input.shape, pass.reset, state.count) : undefined;
    if (counted) last.count = counted.last;
    const place = { pass, positions: counted?.counts };
    let x = input;
    if (this.#positions && counted) x = this.#positions.add(x, subtract(counted.counts, 1));
    this.#blocks.forEach(({ mixerNorm, mixer, feedForwardNorm, feedForward }, i) => {
      const mixed = mixer.forward(mixerNorm.forward(x), place, stateBelow(state, `blocks.${i}`), x);
      Object.assign(last, under(`blocks.${i}`, mixed.state));
      x = mixed.y;
      if (feedForward && feedForwardNorm) x = feedForward.forward(feedForwardNorm.forward(x), pass, x);
    });
    // Behind padding the mixers' states are not those of the rows' ends.
    return { y: this.#norm.forward(x), state: pass.lengths ? {} : last };
  }
}

/** Embedding, a stack of blocks with a norm, an output layer. */
export class MixerLanguageModel implements LanguageModel {
  readonly vocabSize: number;
  readonly #embedding: Tensor; // [V, D]
  readonly #stack: MixerStack;
  readonly #head: Matrix; // [V, D]

  constructor(scope: Scope, sizes: Sizes, parts: MixerParts) {
    const { vocabSize, embeddingDim } = sizes;
    const init = smallInit(embeddingDim);
    this.vocabSize = vocabSize;
    this.#embedding = scope
      .child('token_embedding')
      .parameter('weight', [vocabSize, embeddingDim], init, false);
    this.#stack = new MixerStack(scope, sizes, parts);
    this.#head = scope
      .child('lm_head')
      .matrix({ name: 'weight', shape: [vocabSize, embeddingDim], init }, { isOutput: true });
  }

  stateShapes(batch: number): StateShapes {
    return this.#stack.stateShapes(batch);
  }

  forward(tokens: Tensor, pass: Pass, state: LayerState): LayerOutput {
    return this.#stack.forward(embedding(tokens, this.#embedding), pass, state);
  }

  logits(y: Tensor): Tensor {
    return linear(y, this.#head);
  }
}
