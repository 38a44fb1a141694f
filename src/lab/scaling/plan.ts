import type { StudyCell } from './cell.ts';
import type { StudyModelName } from './models.ts';
import { SMALL, type StudyOptions, SWEEP_SIZES } from './options.ts';
import { furtherRate, triedRates } from './rates.ts';
import type { StudyRecord } from './records.ts';

export type PlannedCell = StudyCell & { readonly model: StudyModelName };

type Planned = Pick<
  StudyOptions,
  | 'models'
  | 'sizes'
  | 'tokensPerParameter'
  | 'moreTokensPerParameter'
  | 'contexts'
  | 'seeds'
  | 'rates'
  | 'quick'
>;

/** The cells that the learning rates are read from: the smallest sizes, the fewest tokens for each parameter. */
export function sweepCells({ models, sizes, tokensPerParameter, contexts, rates }: Planned): PlannedCell[] {
  const common = { kind: 'rate', tokensPerParameter: Math.min(...tokensPerParameter), seed: 1 } as const;
  const [context] = contexts;
  return models.flatMap((model) =>
    ascending(sizes)
      .slice(0, SWEEP_SIZES)
      .flatMap((size) => rates.map((rate) => ({ ...common, model, size, context, rate }))),
  );
}

/** What the sweep goes on with where the best rate so far of a model and size is the smallest or largest, all by one rule. */
export function furtherSweepCells(options: Planned, records: readonly StudyRecord[]): PlannedCell[] {
  const first = sweepCells(options).filter(({ rate }) => rate === options.rates[0]);
  return first.flatMap((cell) => {
    const tried = triedRates(records, cell);
    // Not before all rates that were planned have ended.
    if (!options.rates.every((planned) => tried.some(({ rate }) => rate === planned))) return [];
    const rate = furtherRate(tried, options.rates);
    return rate === undefined ? [] : [{ ...cell, rate }];
  });
}

/** Every size with all of its data; small ones with several seeds where the context is the first. */
export function trainedCells(options: Planned): PlannedCell[] {
  const { models, sizes, tokensPerParameter, moreTokensPerParameter, contexts, seeds } = options;
  return sizes.flatMap((size) => {
    const ratios = [...tokensPerParameter, ...(size <= SMALL ? moreTokensPerParameter : [])];
    return contexts.flatMap((context, place) =>
      ratios.flatMap((ratio) =>
        Array.from({ length: size <= SMALL && place === 0 ? seeds : 1 }, (_, i) =>
          models.map((model) => ({
            ...{ kind: 'train' as const, model, size, context, seed: i + 1 },
            tokensPerParameter: ratio,
          })),
        ).flat(),
      ),
    );
  });
}

/** Time against length: of every size, in a quick study of the largest alone. */
export function costCells({ models, sizes, quick }: Planned): PlannedCell[] {
  const measured = quick ? ascending(sizes).slice(-1) : sizes;
  return measured.flatMap((size) =>
    models.map((model) => ({
      ...{ kind: 'cost' as const, model, size, seed: 1, context: 0, tokensPerParameter: 0 },
    })),
  );
}

/** Whether a cell is the one of its size and context that long sequences are measured of: the most data, the first seed. */
export function measuresLong(cell: StudyCell, options: Planned): boolean {
  const { kind, seed, size, context, tokensPerParameter } = cell;
  if (kind !== 'train' || seed !== 1) return false;
  return trainedCells(options)
    .filter((other) => other.size === size && other.context === context)
    .every((other) => other.tokensPerParameter <= tokensPerParameter);
}

/** All cells, in the order of their kinds. */
export const plannedCells = (options: Planned): PlannedCell[] => [
  ...sweepCells(options),
  ...trainedCells(options),
  ...costCells(options),
];

const ascending = (sizes: readonly number[]): number[] => [...sizes].sort((a, b) => a - b);
