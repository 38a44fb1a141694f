import { gelu } from '../../compute/graph/elementwise.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { XlstmError } from '../../errors.ts';
import { GatedFeedForward, projectAndAdd } from '../../nn/feed_forward.ts';
import { smallInit, wangInit, zerosInit } from '../../nn/init.ts';
import type { LanguageModel, Pass, SequenceLayer } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import { LayerNorm } from '../../nn/norm.ts';
import type { Scope } from '../../nn/parameters.ts';
import { RmsNorm } from '../../nn/rms_norm.ts';
import { BlockStack } from '../xlstm/blocks.ts';
import {
  blockStackConfig,
  blocksFromNotation,
  type LanguageModelOptions,
  languageModelConfig,
} from '../xlstm/config.ts';
import { XlstmLanguageModel } from '../xlstm/language_model.ts';
import { AttentionMixer } from './attention_mixer.ts';
import { GatedDeltaMixer } from './gated_delta_mixer.ts';
import { LinearAttentionMixer } from './linear_attention_mixer.ts';
import { MambaMixer } from './mamba_mixer.ts';
import { MinLstmMixer } from './minlstm_mixer.ts';
import type { Mixer } from './mixer.ts';
import { type FeedForward, MixerLanguageModel, type MixerParts, MixerStack } from './model.ts';
import { RecurrentLanguageModel, RecurrentStack } from './recurrent_model.ts';

export interface StackConfig {
  /** Width of what goes in and, but for the recurrent cells, of what comes out. */
  readonly embeddingDim: number;
  /** Layers. */
  readonly numBlocks: number;
  /** Models without heads take no notice of it. */
  readonly numHeads: number;
  /** The Transformers' window: how many tokens their state holds. The others have no limit. */
  readonly contextLength: number;
  /** GPT style only: rows of learned positions. More than a sequence of training has would never learn anything. */
  readonly positions: number;
  /** Inner widths relative to the usual ones of the model. */
  readonly expansion: number;
  /** xLSTM only: settings of its layers. */
  readonly layers?: Pick<LanguageModelOptions, 'mlstm' | 'slstm'>;
}

export interface ContestantConfig extends StackConfig {
  /** V: tokens are whole numbers from 0 to V − 1. */
  readonly vocabSize: number;
}

/** A model without what is before and behind its layers. */
export interface Stack {
  readonly layer: SequenceLayer;
  /** Width of what comes out. */
  readonly dim: number;
}

/** What builds the same layers as a stack of their own and as a language model. */
interface Builders {
  readonly stack: (scope: Scope, config: StackConfig) => Stack;
  readonly build: (scope: Scope, config: ContestantConfig) => LanguageModel;
}

export interface Contestant extends Builders {
  readonly numBlocks: number;
  readonly numHeads: number;
  /** Widths have to be divisible by so many for each head. */
  readonly headMultiple: 1 | 2;
}

type MixerBuilder = (scope: Scope, config: StackConfig) => Mixer;

/** Inner width of a feed-forward that is `factor` times as wide as the model. */
const innerDim = ({ embeddingDim, expansion }: StackConfig, factor: number): number =>
  Math.max(1, Math.round(factor * expansion * embeddingDim));

/** SwiGLU of 8/3 (Shazeer 2020): as large as a plain one of 4. */
const swiglu =
  (config: StackConfig) =>
  (scope: Scope): FeedForward =>
    new GatedFeedForward(scope, config.embeddingDim, {
      innerDim: innerDim(config, 8 / 3),
      activation: 'swish',
      bias: false,
      dropout: 0,
      numBlocks: config.numBlocks,
    });

/** y = W_down GELU(W_up x + b) + b, so many times as wide inside. */
class PlainFeedForward implements FeedForward {
  readonly #up: Linear;
  readonly #down: Linear;

  constructor(scope: Scope, config: StackConfig, factor: number) {
    const { embeddingDim, numBlocks } = config;
    const inner = innerDim(config, factor);
    const bias = zerosInit;
    this.#up = new Linear(scope.child('proj_up'), embeddingDim, inner, {
      weight: smallInit(embeddingDim),
      bias,
    });
    this.#down = new Linear(scope.child('proj_down'), inner, embeddingDim, {
      weight: wangInit(embeddingDim, numBlocks),
      bias,
    });
  }

  forward(x: Tensor, pass: Pass, residual: Tensor): Tensor {
    return projectAndAdd(this.#down, gelu(this.#up.forward(x)), pass, 0, residual);
  }
}

