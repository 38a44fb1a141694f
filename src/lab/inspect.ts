import type { PackedFormat } from '../compute/program/constants.ts';
import { cpuLimits as limits } from '../compute/program/limits.ts';
import { sizeOf } from '../compute/program/region.ts';
import type { Adapter } from '../nn/adapter.ts';
import type { Design } from '../nn/architecture.ts';
import { inferenceProgram, stateRegion } from '../nn/inference_programs.ts';
import { isLanguageModel } from '../nn/layer.ts';
import { Parameters, Scope } from '../nn/parameters.ts';
import { languageModelObjective as objective } from '../training/objective.ts';
import { gradientProgram, optimizerRegions } from '../training/step_programs.ts';

/** A layer of a model, as its parameters and states are named. */
export interface Layer {
  /** "blocks.0", "lm_head" */
  readonly name: string;
  /** Such as "mLSTM", as the architecture describes it; '' where it does not. */
  readonly kind: string;
  /** Numbers that are learned. */
  readonly parameters: number;
  /** Of one sequence, in float32. */
  readonly stateBytes: number;
}

/** What an adapter amounts to, which counts among the parameters too. */
export interface AdapterFacts {
  /** Rows of A and columns of B. */
  readonly rank: number;
  /** What B A is multiplied with is alpha / rank. */
  readonly alpha: number;
  /** The names of the matrices that have one. Left out: all but the output layer's. */
  readonly targets?: readonly string[];
  /** Where the model lies that it was trained over. */
  readonly base: string;
  /** Matrices that have one. */
  readonly matrices: number;
  /** Numbers of A and B together, in float32. */
  readonly parameters: number;
}

/** What a design amounts to, known without running anything. */
export interface Inspection {
  /** Its name. */
  readonly architecture: string;
  /** How matrices are packed. Left out: all parameters are float32. */
  readonly packing?: PackedFormat;
  /** The low-rank matrices that are trained instead of the parameters of a base. Left out: there are none. */
  readonly adapter?: AdapterFacts;
  /** In the order in which parameters are declared; layers without any come last. */
  readonly layers: readonly Layer[];
  /** Numbers that are learned, of all layers. */
  readonly parameters: number;
  /** What they take in memory. */
  readonly parameterBytes: number;
  /** State of one sequence, of all layers, in float32. */
  readonly stateBytes: number;
  /** Of a language model: reading one token and predicting the next. */
  readonly decoding?: {
    /** Floating-point operations; a multiplication and an addition are two, an exponential is 12. */
    readonly flopsPerToken: number;
  };
  /** Of a language model whose weights are not packed: forward and backward pass over a sequence. */
  readonly training?: {
    /** Floating-point operations of both passes, over the tokens of the sequence. */
    readonly flopsPerToken: number;
    /** Tokens of the sequence. */
    readonly length: number;
  };
}

/** Tokens of a training sequence where the configuration leaves it open. */
const LENGTH = 256;

const BYTES = 4;

/**
 * What a design amounts to: layers, parameters, state and, of a language model, the work of a token. `length`: tokens of a
 * training sequence, if it is not to be the configuration's context length (256 where it has none).
 */
export function inspect(design: Design, length?: number): Inspection {
  const parameters = new Parameters(design.packing, design.adapter);
  const network = design.build(new Scope(parameters));
  parameters.checkTargets();
  const { kinds = {}, contextLength = LENGTH } = design.describe();
  const state = stateRegion(network, 1);
  const layers = new Map<string, { parameters: number; stateBytes: number }>();
  const layer = (name: string): { parameters: number; stateBytes: number } => {
    const found = layers.get(name) ?? { parameters: 0, stateBytes: 0 };
    layers.set(name, found);
    return found;
  };
  const told = byEnds(Object.keys(kinds));
  for (const { name, shape } of parameters.list) layer(layerOf(name, told)).parameters += sizeOf(shape);
  for (const { name, shape } of state.entries) layer(layerOf(name, told)).stateBytes += BYTES * sizeOf(shape);
  // Such as an output layer that has no parameters of its own.
  for (const name of Object.keys(kinds)) layer(name);
  const all = [...layers.values()];
  const facts = {
    architecture: design.architecture.name,
    ...(design.packing && { packing: design.packing }),
    ...(design.adapter && { adapter: adapterFacts(design.adapter, parameters) }),
    layers: [...layers].map(([name, counts]) => ({ name, kind: kinds[name] ?? '', ...counts })),
    parameters: parameters.count,
    parameterBytes: parameters.regions.reduce((sum, { bytes }) => sum + bytes, 0),
    stateBytes: all.reduce((sum, { stateBytes }) => sum + stateBytes, 0),
  };
  if (!isLanguageModel(network)) return facts;

  const decoding = { flopsPerToken: inferenceProgram(network, state, 1, 1, 'last', limits).flops };
  if (design.packing !== undefined && !design.adapter) return { ...facts, decoding };
  const tokens = length ?? contextLength;
  const shape = { batchSize: 1, length: tokens };
  const step = gradientProgram(
    { network, objective, shape, state, limits },
    optimizerRegions(parameters),
    'set',
  );
  return {
    ...facts,
    decoding,
    training: { flopsPerToken: step.flops / tokens, length: tokens },
  };
}

/** Layers that an architecture tells of, by their names and by the ends of these, under which states may lie. */
function byEnds(layers: readonly string[]): ReadonlyMap<string, string> {
  const ends = new Map<string, string>();
  for (const layer of layers) {
    for (let at = 0; at >= 0; at = layer.indexOf('.', at + 1)) {
      const end = layer.slice(at === 0 ? 0 : at + 1);
      if (!/^\d+$/.test(end)) ends.set(end, layer);
    }
  }
  return ends;
}

const adapterFacts = (
  { rank, alpha, targets, base }: Adapter,
  { adapted, added }: Parameters,
): AdapterFacts => ({
  ...{ rank, alpha, base },
  ...(targets && { targets }),
  matrices: adapted.length,
  parameters: added.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
});

/**
 * The layer that a parameter or a piece of state belongs to: the one that its architecture tells of, or else the first part of
 * its name that ends in a number, such as a block, or else what holds it.
 */
function layerOf(name: string, told: ReadonlyMap<string, string>): string {
  const parts = name.split('.');
  for (let from = 0; from < parts.length; from++) {
    for (let to = parts.length; to > from; to--) {
      const layer = told.get(parts.slice(from, to).join('.'));
      if (layer !== undefined) return layer;
    }
  }
  return /^(?:.*?\.)??([^.]+\.\d+)(?=\.)/.exec(name)?.[1] ?? parts.at(-2) ?? name;
}
