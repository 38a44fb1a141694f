import { formatCount, formatDuration } from '../../../format.ts';
import { compact } from '../../arena/report/format.ts';
import {
  bootstrapMean,
  bootstrapMeasured,
  decided,
  difference,
  type Estimate,
  estimate,
  type Measured,
  type Sampled,
} from '../bootstrap.ts';
import { type PowerLaw, predictedLoss } from '../fit.ts';
import { bootstrapSurface } from '../surface.ts';
import {
  type Analysis,
  type Budget,
  commonBudget,
  largestCommon,
  type ModelFindings,
  trainingsOf,
} from './analysis.ts';

/** One way to hold models side by side: the lower number is ahead. */
export interface Contest {
  readonly id: 'size' | 'law' | Budget | 'context' | 'beyond';
  /** What is equal. */
  readonly title: string;
  /** What the numbers are. */
  readonly unit: string;
  /** The best first. */
  readonly entries: readonly Entry[];
}

export interface Entry {
  readonly model: ModelFindings;
  readonly sampled: Sampled<number>;
  readonly estimate: Estimate;
}

const LOSS = 'nats per token';

/** All contests of which at least two models can tell. */
export function contestsOf(analysis: Analysis): Contest[] {
  return [
    sameTrainings(analysis),
    equalSize(analysis),
    ...(['flops', 'seconds', 'cpuSeconds'] as const).map((budget) => equalBudget(analysis, budget)),
    longerContext(analysis),
    beyondTraining(analysis),
  ].filter((contest) => contest !== undefined && contest.entries.length > 1) as Contest[];
}

function contest(
  head: Pick<Contest, 'id' | 'title' | 'unit'>,
  models: readonly ModelFindings[],
  of: (model: ModelFindings) => Sampled<number> | undefined,
): Contest {
  const entries = models.flatMap((model) => {
    const sampled = of(model);
    return sampled ? [{ model, sampled, estimate: estimate(sampled, (one) => one) }] : [];
  });
  return { ...head, entries: entries.sort((a, b) => a.estimate.value - b.estimate.value) };
}

const lossAt =
  (...resources: readonly number[]) =>
  (law: PowerLaw): number =>
    predictedLoss(law, resources);

const mapped = <A, B>(sampled: Sampled<A> | undefined, to: (one: A) => B): Sampled<B> | undefined =>
  sampled && { value: to(sampled.value), samples: sampled.samples.map(to) };

/**
 * The mean over all sizes and amounts of data with which every model was trained. Draws are the same for all models, so
 * that a difference is that of the same trainings.
 */
function sameTrainings({ models, deviation = 0 }: Analysis): Contest | undefined {
  const trained = models.filter(({ trainings }) => trainings.length > 0);
  const lossesOf = ({ trainings }: ModelFindings): ReadonlyMap<string, Measured> => {
    const byCell = new Map<string, number[]>();
    for (const { record, loss } of trainings) {
      const key = `${record.size} ${record.tokensPerParameter}`;
      byCell.set(key, [...(byCell.get(key) ?? []), loss]);
    }
    return new Map(
      [...byCell].map(([key, losses]) => [
        key,
        { value: mean(losses) as number, deviation: deviation / Math.sqrt(losses.length) },
      ]),
    );
  };
  const losses = new Map(trained.map((model) => [model, lossesOf(model)]));
  const [first] = losses.values();
  const common = [...(first?.keys() ?? [])]
    .filter((key) => [...losses.values()].every((one) => one.has(key)))
    .sort();
  if (common.length === 0) return undefined;
  const sizes = common.map((key) => Number(key.split(' ')[0]));
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)].map((size) => compact(formatCount(size)));
  const title = `mean of the same ${common.length} trainings, ${least} to ${most} parameters`;
  return contest({ id: 'size', title, unit: LOSS }, trained, (model) =>
    bootstrapMeasured(
      common.map((key) => losses.get(model)?.get(key) as Measured),
      'same trainings',
      model.model,
    ),
  );
}

function equalSize(analysis: Analysis): Contest | undefined {
  const largest = largestCommon(analysis);
  if (!largest) return undefined;
  const { size, tokens } = largest;
  const title = `${compact(formatCount(size))} parameters, ${compact(formatCount(tokens))} tokens, by the laws`;
  return contest({ id: 'law', title, unit: LOSS }, analysis.models, ({ surface }) =>
    mapped(surface, lossAt(size, tokens)),
  );
}

function equalBudget(analysis: Analysis, budget: Budget): Contest | undefined {
  const spent = commonBudget(analysis, budget);
  if (spent === undefined) return undefined;
  const title = {
    flops: `${spent.toExponential(1)} operations of training`,
    seconds: `${formatDuration(spent)} of training by the clock`,
    cpuSeconds: `${formatDuration(spent)} of processor time`,
  }[budget];
  return contest({ id: budget, title, unit: LOSS }, analysis.models, ({ curves }) =>
    mapped(curves[budget], lossAt(spent)),
  );
}

/** As at equal size, with the longest context of those that the study has. */
function longerContext({ models, contexts, deviation }: Analysis): Contest | undefined {
  const context = contexts.at(-1);
  if (contexts.length < 2 || context === undefined) return undefined;
  const own = models.map((model) => ({ ...model, trainings: trainingsOf(model.records, context) }));
  const largest = largestCommon({ models: own, context, contexts, deviation });
  if (!largest) return undefined;
  const { size, tokens } = largest;
  const title = `context ${context}, ${compact(formatCount(size))} parameters, ${compact(formatCount(tokens))} tokens`;
  return contest({ id: 'context', title, unit: LOSS }, own, ({ model, trainings }) =>
    mapped(bootstrapSurface(trainings, `${model} at ${context}`, deviation ?? 0), lossAt(size, tokens)),
  );
}

/** The range of places that ends where a sequence of training does, and the last one. */
function change({ positions }: ModelFindings['records'][number], context: number): number | undefined {
  const within = positions?.find(({ to }) => to === context);
  const last = positions?.at(-1);
  return within && last && last.to > context ? last.loss - within.loss : undefined;
}

/** How much the loss rises from the end of the length of training to the last places, over all models of a kind. */
function beyondTraining({ models, context }: Analysis): Contest | undefined {
  const head = {
    id: 'beyond',
    title: 'rise of the loss from the end of the training length to the last half of 32 × as much',
    unit: LOSS,
  } as const;
  return contest(head, models, ({ model, records }) => {
    const changes = records.flatMap((record) =>
      record.context === context ? (change(record, context) ?? []) : [],
    );
    return bootstrapMean(changes, `${model} beyond`);
  });
}

/** Undefined of nothing. */
export const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;

/** One model held against another; below 0: the first is ahead. */
export const against = (a: Entry, b: Entry): Estimate =>
  difference(
    a.sampled,
    (one) => one,
    b.sampled,
    (one) => one,
  );

/** In words, of the first of two. */
export const outcome = (gap: Estimate): 'ahead' | 'behind' | 'not decided' =>
  (({ '-1': 'ahead', '1': 'behind', '0': 'not decided' }) as const)[`${decided(gap)}`];

/** The best xLSTM, and the best of the others; undefined where there is no pair. */
export function leaders({ entries }: Contest): { readonly xlstm: Entry; readonly other: Entry } | undefined {
  const xlstm = entries.find(({ model }) => model.family === 'xlstm');
  const other = entries.find(({ model }) => model.family !== 'xlstm');
  return xlstm && other ? { xlstm, other } : undefined;
}

export const entryOf = ({ entries }: Contest, model: string): Entry | undefined =>
  entries.find((entry) => entry.model.model === model);
