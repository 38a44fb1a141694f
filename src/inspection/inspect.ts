import { Parameters, Scope } from '../nn/parameters.ts';
import { inferenceProgram, stateRegion } from '../nn/programs.ts';
import { sizeOf } from '../program/region.ts';
import { companionsOf, gradientProgram } from '../training/programs.ts';
import { isSlstmBlock, type LanguageModelConfig } from '../xlstm/config.ts';
import { XlstmLanguageModel } from '../xlstm/language_model.ts';

export interface Layer {
  readonly name: string;
  readonly kind: string;
  readonly parameters: number;
  /** Of one sequence, in float32. */
  readonly stateBytes: number;
}

/** What a configuration amounts to, known without running anything. */
export interface Inspection {
  readonly layers: readonly Layer[];
  readonly parameters: number;
  readonly stateBytes: number;
  /** Reading one token and predicting the next. */
  readonly decoding: { readonly flopsPerToken: number };
  /** Forward and backward pass over a sequence of this length. */
  readonly training: { readonly flopsPerToken: number; readonly length: number };
}

/** Tokens of a training sequence where the configuration leaves it open. */
const LENGTH = 256;

const BYTES = 4;

/** `length`: tokens of a training sequence, if it is not to be the configuration's context length. */
export function inspect(config: LanguageModelConfig, length?: number): Inspection {
  const parameters = new Parameters();
  const network = new XlstmLanguageModel(new Scope(parameters), config);
  const state = stateRegion(network, 1);
  const layers = new Map<string, { kind: string; parameters: number; stateBytes: number }>();
  for (const { name, shape } of parameters.list) {
    const layer = layerOf(name);
    const sofar = layers.get(layer) ?? { kind: kindOf(layer, config), parameters: 0, stateBytes: 0 };
    layers.set(layer, { ...sofar, parameters: sofar.parameters + sizeOf(shape) });
  }
  let stateBytes = 0;
  for (const { name, shape } of state.entries) {
    const layer = layers.get(layerOf(name));
    const bytes = BYTES * sizeOf(shape);
    if (layer) layer.stateBytes += bytes;
    stateBytes += bytes;
  }
  if (config.tieWeights)
    layers.set('lm_head', { kind: 'output, the embedding', parameters: 0, stateBytes: 0 });

  const tokens = length ?? (config.contextLength > 0 ? config.contextLength : LENGTH);
  const update = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clipNorm: 0 };
  const shape = { batch: 1, length: tokens };
  const step = gradientProgram(network, companionsOf(parameters), state, shape, 'set', update);
  return {
    layers: [...layers].map(([name, layer]) => ({ name, ...layer })),
    parameters: parameters.count,
    stateBytes,
    decoding: { flopsPerToken: inferenceProgram(network, state, 1, 1, 'last').flops },
    training: { flopsPerToken: step.flops / tokens, length: tokens },
  };
}

/** The layer that a parameter or a piece of state belongs to: a block, or what comes before and after the blocks. */
const layerOf = (name: string): string =>
  /^(?:xlstm_block_stack\.)?(blocks\.\d+|[^.]+)/.exec(name)?.[1] as string;

function kindOf(layer: string, config: LanguageModelConfig): string {
  const block = /^blocks\.(\d+)$/.exec(layer);
  if (block) return isSlstmBlock(config, Number(block[1])) ? 'sLSTM' : 'mLSTM';
  return { token_embedding: 'embedding', post_blocks_norm: 'norm', lm_head: 'output' }[layer] ?? '';
}
