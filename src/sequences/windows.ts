import { checkNames, checkOption, checkWhole } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import type { SequenceExample, StepValues } from './examples.ts';

/** One long sequence with what belongs to each of its steps. */
export interface Series {
  /** The numbers of each step: [T] of [inputs]. */
  readonly inputs: ArrayLike<StepValues>;
  /** The outputs or the class of each step, [T]; null where there is none. */
  readonly targets: ArrayLike<StepValues | string | null>;
}

/** How a series is cut. */
export interface WindowOptions {
  /** Steps of a window. */
  readonly length: number;
  /** Steps from the start of one window to the start of the next. Default: `length`. */
  readonly stride?: number;
  /** A step's target is that of so many steps later: 1 teaches to forecast the next step. Default: 0. */
  readonly horizon?: number;
  /** One target for each window, that of its last step, for a model that pools. Default: false. */
  readonly last?: boolean;
}

/**
 * Cuts a series into examples of equal length; steps that do not fill a window are left out. Throws a data error where it
 * is shorter than one window, a usage error for an option that is not right or for targets that are not as many as steps.
 *
 * @param series Inputs and targets of all steps.
 */
export function windows({ inputs, targets }: Series, options: WindowOptions): SequenceExample[] {
  checkNames('windows', options, ['length', 'stride', 'horizon', 'last']);
  const { length, stride = length, horizon = 0, last = false } = options;
  checkWhole('length', length, 1);
  checkWhole('stride', stride, 1);
  checkWhole('horizon', horizon, 0);
  checkOption(
    inputs.length === targets.length,
    'targets',
    `one for each of the ${inputs.length} steps`,
    targets.length,
  );
  const found: SequenceExample[] = [];
  for (let start = 0; start + length + horizon <= inputs.length; start += stride) {
    const end = start + length;
    found.push({
      inputs: slice(inputs, start, end),
      targets: last
        ? (targets[end - 1 + horizon] as StepValues | string)
        : slice(targets, start + horizon, end + horizon),
    });
  }
  if (found.length > 0) return found;
  throw new XlstmError(
    'data',
    `windows: a window takes ${length + horizon} steps (length ${length}, horizon ${horizon}), the series has ${inputs.length}`,
  );
}

const slice = <T>(values: ArrayLike<T>, start: number, end: number): T[] =>
  Array.from({ length: end - start }, (_, i) => values[start + i]);
