import { differentiate, reachable } from '../compute/graph/differentiate.ts';
import {
  add,
  divide,
  minimum,
  multiply,
  squareRoot,
  sum,
  sumColumns,
  sumSquares,
} from '../compute/graph/elementwise.ts';
import { type AdamwOptions, adamw } from '../compute/graph/optimizer.ts';
import { type Precision, plan } from '../compute/graph/plan.ts';
import { leaf, leafOf, type Tensor } from '../compute/graph/tensor.ts';
import { assign, concat, flatten, reshape, split, zeros } from '../compute/graph/views.ts';
import type { EngineLimits } from '../compute/program/limits.ts';
import type { Program } from '../compute/program/program.ts';
import { Region } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { stateLeaves, storeState } from '../nn/inference_programs.ts';
import { type LayerState, type Network, Pass } from '../nn/layer.ts';
import type { Parameters } from '../nn/parameters.ts';
import { BatchInputs, type BatchShape, type Objective, type SequenceBatch } from './objective.ts';

/** What training keeps for each region of parameters, in the same layout. */
export interface OptimizerRegions {
  readonly parameters: Region;
  readonly gradients: Region;
  readonly firstMoment: Region;
  readonly secondMoment: Region;
  readonly decays: boolean;
}

/**
 * Of what is trained; everything else is frozen. Throws a usage error where matrices are packed and there are no adapters:
 * small weights have no gradients, nor have those in panels.
 */
export function optimizerRegions(parameters: Parameters): readonly OptimizerRegions[] {
  if (parameters.list.some(({ inPanels }) => inPanels)) {
    throw new XlstmError(
      'usage',
      'a model that was loaded with precision bf16 cannot be trained: its weights are rounded',
      'Load it without.',
    );
  }
  if (parameters.packed.bytes > 0 && parameters.added.length === 0) {
    throw new XlstmError(
      'usage',
      'a model of small weights (q8, q4, bf16) cannot be trained',
      'Train adapters over it: --lora rank=8,alpha=16, in a program the adapter of a Design. Or train the model that it was made from, and xlstm quantize the result.',
    );
  }
  return parameters.trained
    .filter((region) => region.elements > 0)
    .map((region) => ({
      parameters: region,
      gradients: region.mirror(region.name.replace('parameters', 'gradients')),
      firstMoment: region.mirror(region.name.replace('parameters', 'firstMoment')),
      secondMoment: region.mirror(region.name.replace('parameters', 'secondMoment')),
      decays: region !== parameters.plain,
    }));
}

/** What a Program computes losses of. */
export interface Losses<N extends Network, B extends SequenceBatch> {
  readonly network: N;
  readonly objective: Objective<N, B>;
  readonly shape: BatchShape;
  /** Carried on, without a gradient; undefined: sequences start without memory and what they leave is not computed. */
  readonly state: Region | undefined;
  /** Of the engine that runs it. */
  readonly limits: EngineLimits;
}

/** What gradients are computed of. */
export interface TrainedLosses<N extends Network, B extends SequenceBatch> extends Losses<N, B> {
  /** Of the products of dense layers, forward and backward. Default: f32. */
  readonly precision?: Precision;
}

export interface UpdateOptions {
  readonly optimizer: AdamwOptions;
  /** Bound on the norm of the whole gradient; 0: none. */
  readonly clipNorm: number;
}

/**
 * Forward and backward pass over a batch. Inputs: those of the objective; lossWeight [1], one over the number of targets
 * of the step; dropoutSeed [1]. Outputs: loss [1], this batch's part of the mean. 'set' writes the gradients, 'add' adds
 * those of a further batch. With `update` it is a whole step in one call: what `updateProgram` does follows.
 */
