import { differentiate, reachable } from '../graph/differentiate.ts';
import { add, divide, minimum, multiply, squareRoot } from '../graph/elementwise.ts';
import { crossEntropy } from '../graph/loss.ts';
import { type AdamwOptions, adamw } from '../graph/optimizer.ts';
import { plan } from '../graph/plan.ts';
import { sum, sumSquares } from '../graph/reduce.ts';
import { currentId, leaf, leafOf, type Tensor } from '../graph/tensor.ts';
import { accumulate, assign, concat, flatten, zeros } from '../graph/views.ts';
import { type LanguageModel, Pass } from '../nn/layer.ts';
import type { Parameters } from '../nn/parameters.ts';
import { stateLeaves, storeState } from '../nn/programs.ts';
import type { Program } from '../program/program.ts';
import { Region } from '../program/region.ts';

/** What training keeps for each region of parameters, in the same layout. */
export interface Companions {
  readonly parameters: Region;
  readonly gradients: Region;
  readonly firstMoment: Region;
  readonly secondMoment: Region;
  readonly decays: boolean;
}

export const companionsOf = (parameters: Parameters): readonly Companions[] =>
  parameters.regions
    .filter((region) => region.elements > 0)
    .map((region) => ({
      parameters: region,
      gradients: region.mirror(region.name.replace('parameters', 'gradients')),
      firstMoment: region.mirror(region.name.replace('parameters', 'firstMoment')),
      secondMoment: region.mirror(region.name.replace('parameters', 'secondMoment')),
      decays: region === parameters.decayed,
    }));

export interface TrainingShape {
  readonly batch: number;
  readonly length: number;
}

export interface UpdateOptions extends AdamwOptions {
  /** Bound on the norm of the whole gradient; 0: none. */
  readonly clipNorm: number;
}

/** What one Program of a training step does with the gradients. */
export type Stage =
  /** Writes the gradients of a batch. */
  | 'set'
  /** Adds the gradients of a further batch. */
  | 'add'
  /** Writes the gradients of a batch and updates the parameters: a whole step in one call. */
  | 'step';

/**
 * Forward and backward pass over a batch. Inputs: tokens, targets, reset, each [B, T] (targets below 0 do not count);
 * lossWeight [1], one over the number of targets of the step; dropoutSeed [1]; for 'step' those of `updateProgram`.
 * Outputs: loss [1], this batch's part of the mean in nats. The state, if any, is carried on; no gradient flows into it.
 * Without one the sequences start without memory, and what they leave is not even computed.
 */
export function gradientProgram(
  network: LanguageModel,
  companions: readonly Companions[],
  state: Region | undefined,
  { batch, length }: TrainingShape,
  stage: Stage,
  update: UpdateOptions,
): Program {
  const io = new Region('io');
  const tokens = leaf(io, 'tokens', [batch, length]);
  const targets = leaf(io, 'targets', [batch, length]);
  const reset = leaf(io, 'reset', [batch, length]);
  const lossWeight = leaf(io, 'lossWeight', [1]);
  const dropoutSeed = leaf(io, 'dropoutSeed', [1]);

  const before = state ? stateLeaves(state) : {};
  const after = network.forward(tokens, new Pass({ reset, dropoutSeed }), before);
  const loss = multiply(sum(crossEntropy(network.logits(after.y), targets)), lossWeight);

  const backwardFrom = currentId();
  const leaves = parameterLeaves(loss, companions);
  const gradients = differentiate(
    [loss],
    leaves.map(({ parameter }) => parameter),
  );
  const written = leaves.map(({ target, parameter }, i) => {
    const gradient = gradients[i] ?? zeros(parameter.shape);
    return stage === 'add' ? accumulate(target, gradient) : assign(target, gradient);
  });
  const roots = [assign(leaf(io, 'loss', [1]), loss), ...storeState(before, after.state), ...written];
  if (stage === 'step') roots.push(...updateRoots(io, companions, update, written));
  return plan(`train ${batch} × ${length} (${stage})`, { io, roots, backwardFrom });
}

/**
 * Clips the gradients and makes an AdamW step. Inputs, each [1]: learningRate, correction1 = 1 − β1^t, correction2 =
 * 1 − β2^t. Output: gradientNorm [1], before clipping.
 */
export function updateProgram(companions: readonly Companions[], update: UpdateOptions): Program {
  const io = new Region('io');
  return plan('update', { io, roots: updateRoots(io, companions, update, []) });
}

function updateRoots(
  io: Region,
  companions: readonly Companions[],
  update: UpdateOptions,
  after: readonly Tensor[],
): Tensor[] {
  const { clipNorm, weightDecay, ...adam } = update;
  const whole = (region: Region, deps: readonly Tensor[] = []): Tensor =>
    flatten(region, 0, region.elements, deps);
  const gradients = companions.map((c) => whole(c.gradients, after));
  const norm = squareRoot(gradients.map(sumSquares).reduce((a, b) => add(a, b)));
  const factor = clipNorm > 0 ? minimum(1, divide(clipNorm, add(norm, 1e-6))) : add(multiply(norm, 0), 1);
  const learningRate = leaf(io, 'learningRate', [1]);
  const corrections = [leaf(io, 'correction1', [1]), leaf(io, 'correction2', [1])];
  const schedule = concat([learningRate, factor, ...corrections]);
  const steps = companions.map((c, i) =>
    adamw(schedule, gradients[i], whole(c.parameters), [whole(c.firstMoment), whole(c.secondMoment)], {
      ...adam,
      weightDecay: c.decays ? weightDecay : 0,
    }),
  );
  return [assign(leaf(io, 'gradientNorm', [1]), norm), ...steps];
}

/** The parameters that the loss depends on, as the graph's own leaves, each with the place of its gradient. */
function parameterLeaves(
  loss: Tensor,
  companions: readonly Companions[],
): { parameter: Tensor; target: Tensor }[] {
  const found: { parameter: Tensor; target: Tensor }[] = [];
  for (const node of reachable([loss])) {
    const declared = leafOf(node.outputs[0]);
    const owner = declared && companions.find((c) => c.parameters === declared.region);
    if (!owner) continue;
    const parameter = node.outputs[0];
    found.push({ parameter, target: leaf(owner.gradients, declared.name, parameter.shape) });
  }
  return found;
}
