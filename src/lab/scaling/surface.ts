import { bootstrapLaw, type Chance, type Sampled } from './bootstrap.ts';
import type { PowerLaw } from './fit.ts';
import type { StudyRecord } from './records.ts';

/** Chance in the loss of a training; undefined where there is none. */
export const lossChance = <P extends { readonly loss: number }>(deviation: number): Chance<P> | undefined =>
  deviation > 0
    ? {
        name: 'seed',
        // A loss is above 0 whatever chance does.
        shaken: (point, random) => ({
          ...point,
          loss: Math.max(point.loss / 2, point.loss + random.normal(0, deviation)),
        }),
      }
    : undefined;

/**
 * L(N, D) through trainings; undefined where there are too few sizes and amounts of data.
 *
 * @param deviation The standard deviation that chance gives the loss of a training.
 */
export const bootstrapSurface = (
  trainings: readonly { readonly record: StudyRecord; readonly loss: number }[],
  name: string,
  deviation: number,
): Sampled<PowerLaw> | undefined =>
  bootstrapLaw(
    trainings.map(({ record, loss }) => ({ resources: [record.parameters, record.tokens], loss })),
    name,
    lossChance(deviation),
  );
