import { bootstrapLaw, type Sampled } from './bootstrap.ts';
import type { PowerLaw } from './fit.ts';
import type { StudyRecord } from './records.ts';

/** L(N, D) through trainings; undefined where there are too few sizes and amounts of data. */
export const bootstrapSurface = (
  trainings: readonly { readonly record: StudyRecord; readonly loss: number }[],
  name: string,
): Sampled<PowerLaw> | undefined =>
  bootstrapLaw(
    trainings.map(({ record, loss }) => ({ resources: [record.parameters, record.tokens], loss })),
    name,
  );