const plain =
  (factor: number) =>
  (config: StackConfig) =>
  (scope: Scope): FeedForward =>
    new PlainFeedForward(scope, config, factor);

/** RMS norms, a mixer and a feed-forward: the frame of the baselines that are not recurrent cells, unless they say otherwise. */
function model(
  mixer: MixerBuilder,
  feedForward: ((config: StackConfig) => (scope: Scope) => FeedForward) | undefined,
  more: (config: StackConfig) => Partial<MixerParts> = () => ({}),
): Builders {
  const parts = (config: StackConfig): MixerParts => ({
    norm: (inner) => new RmsNorm(inner, config.embeddingDim),
    mixer: (inner) => mixer(inner, config),
    feedForward: feedForward?.(config),
    ...more(config),
  });
  return {
    stack: (scope, config) => ({
      layer: new MixerStack(scope, config, parts(config)),
      dim: config.embeddingDim,
    }),
    build: (scope, config) => new MixerLanguageModel(scope, config, parts(config)),
  };
}

/** Wider or narrower than its embedding, so that widths that heads divide still meet a budget. */
function recurrent(cell: 'rnn' | 'gru' | 'lstm', perHead = false): Builders {
  const sizes = (config: StackConfig) => {
    const heads = perHead ? config.numHeads : 1;
    const hiddenDim = heads * Math.max(1, Math.round(innerDim(config, 1) / heads));
    return { cell, heads, hiddenDim, layers: config.numBlocks };
  };
  return {
    stack: (scope, config) => {
      const size = sizes(config);
      const layer = new RecurrentStack(scope, { ...size, inputDim: config.embeddingDim });
      return { layer, dim: size.hiddenDim };
    },
    build: (scope, config) => {
      const { vocabSize, embeddingDim } = config;
      return new RecurrentLanguageModel(scope, { ...sizes(config), vocabSize, embeddingDim });
    },
  };
}

const attending =
  (rotary: boolean): MixerBuilder =>
  (scope, { embeddingDim, numHeads, numBlocks, contextLength }) =>
    new AttentionMixer(scope, {
      dim: embeddingDim,
      heads: numHeads,
      numBlocks,
      window: contextLength,
      rotary,
    });

/** RetNet's values are twice as wide as its keys. */
const retention: MixerBuilder = (scope, { embeddingDim, numHeads, numBlocks, expansion }) =>
  new LinearAttentionMixer(scope, {
    ...{ dim: embeddingDim, heads: numHeads, numBlocks, decay: 'retention' },
    valueWidth: Math.max(1, Math.round((2 * expansion * embeddingDim) / numHeads)),
  });

const gatedLinear: MixerBuilder = (scope, { embeddingDim, numHeads, numBlocks }) =>
  new LinearAttentionMixer(scope, {
    ...{ dim: embeddingDim, heads: numHeads, numBlocks, decay: 'gated' },
    valueWidth: embeddingDim / numHeads,
  });

/** Keys of all heads are 3/4 as wide as the model, so that with its values a layer is as large as one of attention. */
const delta = (eigenvalues: '[0,1]' | '[-1,1]') =>
  model((scope, { embeddingDim, numHeads, numBlocks }) => {
    const keyWidth = Math.max(1, Math.round((0.75 * embeddingDim) / numHeads));
    return new GatedDeltaMixer(scope, {
      dim: embeddingDim,
      heads: numHeads,
      numBlocks,
      keyWidth,
      eigenvalues,
    });
  }, swiglu);

const withPositions = () => ({ needsPositions: true });

/** Inner widths of xLSTM blocks are rounded up to what heads and blocks of the projections need, and no further. */
function xlstm(notation: string): Builders {
  const sizes = (config: StackConfig) => {
    const { embeddingDim, numBlocks, numHeads, contextLength, expansion, layers } = config;
    return {
      embeddingDim,
      numBlocks,
      numHeads,
      contextLength,
      slstmAt: blocksFromNotation(notation, numBlocks),
      mlstm: {
        projFactor: 2 * expansion,
        roundProjUpToMultipleOf: numHeads % 4 === 0 ? numHeads : 4 * numHeads,
        ...layers?.mlstm,
      },
      slstm: {
        ...layers?.slstm,
        feedforward: {
          projFactor: 1.3 * expansion,
          roundProjUpToMultipleOf: 1,
          ...layers?.slstm?.feedforward,
        },
      },
    };
  };
  return {
    stack: (scope, config) => ({
      layer: new BlockStack(scope, blockStackConfig(sizes(config))),
      dim: config.embeddingDim,
    }),
    build: (scope, config) => {
      const { vocabSize } = config;
      return new XlstmLanguageModel(scope, languageModelConfig({ ...sizes(config), vocabSize }));
    },
  };
}