export function gradientProgram<N extends Network, B extends SequenceBatch>(
  computed: TrainedLosses<N, B>,
  regions: readonly OptimizerRegions[],
  stage: 'set' | 'add',
  update?: UpdateOptions,
): Program {
  const { batchSize, length } = computed.shape;
  const io = new Region('io');
  const lossWeight = leaf(io, 'lossWeight', [1]);
  const { losses, before, after } = forward(computed, io, leaf(io, 'dropoutSeed', [1]));
  const loss = multiply(sum(losses), lossWeight);

  const leaves = parameterLeaves(loss, regions);
  if (leaves.length === 0) {
    throw new XlstmError(
      'usage',
      'the loss depends on no parameter of the model',
      'Declare parameters in the scope that the network is built with, and use them in forward.',
    );
  }
  const gradients = differentiate(
    [loss],
    leaves.map(({ parameter }) => parameter),
  );
  const written = leaves.map(({ target, parameter }, i) => {
    const gradient = gradients[i] ?? zeros(parameter.shape);
    return stage === 'add' ? assign(target, add(target, gradient)) : assign(target, gradient);
  });
  // The backward pass reads the state as it was: it is overwritten after it.
  const roots = [assign(leaf(io, 'loss', [1]), loss), ...storeState(before, after), ...written];
  if (update) roots.push(...updateRoots(io, regions, update, written));
  return plan(`train ${batchSize} × ${length} (${update ? 'step' : stage})`, {
    io,
    roots,
    limits: computed.limits,
    precision: computed.precision,
  });
}

/** The losses of a batch, without dropout. Inputs: those of the objective. Outputs: losses, as the objective gives them. */
export function evaluationProgram<N extends Network, B extends SequenceBatch>(
  computed: Losses<N, B>,
): Program {
  const { batchSize, length } = computed.shape;
  const io = new Region('io');
  const { losses, before, after } = forward(computed, io, undefined);
  const output = assign(leaf(io, 'losses', losses.shape), losses);
  return plan(`evaluate ${batchSize} × ${length}`, {
    io,
    roots: [output, ...storeState(before, after)],
    limits: computed.limits,
  });
}

function forward<N extends Network, B extends SequenceBatch>(
  { network, objective, shape, state }: Losses<N, B>,
  io: Region,
  dropoutSeed: Tensor | undefined,
): { losses: Tensor; before: LayerState; after: LayerState } {
  const inputs = new BatchInputs<B>(objective.inputs(network, shape), shape).leaves(io);
  const { reset, lengths } = inputs as { readonly reset?: Tensor; readonly lengths?: Tensor };
  const before: LayerState = state ? stateLeaves(state) : {};
  const pass = new Pass({ reset, lengths, dropoutSeed });
  const { losses, state: after } = objective.losses(network, inputs, pass, before);
  return { losses, before, after };
}

/**
 * Clips the gradients and makes an AdamW step. Inputs, each [1]: learningRate, correction1 = 1 − β1^t, correction2 =
 * 1 − β2^t. Output: gradientNorm [1], before clipping.
 */
export function updateProgram(
  regions: readonly OptimizerRegions[],
  update: UpdateOptions,
  limits: EngineLimits,
): Program {
  const io = new Region('io');
  return plan('update', { io, roots: updateRoots(io, regions, update, []), limits });
}

/**
 * Numbers whose squares are added by themselves, before these sums are added in order: a norm has the same bits, however
 * many processes compute it.
 */
export const NORM_BLOCK = 4096;

/** What a process updates of a region of parameters. */
export interface RegionSlice extends OptimizerRegions {
  /** Its first element among the parameters; those of gradients and moments begin with it. */
  readonly start: number;
  /** At least 1. */
  readonly count: number;
}

/** Of each slice the sums of squares of its blocks: the outputs squares0, squares1, … [blocks]. */
export function squaresProgram(slices: readonly RegionSlice[], limits: EngineLimits): Program {
  const io = new Region('io');
  const roots = slices.map(({ gradients, count }, i) => {
    const squares = concat(blockSquares(gradients, count, []));
    return assign(leaf(io, `squares${i}`, squares.shape), squares);
  });
  return plan('squares', { io, roots, limits });
}

/**
 * What `updateProgram` does, of slices alone. Inputs besides: squares0, squares1, …, of each of the regions the sums of
 * squares of all its blocks.
 */
