import { XlstmError } from '../../errors.ts';
import { Parameters, Scope } from '../../nn/parameters.ts';
import { type ContestantConfig, type ContestantName, contestants } from './contestants.ts';

/** How far from the budget a model may be. */
const TOLERANCE = 0.03;

/**
 * The most parameters that are asked for: with gradients and moments 1.6 GB, beside which activations still fit into the
 * 4 GiB of WebAssembly.
 */
const MOST_PARAMETERS = 100_000_000;

/** Widths are multiples of this, so that rows are whole vectors of the smallest kind. */
const WIDTH_MULTIPLE = 4;

/** Of widths that heads divide, where each head needs a multiple of so many. */
export const widthStep = (heads: number, headMultiple: number): number =>
  leastCommonMultiple(heads * headMultiple, WIDTH_MULTIPLE);

/** Inner widths that may be tried, relative to the published ones. */
const EXPANSIONS = Array.from({ length: 97 }, (_, i) => 0.5 + i / 64);

export interface SizedContestant {
  readonly config: ContestantConfig;
  readonly parameters: number;
}

export type FixedSizes = Partial<Omit<ContestantConfig, 'embeddingDim' | 'expansion'>> & {
  readonly vocabSize: number;
};

export function countParameters(name: ContestantName, config: ContestantConfig): number {
  const parameters = new Parameters();
  contestants[name].build(new Scope(parameters), config);
  return parameters.count;
}

/** Counts the parameters of a contestant of each width and inner width; widths are so many multiples of a step. */
function sizesOf(
  name: ContestantName,
  fixed: FixedSizes,
): (steps: number, expansion: number) => SizedContestant {
  const { numBlocks, numHeads, headMultiple } = contestants[name];
  const base = { numBlocks, numHeads, contextLength: 256, positions: 256, ...fixed };
  const step = widthStep(base.numHeads, headMultiple);
  return (steps, expansion) => {
    const config = { ...base, embeddingDim: steps * step, expansion };
    return { config, parameters: countParameters(name, config) };
  };
}

/** Throws where a budget is smaller or larger than any size of a contestant: far less work than `sizedTo`. */
export function checkBudget(name: ContestantName, budget: number, fixed: FixedSizes): void {
  const least = sizesOf(name, fixed)(1, EXPANSIONS[0]).parameters;
  // Not ">": a NaN is refused, too.
  if (least <= budget * (1 + TOLERANCE) && budget <= MOST_PARAMETERS) return;
  throw new XlstmError(
    'config',
    `${name}: no size has ${budget} parameters; with a vocabulary of ${fixed.vocabSize} sizes go from ${least} to ${MOST_PARAMETERS}`,
    'Take a budget within that range.',
  );
}

/** The configuration of a contestant whose parameter count is within 3 % of the budget. Its depth is fixed. */
export function sizedTo(name: ContestantName, budget: number, fixed: FixedSizes): SizedContestant {
  checkBudget(name, budget, fixed);
  const { fitting, nearest } = fitSize(sizesOf(name, fixed), budget);
  if (fitting) return fitting;
  throw new XlstmError(
    'config',
    `${name}: no size has ${budget} parameters to within 3 %; the nearest has ${nearest.parameters}`,
    'Take a larger budget, a smaller vocabulary or fewer blocks.',
  );
}

/**
 * Of the widths near a budget, and the inner widths that hit it to within 3 %, the one closest to the published
 * proportions; and the one that is nearest to the budget.
 *
 * @param sized A size of so many steps of width and so wide inside, relative to the published proportions.
 */
export function fitSize<S extends { readonly parameters: number }>(
  sized: (steps: number, expansion: number) => S,
  budget: number,
): { readonly fitting: S | undefined; readonly nearest: S } {
  const miss = ({ parameters }: S): number => Math.abs(parameters / budget - 1);
  const middle = firstIndex(1, (steps) => sized(steps, 1).parameters >= budget);
  let fitting: S | undefined;
  let nearest = sized(1, EXPANSIONS[0]);
  let least = Number.POSITIVE_INFINITY;
  for (let steps = Math.max(1, middle - 2); steps <= middle + 1; steps++) {
    for (const expansion of EXPANSIONS) {
      const candidate = sized(steps, expansion);
      const cost = Math.abs(Math.log(expansion)) + (0.1 * miss(candidate)) / TOLERANCE;
      if (miss(candidate) < miss(nearest)) nearest = candidate;
      if (miss(candidate) > TOLERANCE || cost >= least) continue;
      fitting = candidate;
      least = cost;
    }
  }
  return { fitting, nearest };
}

/** The smallest n from `start` on for which a condition that stays true holds. */
function firstIndex(start: number, holds: (n: number) => boolean): number {
  let high = start;
  while (!holds(high)) high *= 2;
  let low = Math.max(start, Math.floor(high / 2));
  while (low < high) {
    const between = Math.floor((low + high) / 2);
    if (holds(between)) high = between;
    else low = between + 1;
  }
  return low;
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
