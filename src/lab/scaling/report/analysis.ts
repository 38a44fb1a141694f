import type { Contestant } from '../../arena/report/appearance.ts';
import { bootstrap, lawThrough, type Sampled } from '../bootstrap.ts';
import type { FitPoint, PowerLaw } from '../fit.ts';
import type { StudyRecord } from '../records.ts';
import { bootstrapSurface, lossChance } from '../surface.ts';
import { modelsOf } from './appearance.ts';

/** What a training costs, by which models may be held side by side. */
export type Budget = 'flops' | 'seconds' | 'cpuSeconds';

/** A training that came to an end, with its loss in nats per token. */
export interface Training {
  readonly record: StudyRecord;
  readonly loss: number;
}

/** All that is known of a model. */
export interface ModelFindings extends Contestant {
  readonly records: readonly StudyRecord[];
  /** With the first context. */
  readonly trainings: readonly Training[];
  /** L(N, D) = E + A N^−α + B D^−β; undefined where there are too few sizes and amounts of data. */
  readonly surface: Sampled<PowerLaw> | undefined;
  /** L(C) = E + K C^−γ of the trainings that no cheaper one beats. */
  readonly curves: Readonly<Record<Budget, Sampled<PowerLaw> | undefined>>;
}

export interface Analysis {
  readonly models: readonly ModelFindings[];
  /** Tokens of a training sequence of the trainings that are fitted. */
  readonly context: number;
  readonly contexts: readonly number[];
  /** The standard deviation of the loss of a training from seed to seed; undefined where none has two seeds. */
  readonly deviation: number | undefined;
}

const BUDGETS: readonly Budget[] = ['flops', 'seconds', 'cpuSeconds'];

export function analyse(records: readonly StudyRecord[]): Analysis {
  const contexts = [...new Set(records.filter(({ kind }) => kind === 'train').map(({ context }) => context))];
  contexts.sort((a, b) => a - b);
  const [context = 0] = contexts;
  const deviation = seedDeviation(records);
  const models = modelsOf(records).map((contestant): ModelFindings => {
    const own = records.filter(({ model, status }) => model === contestant.model && status === 'done');
    const trainings = trainingsOf(own, context);
    const name = contestant.model;
    const curve = (budget: Budget): Sampled<PowerLaw> | undefined =>
      bootstrap(
        trainings,
        `${name} ${budget}`,
        (drawn, whole?: PowerLaw) => lawThrough(frontier(drawn, budget).map(pointOf(budget)), whole),
        lossChance(deviation ?? 0),
      );
    return {
      ...contestant,
      records: own,
      trainings,
      surface: bootstrapSurface(trainings, `${name} surface`, deviation ?? 0),
      curves: Object.fromEntries(BUDGETS.map((budget) => [budget, curve(budget)])) as ModelFindings['curves'],
    };
  });
  return { models, context, contexts, deviation };
}

/** Of all trainings that were run with several seeds, whatever their model and size. */
export function seedDeviation(records: readonly StudyRecord[]): number | undefined {
  const groups = new Map<string, number[]>();
  for (const { kind, model, size, tokensPerParameter, context, loss } of records) {
    if (kind !== 'train' || !loss) continue;
    const key = `${model} ${size} ${tokensPerParameter} ${context}`;
    groups.set(key, [...(groups.get(key) ?? []), loss.token]);
  }
  let squares = 0;
  let freedom = 0;
  for (const losses of groups.values()) {
    const middle = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    for (const loss of losses) squares += (loss - middle) ** 2;
    freedom += losses.length - 1;
  }
  return freedom > 0 ? Math.sqrt(squares / freedom) : undefined;
}

export const trainingsOf = (records: readonly StudyRecord[], context: number): Training[] =>
  records.flatMap((record) =>
    record.kind === 'train' && record.context === context && record.loss
      ? [{ record, loss: record.loss.token }]
      : [],
  );

const pointOf =
  (budget: Budget) =>
  ({ record, loss }: Training): FitPoint => ({ resources: [record[budget]], loss });

/** The trainings that have a lower loss than all that cost less, the cheapest first. */
export function frontier(trainings: readonly Training[], budget: Budget): Training[] {
  let least = Number.POSITIVE_INFINITY;
  return [...trainings]
    .sort((a, b) => a.record[budget] - b.record[budget] || a.loss - b.loss)
    .filter(({ loss }) => {
      if (loss > least) return false;
      least = loss;
      return true;
    });
}

/** A size and an amount of data that every model was trained with, the largest; undefined where there is none. */
export function largestCommon({
  models,
}: Analysis): { readonly size: number; readonly tokens: number } | undefined {
  const keyOf = ({ record }: Training): string => `${record.size} ${record.tokensPerParameter}`;
  const [first, ...others] = models.filter(({ trainings }) => trainings.length > 0);
  const common = first?.trainings.filter((training) =>
    others.every(({ trainings }) => trainings.some((other) => keyOf(other) === keyOf(training))),
  );
  const largest = common
    ?.map(({ record: { size, tokensPerParameter } }) => ({ size, tokens: size * tokensPerParameter }))
    .sort((a, b) => b.size - a.size || b.tokens - a.tokens);
  return largest?.[0];
}

/** The most of a budget that every model of which there is a curve has spent, and that lies above what each began with. */
export function commonBudget({ models }: Analysis, budget: Budget): number | undefined {
  const spent = models
    .filter(({ curves }) => curves[budget])
    .map(({ trainings }) => trainings.map(({ record }) => record[budget]));
  if (spent.length < 2) return undefined;
  const most = Math.min(...spent.map((values) => Math.max(...values)));
  const least = Math.max(...spent.map((values) => Math.min(...values)));
  return most >= least ? most : undefined;
}
