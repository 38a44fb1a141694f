import { answered, defineTask, drawMany, FORMAL, numerals } from './task.ts';

/** The three regular languages without arithmetic, in the token layout of the official xLSTM experiments. */

const CYCLE = 5;
const STAY = 1;
const FORWARD = 2;
/** Position 0 of the cycle. */
const FIRST_POSITION = 4;

export const cycleNavigation = defineTask({
  ...FORMAL,
  name: 'cycle-navigation',
  title: 'Cycle navigation',
  group: 'regular',
  symbols: ['PAD', 'STAY', '+1', '-1', ...numerals(CYCLE).map((position) => `P${position}`)],
  chanceAccuracy: 1 / CYCLE,
  definition: 'moves on a cycle of five positions that start at position 0; the last position is asked.',
  draw(random, length) {
    const moves = drawMany(random, length - 1, 3, STAY);
    let position = 0;
    for (const move of moves) {
      if (move !== STAY) position += move === FORWARD ? 1 : CYCLE - 1;
    }
    return answered(moves, [FIRST_POSITION + (position % CYCLE)]);
  },
});

const BINARY = ['PAD', 'a', 'b'];

/** The answer is 1 ('a') for yes. */
export const evenPairs = defineTask({
  ...FORMAL,
  name: 'even-pairs',
  title: 'Even pairs',
  group: 'regular',
  symbols: BINARY,
  chanceAccuracy: 1 / 2,
  definition: 'is the number of ab and ba in a string even? It is when the first and the last symbol agree.',
  draw(random, length) {
    const text = drawMany(random, length - 1, 2, 1);
    return answered(text, [text[0] === text[text.length - 1] ? 1 : 2]);
  },
});

/** The answer is 1 ('a') for an even number of b. */
export const parity = defineTask({
  ...FORMAL,
  name: 'parity',
  title: 'Parity',
  group: 'regular',
  symbols: BINARY,
  chanceAccuracy: 1 / 2,
  definition: 'is the number of b in a string even?',
  draw(random, length) {
    const text = drawMany(random, length - 1, 2, 1);
    const odd = text.reduce((sum, symbol) => sum ^ (symbol - 1), 0);
    return answered(text, [1 + odd]);
  },
});
