import { answered, defineTask, drawMany, FORMAL, numerals } from './task.ts';

const SYMBOLS = 4;
const ACT = 1;
const POP = 2;
const FIRST_CONTENT = 3;
const FIRST_PUSH = FIRST_CONTENT + SYMBOLS;

/**
 * Content, operations, ACT and the answer fill the length to within one. A push costs two places (itself and its
 * symbol in the answer), a pop none (one more operation, one answer less), a pop of an empty stack one. Pops and
 * pushes are equally likely; the last stack is never empty, or nothing would be asked.
 */
export const stackManipulation = defineTask({
  ...FORMAL,
  name: 'stack-manipulation',
  title: 'Stack manipulation',
  group: 'context-free',
  symbols: [
    'PAD',
    'ACT',
    'POP',
    ...numerals(SYMBOLS, 1).map((symbol) => `ST${symbol}`),
    ...numerals(SYMBOLS, 1).map((symbol) => `PS${symbol}`),
  ],
  chanceAccuracy: 1 / SYMBOLS,
  definition:
    'a stack from bottom to top, then pushes and pops (of an empty stack: nothing); the stack after them is asked.',
  draw(random, length) {
    const stack = drawMany(random, 1 + random.integer(Math.floor((length - 1) / 2)), SYMBOLS, FIRST_CONTENT);
    const prompt = [...stack];
    let room = length - 1 - 2 * stack.length;
    while (room >= 2) {
      const pops = random.integer(2) === 0;
      if (pops && stack.length > 0) {
        stack.pop();
        prompt.push(POP);
      } else if (pops && room > 2) {
        prompt.push(POP);
        room -= 1;
      } else {
        const symbol = random.integer(SYMBOLS);
        stack.push(FIRST_CONTENT + symbol);
        prompt.push(FIRST_PUSH + symbol);
        room -= 2;
      }
    }
    return answered([...prompt, ACT], stack);
  },
});
