import { XlstmError } from '../../errors.ts';
import { modularArithmetic, modularArithmeticBrackets, solveEquation } from './arithmetic.ts';
import { associativeRecall } from './associative_recall.ts';
import { anbn, anbncn } from './counter_languages.ts';
import { majority, majorityCount } from './majority.ts';
import { nearestNeighbour } from './nearest_neighbour.ts';
import { a5, s3, s5 } from './permutations.ts';
import { cycleNavigation, evenPairs, parity } from './regular.ts';
import { selectiveCopying } from './selective_copying.ts';
import { stackManipulation } from './stack_manipulation.ts';
import type { Task } from './task.ts';
import { bucketSort, missingDuplicate, oddsFirst, repetition, reverseString, set } from './transduction.ts';

/** Context, pairs and vocabulary of `mqar` where its name does not say them. */
const RECALL = [64, 4, 256] as const;

/** Every task, in the order in which lists show them. */
export const tasks: readonly Task[] = [
  cycleNavigation,
  evenPairs,
  modularArithmetic,
  parity,
  modularArithmeticBrackets,
  solveEquation,
  reverseString,
  stackManipulation,
  bucketSort,
  missingDuplicate,
  oddsFirst,
  repetition,
  set,
  majority,
  majorityCount,
  anbn,
  anbncn,
  s3,
  a5,
  s5,
  recallTask(RECALL, 'mqar'),
  nearestNeighbour,
  selectiveCopying,
];

/** `mqar[128,8]` and `mqar[128,8,1024]` are recall with another context, pairs and vocabulary. */
export function taskByName(name: string): Task {
  const found = tasks.find((task) => task.name === name);
  if (found) return found;
  const sizes = /^mqar\[(\d+),(\d+)(?:,(\d+))?\]$/.exec(name);
  if (sizes) return recallTask([Number(sizes[1]), Number(sizes[2]), Number(sizes[3] ?? RECALL[2])], name);
  throw new XlstmError(
    'usage',
    `no task is called "${name}"`,
    `the tasks: ${tasks.map((task) => task.name).join(', ')}; mqar[context,pairs,vocabulary] sets the sizes of recall`,
  );
}

/** Whether there is a task of a name, which may be any text. */
export function isTask(name: string): boolean {
  try {
    taskByName(name);
    return true;
  } catch {
    return false;
  }
}

function recallTask([context, pairs, vocabulary]: readonly [number, number, number], name: string): Task {
  return { ...associativeRecall({ context, pairs, vocabulary }), name };
}
