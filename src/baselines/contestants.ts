import { gelu } from '../graph/elementwise.ts';
import type { Tensor } from '../graph/tensor.ts';
import { GatedFeedForward, projectAndAdd } from '../nn/feed_forward.ts';
import { smallInit, wangInit, zerosInit } from '../nn/init.ts';
import type { LanguageModel, Pass } from '../nn/layer.ts';
import { Linear } from '../nn/linear.ts';
import { LayerNorm } from '../nn/norm.ts';
import type { Scope } from '../nn/parameters.ts';
import { blocksFromNotation, type LanguageModelOptions, languageModelConfig } from '../xlstm/config.ts';
import { XlstmLanguageModel } from '../xlstm/language_model.ts';
import { AttentionMixer } from './attention_mixer.ts';
import { GatedDeltaMixer } from './gated_delta_mixer.ts';
import { LinearAttentionMixer } from './linear_attention_mixer.ts';
import { MambaMixer } from './mamba_mixer.ts';
import { MinLstmMixer } from './minlstm_mixer.ts';
import type { Mixer } from './mixer.ts';
import { type Architecture, type FeedForward, MixerLanguageModel } from './model.ts';
import { RmsNorm } from './norm.ts';
import { RecurrentLanguageModel } from './recurrent_model.ts';

export interface ContestantConfig {
  readonly vocabSize: number;
  readonly embeddingDim: number;
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

export interface Contestant {
  readonly numBlocks: number;
  readonly numHeads: number;
  /** Widths have to be divisible by so many for each head. */
  readonly headMultiple: 1 | 2;
  readonly build: (scope: Scope, config: ContestantConfig) => LanguageModel;
}

type MixerBuilder = (scope: Scope, config: ContestantConfig) => Mixer;

/** Inner width of a feed-forward that is `factor` times as wide as the model. */
const innerDim = ({ embeddingDim, expansion }: ContestantConfig, factor: number): number =>
  Math.max(1, Math.round(factor * expansion * embeddingDim));

/** SwiGLU of 8/3 (Shazeer 2020): as large as a plain one of 4. */
const swiglu =
  (config: ContestantConfig) =>
  (scope: Scope): FeedForward =>
    new GatedFeedForward(scope, config.embeddingDim, {
      innerDim: innerDim(config, 8 / 3),
      activation: 'swish',
      bias: false,
      dropout: 0,
      numBlocks: config.numBlocks,
    });

/** y = W_down GELU(W_up x + b) + b */
class PlainFeedForward implements FeedForward {
  readonly #up: Linear;
  readonly #down: Linear;

  constructor(scope: Scope, config: ContestantConfig) {
    const { embeddingDim, numBlocks } = config;
    const inner = innerDim(config, 4);
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

/** RMS norms, a mixer and a feed-forward: the frame of the baselines that are not recurrent cells, unless they say otherwise. */
const model =
  (
    mixer: MixerBuilder,
    feedForward: ((config: ContestantConfig) => (scope: Scope) => FeedForward) | undefined,
    more: (config: ContestantConfig) => Partial<Architecture> = () => ({}),
  ) =>
  (scope: Scope, config: ContestantConfig): LanguageModel =>
    new MixerLanguageModel(scope, config, {
      norm: (inner) => new RmsNorm(inner, config.embeddingDim),
      mixer: (inner) => mixer(inner, config),
      feedForward: feedForward?.(config),
      ...more(config),
    });

/** Wider or narrower than its embedding, so that widths that heads divide still meet a budget. */
const recurrent =
  (cell: 'rnn' | 'gru' | 'lstm', perHead = false) =>
  (scope: Scope, config: ContestantConfig): LanguageModel => {
    const { vocabSize, embeddingDim, numBlocks } = config;
    const heads = perHead ? config.numHeads : 1;
    const hiddenDim = heads * Math.max(1, Math.round(innerDim(config, 1) / heads));
    return new RecurrentLanguageModel(scope, {
      cell,
      heads,
      vocabSize,
      embeddingDim,
      hiddenDim,
      layers: numBlocks,
    });
  };

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

const linear =
  (decay: 'gated' | 'retention'): MixerBuilder =>
  (scope, { embeddingDim, numHeads, numBlocks }) =>
    new LinearAttentionMixer(scope, { dim: embeddingDim, heads: numHeads, numBlocks, decay });

const delta = (eigenvalues: '[0,1]' | '[-1,1]') =>
  model(
    (scope, { embeddingDim, numHeads, numBlocks }) =>
      new GatedDeltaMixer(scope, { dim: embeddingDim, heads: numHeads, numBlocks, eigenvalues }),
    swiglu,
  );

const withPositions = () => ({ needsPositions: true });

/** Inner widths of xLSTM blocks are rounded up to what heads and blocks of the projections need, and no further. */
const xlstm =
  (notation: string) =>
  (scope: Scope, config: ContestantConfig): LanguageModel => {
    const { vocabSize, embeddingDim, numBlocks, numHeads, contextLength, expansion, layers } = config;
    return new XlstmLanguageModel(
      scope,
      languageModelConfig({
        vocabSize,
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
      }),
    );
  };

const small = { numBlocks: 2, numHeads: 4, headMultiple: 1 } as const;
const headless = { ...small, numHeads: 1 } as const;
const rotating = { ...small, headMultiple: 2 } as const;

/** Every model of the arena. Depths are those of the small tasks; widths follow from the budget. */
const table = {
  elman: { ...headless, build: recurrent('rnn') },
  gru: { ...headless, build: recurrent('gru') },
  lstm: { ...headless, build: recurrent('lstm') },
  'lstm-block': { ...small, build: recurrent('lstm', true) },
  transformer: { ...rotating, build: model(attending(true), swiglu, withPositions) },
  gpt: {
    ...small,
    build: model(
      attending(false),
      (config) => (scope) => new PlainFeedForward(scope, config),
      (config) => ({
        norm: (scope) => new LayerNorm(scope.child('norm'), config.embeddingDim),
        learnedPositions: config.positions,
      }),
    ),
  },
  mamba: {
    ...headless,
    build: model(
      (scope, config) =>
        new MambaMixer(scope, {
          dim: config.embeddingDim,
          innerDim: innerDim(config, 2),
          numBlocks: config.numBlocks,
        }),
      undefined,
    ),
  },
  retnet: { ...rotating, build: model(linear('retention'), swiglu, withPositions) },
  'linear-attention': {
    ...small,
    build: model(linear('gated'), swiglu),
  },
  'gated-deltanet[0:1]': { ...small, build: delta('[0,1]') },
  'gated-deltanet[-1:1]': { ...small, build: delta('[-1,1]') },
  minlstm: {
    ...headless,
    build: model(
      (scope, { embeddingDim, numBlocks }) => new MinLstmMixer(scope, embeddingDim, numBlocks),
      swiglu,
    ),
  },
  'xlstm[1:0]': { ...small, build: xlstm('[1:0]') },
  'xlstm[0:1]': { ...small, build: xlstm('[0:1]') },
  'xlstm[1:1]': { ...small, build: xlstm('[1:1]') },
  'xlstm[7:1]': { ...small, numBlocks: 8, build: xlstm('[7:1]') },
} as const satisfies Record<string, Contestant>;

export type ContestantName = keyof typeof table;
export const contestants: Readonly<Record<ContestantName, Contestant>> = table;
export const contestantNames = Object.keys(table) as ContestantName[];