const small = { numBlocks: 2, numHeads: 4, headMultiple: 1 } as const;
const headless = { ...small, numHeads: 1 } as const;
const rotating = { ...small, headMultiple: 2 } as const;

/** Every model of the arena. Depths are those of the small tasks; widths follow from the budget. */
const table = {
  elman: { ...headless, ...recurrent('rnn') },
  gru: { ...headless, ...recurrent('gru') },
  lstm: { ...headless, ...recurrent('lstm') },
  'lstm-block': { ...small, ...recurrent('lstm', true) },
  transformer: { ...rotating, ...model(attending(true), swiglu, withPositions) },
  gpt: {
    ...small,
    ...model(attending(false), plain(4), (config) => ({
      norm: (scope) => new LayerNorm(scope.child('norm'), config.embeddingDim),
      learnedPositions: config.positions,
    })),
  },
  mamba: {
    ...headless,
    ...model(
      (scope, config) =>
        new MambaMixer(scope, {
          dim: config.embeddingDim,
          innerDim: innerDim(config, 2),
          numBlocks: config.numBlocks,
        }),
      undefined,
    ),
  },
  retnet: { ...rotating, ...model(retention, plain(2), withPositions) },
  'linear-attention': {
    ...small,
    ...model(gatedLinear, swiglu),
  },
  'gated-deltanet[0:1]': { ...small, ...delta('[0,1]') },
  'gated-deltanet[-1:1]': { ...small, ...delta('[-1,1]') },
  minlstm: {
    ...headless,
    ...model(
      (scope, { embeddingDim, numBlocks }) => new MinLstmMixer(scope, embeddingDim, numBlocks),
      swiglu,
    ),
  },
  'xlstm[1:0]': { ...small, ...xlstm('[1:0]') },
  'xlstm[0:1]': { ...small, ...xlstm('[0:1]') },
  'xlstm[1:1]': { ...small, ...xlstm('[1:1]') },
  'xlstm[7:1]': { ...small, numBlocks: 8, ...xlstm('[7:1]') },
} as const satisfies Record<string, Contestant>;

export type ContestantName = keyof typeof table;
export const contestants: Readonly<Record<ContestantName, Contestant>> = table;
export const contestantNames = Object.keys(table) as ContestantName[];

/** Names that `stackOf` takes besides `xLSTM[a:b]`. */
export const stackNames = contestantNames.filter((name) => !name.startsWith('xlstm'));

const XLSTM = /^xlstm\s*\[\s*\d+\s*:\s*\d+\s*\]$/i;

export const isStackName = (name: string): boolean =>
  XLSTM.test(name) || (stackNames as readonly string[]).includes(name.toLowerCase());

/** The layers of a model of usual widths, [B, T, dim] to [B, T, dim]. Throws a config error where sizes do not fit. */
export function stackOf(
  scope: Scope,
  {
    blocks,
    dim,
    depth,
    heads,
    window,
  }: { blocks: string; dim: number; depth: number; heads: number; window: number },
): Stack {
  const name = blocks.toLowerCase();
  const contestant = XLSTM.test(name) ? undefined : contestants[name as ContestantName];
  const { stack } = contestant ?? xlstm(name);
  // An xLSTM checks its own heads; models that have none take no notice of their number.
  const multiple = contestant && contestant.numHeads > 1 ? heads * contestant.headMultiple : 1;
  if (dim % multiple !== 0) {
    throw new XlstmError(
      'config',
      `${blocks}: dim: expected a multiple of ${multiple} for ${heads} heads, found ${dim}`,
    );
  }
  return stack(scope, {
    embeddingDim: dim,
    numBlocks: depth,
    numHeads: heads,
    contextLength: window,
    positions: window,
    expansion: 1,
  });
}
