import { answered, defineTask, drawMany, FORMAL, numerals } from './task.ts';

const SYMBOLS = 63;
const symbols = ['PAD', ...numerals(SYMBOLS, 1)];

/** How often each symbol occurs; [0] is not used. */
function occurrences(text: readonly number[]): number[] {
  const counts = new Array<number>(SYMBOLS + 1).fill(0);
  for (const symbol of text) counts[symbol]++;
  return counts;
}

/** Strings in which two symbols lead are drawn again: they have no answer. */
export const majority = defineTask({
  ...FORMAL,
  name: 'majority',
  title: 'Majority',
  group: 'counting',
  symbols,
  chanceAccuracy: 1 / SYMBOLS,
  definition: 'the symbol that occurs most often in a string of 63 symbols; one symbol always leads.',
  draw(random, length) {
    for (;;) {
      const text = drawMany(random, length - 1, SYMBOLS, 1);
      const counts = occurrences(text);
      const highest = Math.max(...counts);
      const leader = counts.indexOf(highest);
      if (counts.lastIndexOf(highest) === leader) return answered(text, [leader]);
    }
  },
});

/**
 * The count is answered as the symbol of that number. Chance is the paper's, one over the symbols; counts crowd
 * together, so a constant answer scores well above it.
 */
export const majorityCount = defineTask({
  ...FORMAL,
  name: 'majority-count',
  title: 'Majority count',
  group: 'counting',
  symbols,
  chanceAccuracy: 1 / SYMBOLS,
  definition: 'how often the most frequent symbol of a string of 63 symbols occurs (63 for more).',
  draw(random, length) {
    const text = drawMany(random, length - 1, SYMBOLS, 1);
    return answered(text, [Math.min(SYMBOLS, Math.max(...occurrences(text)))]);
  },
});
