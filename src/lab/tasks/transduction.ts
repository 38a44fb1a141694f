import { answered, defineTask, drawMany, FORMAL, numerals } from './task.ts';

/** Tasks that answer a string with a string: what is asked follows ACT, the input is blank there. */

const ACT = 1;
const FIRST_SYMBOL = 2;
const SYMBOLS = 10;

/** x [ACT] f(x), where f rearranges the ten symbols. */
function rearrangement(
  traits: {
    readonly name: string;
    readonly title: string;
    readonly group: 'context-free' | 'context-sensitive';
    readonly definition: string;
  },
  rearrange: (text: readonly number[]) => number[],
) {
  return defineTask({
    ...FORMAL,
    ...traits,
    symbols: ['PAD', 'ACT', ...numerals(SYMBOLS)],
    chanceAccuracy: 1 / SYMBOLS,
    draw(random, length) {
      const text = drawMany(random, Math.floor((length - 1) / 2), SYMBOLS, FIRST_SYMBOL);
      return answered([...text, ACT], rearrange(text));
    },
  });
}

export const reverseString = rearrangement(
  {
    name: 'reverse-string',
    title: 'Reverse string',
    group: 'context-free',
    definition: 'a string backwards.',
  },
  (text) => text.toReversed(),
);

export const repetition = rearrangement(
  {
    name: 'repetition',
    title: 'Repetition',
    group: 'context-sensitive',
    definition: 'a string once more.',
  },
  (text) => [...text],
);

export const oddsFirst = rearrangement(
  {
    name: 'odds-first',
    title: 'Odds first',
    group: 'context-sensitive',
    definition: 'the first, third, fifth, … symbol of a string, then the second, fourth, …',
  },
  (text) => [...text.filter((_, k) => k % 2 === 0), ...text.filter((_, k) => k % 2 === 1)],
);

/** Its published vocabulary of 11 with chance 1/10 has no room for ACT: the blanks alone ask for the answer. */
export const bucketSort = defineTask({
  ...FORMAL,
  name: 'bucket-sort',
  title: 'Bucket sort',
  group: 'context-sensitive',
  symbols: ['PAD', ...numerals(SYMBOLS)],
  chanceAccuracy: 1 / SYMBOLS,
  definition: 'a string of ten symbols, sorted.',
  draw(random, length) {
    const text = drawMany(random, Math.floor(length / 2), SYMBOLS, 1);
    return answered(
      text,
      text.toSorted((a, b) => a - b),
    );
  },
});

const SET_SYMBOLS = 126;

/** The string goes on as long as it and its answer are sure to fit: the whole is `length` or one less. */
export const set = defineTask({
  ...FORMAL,
  name: 'set',
  title: 'Set',
  group: 'context-sensitive',
  symbols: ['PAD', 'ACT', ...numerals(SET_SYMBOLS)],
  chanceAccuracy: 1 / SET_SYMBOLS,
  definition: 'the different symbols of a string in the order in which they first occur.',
  draw(random, length) {
    const text: number[] = [];
    const distinct = new Set<number>();
    while (text.length + distinct.size + 3 <= length) {
      const symbol = FIRST_SYMBOL + random.integer(SET_SYMBOLS);
      text.push(symbol);
      distinct.add(symbol);
    }
    return answered([...text, ACT], [...distinct]);
  },
});

const MISSING = 1;
const DUPLICATE_SYMBOLS = 9;

export const missingDuplicate = defineTask({
  ...FORMAL,
  name: 'missing-duplicate',
  title: 'Missing duplicate',
  group: 'context-sensitive',
  symbols: ['PAD', 'MIS', ...numerals(DUPLICATE_SYMBOLS)],
  chanceAccuracy: 1 / DUPLICATE_SYMBOLS,
  definition: 'a string twice, in the second one symbol hidden at a random place; the hidden one is asked.',
  draw(random, length) {
    const text = drawMany(random, Math.floor((length - 1) / 2), DUPLICATE_SYMBOLS, FIRST_SYMBOL);
    const place = random.integer(text.length);
    return answered([...text, ...text.with(place, MISSING)], [text[place]]);
  },
});