export function sliceUpdateProgram(
  regions: readonly OptimizerRegions[],
  slices: readonly RegionSlice[],
  update: UpdateOptions,
  limits: EngineLimits,
): Program {
  const io = new Region('io');
  const squares = regions.flatMap(({ parameters: { elements } }, i) => {
    const [whole, rest] = [Math.floor(elements / NORM_BLOCK), elements % NORM_BLOCK];
    const all = leaf(io, `squares${i}`, [whole + (rest > 0 ? 1 : 0)]);
    return whole > 0 && rest > 0 ? split(all, [whole, 1]) : [all];
  });
  const parts = slices.map((slice) => flattened(slice, []));
  return plan('update of slices', { io, roots: clippedAdamw(io, parts, squares, update), limits });
}

function updateRoots(
  io: Region,
  regions: readonly OptimizerRegions[],
  update: UpdateOptions,
  after: readonly Tensor[],
): Tensor[] {
  const whole = regions.map((c) => ({ ...c, start: 0, count: c.gradients.elements }));
  const parts = whole.map((slice) => flattened(slice, after));
  const squares = whole.flatMap(({ gradients, count }) => blockSquares(gradients, count, after));
  return clippedAdamw(io, parts, squares, update);
}

/** Flat arrays of equal size. */
interface UpdatedPart extends Pick<OptimizerRegions, 'decays'> {
  readonly gradients: Tensor;
  readonly parameters: Tensor;
  readonly moments: readonly [first: Tensor, second: Tensor];
}

const flattened = (
  { gradients, parameters, firstMoment, secondMoment, decays, start, count }: RegionSlice,
  after: readonly Tensor[],
): UpdatedPart => ({
  gradients: flatten(gradients, 0, count, after),
  parameters: flatten(parameters, start, count, []),
  moments: [flatten(firstMoment, 0, count, []), flatten(secondMoment, 0, count, [])],
  decays,
});

/** Those of whole blocks [blocks], and that of what is left [1], where there are such. */
function blockSquares(gradients: Region, count: number, after: readonly Tensor[]): Tensor[] {
  const blocks = Math.floor(count / NORM_BLOCK);
  const whole = blocks * NORM_BLOCK;
  const sums: Tensor[] = [];
  if (blocks > 0) {
    const rows = reshape(flatten(gradients, 0, whole, after), [blocks, NORM_BLOCK]);
    sums.push(reshape(sumColumns(multiply(rows, rows)), [blocks]));
  }
  if (count > whole) sums.push(sumSquares(flatten(gradients, whole, count - whole, after)));
  return sums;
}

function clippedAdamw(
  io: Region,
  parts: readonly UpdatedPart[],
  squares: readonly Tensor[],
  { optimizer, clipNorm }: UpdateOptions,
): Tensor[] {
  const norm = squareRoot(
    squares.map((sums) => (sums.cols === 1 ? sums : sum(sums))).reduce((a, b) => add(a, b)),
  );
  const factor = clipNorm > 0 ? minimum(1, divide(clipNorm, add(norm, 1e-6))) : add(multiply(norm, 0), 1);
  const learningRate = leaf(io, 'learningRate', [1]);
  const corrections = [leaf(io, 'correction1', [1]), leaf(io, 'correction2', [1])];
  const schedule = concat([learningRate, factor, ...corrections]);
  const steps = parts.map(({ gradients, parameters, moments, decays }) =>
    adamw(schedule, gradients, parameters, moments, {
      ...optimizer,
      weightDecay: decays ? optimizer.weightDecay : 0,
    }),
  );
  return [assign(leaf(io, 'gradientNorm', [1]), norm), ...steps];
}

/** The parameters that the loss depends on, as the graph's own leaves, each with the place of its gradient. */
function parameterLeaves(
  loss: Tensor,
  regions: readonly OptimizerRegions[],
): { parameter: Tensor; target: Tensor }[] {
  const found: { parameter: Tensor; target: Tensor }[] = [];
  for (const node of reachable([loss])) {
    const [parameter] = Object.values(node.outputs);
    const declared = leafOf(parameter);
    const owner = declared && regions.find((c) => c.parameters === declared.region);
    if (!owner) continue;
    found.push({ parameter, target: leaf(owner.gradients, declared.name, parameter.shape) });
  }
  return found;
}
