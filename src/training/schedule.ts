import { checkNames, checkNumber, checkWhole } from '../checks.ts';

/** What `warmupCosine` takes; no option has a default. */
export interface ScheduleOptions {
  /** The learning rate at the end of the warm-up. */
  readonly peak: number;
  /** The step at which the rate reaches `peak`, at most `totalSteps`; 0: no warm-up. */
  readonly warmupSteps: number;
  /** The step at which the cosine reaches its end; from there on the rate stays. */
  readonly totalSteps: number;
  /** The rate at the end as a fraction of `peak`. */
  readonly finalFraction: number;
}

/** Learning rate at a step counted from 0. */
export type Schedule = (step: number) => number;

/** Where a run stood when it was given more steps than planned. */
export interface RunExtension {
  /** Steps made by then. */
  readonly step: number;
  /** The rate that this step had been made with. */
  readonly learningRate: number;
}

/**
 * Linear from 0 at step 0 to `peak` at `warmupSteps`, then half a cosine down to `peak · finalFraction` at
 * `totalSteps`, constant from there on (Loshchilov and Hutter 2017, without restarts). Throws a usage error for an option
 * that is not right.
 */
export function warmupCosine(options: ScheduleOptions): Schedule {
  checkNames('warmupCosine', options, ['peak', 'warmupSteps', 'totalSteps', 'finalFraction']);
  const { peak, warmupSteps, totalSteps, finalFraction } = options;
  checkNumber('peak', peak, 'a learning rate above 0', (value) => value > 0);
  checkWhole('totalSteps', totalSteps, 1);
  checkWhole('warmupSteps', warmupSteps, 0, totalSteps);
  checkNumber('finalFraction', finalFraction, 'a fraction from 0 to 1', (value) => value >= 0 && value <= 1);
  const final = peak * finalFraction;
  return (step) => {
    if (step < warmupSteps) return (peak * step) / warmupSteps;
    if (step >= totalSteps) return final;
    const progress = (step - warmupSteps) / (totalSteps - warmupSteps);
    return final + (peak - final) * 0.5 * (1 + Math.cos(Math.PI * progress));
  };
}

/**
 * The schedule of a run that was given more steps: from the rate that it had it moves linearly, within `rampSteps` steps,
 * to what `schedule`, planned for the new number of steps, says.
 */
export function extendedSchedule(
  schedule: Schedule,
  { step: from, learningRate }: RunExtension,
  rampSteps: number,
): Schedule {
  return (step) => {
    if (step >= from + rampSteps) return schedule(step);
    const part = (step - from) / rampSteps;
    return (1 - part) * learningRate + part * schedule(step);
  };
}
