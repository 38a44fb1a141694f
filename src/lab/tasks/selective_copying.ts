import { answered, defineTask, numerals } from './task.ts';

const NOISE = 1;
const ACT = 2;
const FIRST_SYMBOL = 3;
const SYMBOLS = 16;
const REMEMBERED = 16;

/** Selective copying (Jing et al. 2019; Gu and Dao, arXiv 2312.00752) with their 16 symbols to remember. */
export const selectiveCopying = defineTask({
  name: 'selective-copying',
  title: 'Selective copying',
  group: 'recall',
  symbols: ['PAD', 'NOISE', 'ACT', ...numerals(SYMBOLS)],
  chanceAccuracy: 1 / SYMBOLS,
  accuracyOf: 'answers',
  running: false,
  shortest: 2 * REMEMBERED + 1,
  trainLengths: [128, 128],
  testLengths: [128, 256],
  definition: `${REMEMBERED} symbols at random places among noise; they alone are asked, in their order.`,
  draw(random, length) {
    const text = new Array<number>(length - REMEMBERED - 1).fill(NOISE);
    const places = random.permutation(text.length).subarray(0, REMEMBERED).sort();
    const symbols = Array.from(places, () => FIRST_SYMBOL + random.integer(SYMBOLS));
    symbols.forEach((symbol, k) => {
      text[places[k]] = symbol;
    });
    return answered([...text, ACT], symbols);
  },
});
