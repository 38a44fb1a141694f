import { defineTask, NOT_SCORED, numerals } from './task.ts';

const DIRECTIONS = 128;
const VALUES = 16;
const FIRST_DIRECTION = 1;
const FIRST_VALUE = FIRST_DIRECTION + DIRECTIONS;

/** Steps between two directions on the circle. */
function distance(a: number, b: number): number {
  const steps = Math.abs(a - b);
  return Math.min(steps, DIRECTIONS - steps);
}

/**
 * Nearest-neighbour search of the xLSTM paper for models that read tokens: unit vectors in the plane are one of 128
 * directions, values in [0, 1] one of 16 levels. Up to 64 vectors with the reference, as in the paper.
 */
export const nearestNeighbour = defineTask({
  name: 'nearest-neighbour',
  title: 'Nearest-neighbour search',
  group: 'recall',
  symbols: [
    'PAD',
    ...numerals(DIRECTIONS).map((direction) => `d${direction}`),
    ...numerals(VALUES).map((value) => `v${value}`),
  ],
  chanceAccuracy: 1 / VALUES,
  accuracyOf: 'answers',
  running: true,
  shortest: 3,
  trainLengths: [3, 127],
  testLengths: [3, 127],
  definition:
    'a direction to look for, then directions with a value each; after each the value of the nearest so far (of equals the first) is asked.',
  draw(random, length) {
    const reference = random.integer(DIRECTIONS);
    const tokens = [FIRST_DIRECTION + reference];
    const targets = [NOT_SCORED];
    let nearest = DIRECTIONS;
    let answer = NOT_SCORED;
    while (tokens.length + 2 <= length) {
      const direction = random.integer(DIRECTIONS);
      const value = FIRST_VALUE + random.integer(VALUES);
      if (distance(reference, direction) < nearest) {
        nearest = distance(reference, direction);
        answer = value;
      }
      tokens.push(FIRST_DIRECTION + direction, value);
      targets.push(NOT_SCORED, answer);
    }
    return { tokens, targets };
  },
});
