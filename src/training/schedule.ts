import { XlstmError } from '../errors.ts';

export interface ScheduleOptions {
  /** The learning rate at the end of the warm-up. */
  readonly peak: number;
  readonly warmupSteps: number;
  /** The step at which the cosine reaches its end; from there on the rate stays. */
  readonly totalSteps: number;
  /** The rate at the end as a fraction of `peak`. */
  readonly finalFraction: number;
}

/** Learning rate at a step counted from 0. */
export type Schedule = (step: number) => number;

/**
 * Linear from 0 at step 0 to `peak` at `warmupSteps`, then half a cosine down to `peak · finalFraction` at
 * `totalSteps`, constant from there on (Loshchilov and Hutter 2017, without restarts).
 */
export function warmupCosine(options: ScheduleOptions): Schedule {
  const { peak, warmupSteps, totalSteps, finalFraction } = options;
  const check = (sound: boolean, name: string, expected: string, found: number): void => {
    if (!sound) throw new XlstmError('config', `${name}: expected ${expected}, found ${found}`);
  };
  check(Number.isFinite(peak) && peak > 0, 'peak', 'a learning rate above 0', peak);
  check(Number.isInteger(totalSteps) && totalSteps > 0, 'totalSteps', 'a whole number above 0', totalSteps);
  check(
    Number.isInteger(warmupSteps) && warmupSteps >= 0 && warmupSteps <= totalSteps,
    'warmupSteps',
    `a whole number from 0 to totalSteps (${totalSteps})`,
    warmupSteps,
  );
  check(finalFraction >= 0 && finalFraction <= 1, 'finalFraction', 'a fraction from 0 to 1', finalFraction);
  const final = peak * finalFraction;
  return (step) => {
    if (step < warmupSteps) return (peak * step) / warmupSteps;
    if (step >= totalSteps) return final;
    const progress = (step - warmupSteps) / (totalSteps - warmupSteps);
    return final + (peak - final) * 0.5 * (1 + Math.cos(Math.PI * progress));
  };
}
