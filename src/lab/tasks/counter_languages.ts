import { defineTask, NOT_SCORED, type Task } from './task.ts';

/**
 * aⁿbⁿ and aⁿbⁿcⁿ: from the first b on the next symbol is certain, up to the end of the string; there it is asked. A
 * string counts when all of it is right (Gers and Schmidhuber 2001), or the many b after b would count as successes.
 */
function counterLanguage(name: string, title: string, letters: string): Task {
  const end = letters.length + 1;
  return defineTask({
    name,
    title,
    group: 'counting',
    symbols: ['PAD', ...letters, 'END'],
    chanceAccuracy: 0,
    accuracyOf: 'sequences',
    running: false,
    // n = 2: of n = 1 a constant END would be right.
    shortest: 2 * letters.length + 1,
    trainLengths: [2 * letters.length + 1, 128],
    testLengths: [128, 512],
    definition: `${letters.length} letters, each as often as the first; from the second letter on the next symbol is asked.`,
    draw(_random, length) {
      const n = Math.floor((length - 1) / letters.length);
      const tokens = [...letters].flatMap((_, k) => new Array<number>(n).fill(1 + k));
      const targets = tokens.map((_, t) => (t < n ? NOT_SCORED : (tokens[t + 1] ?? end)));
      return { tokens, targets };
    },
  });
}

export const anbn = counterLanguage('anbn', 'AⁿBⁿ', 'ab');
export const anbncn = counterLanguage('anbncn', 'AⁿBⁿCⁿ', 'abc');
