import { defineTask, type Task } from './task.ts';

/** All orders of 0 … size − 1, from the first to the last in the order of a dictionary. */
function allPermutations(size: number): number[][] {
  const extend = (start: number[]): number[][] =>
    start.length === size
      ? [start]
      : Array.from({ length: size }, (_, k) => k)
          .filter((k) => !start.includes(k))
          .flatMap((k) => extend([...start, k]));
  return extend([]);
}

function isEven(permutation: readonly number[]): boolean {
  let inversions = 0;
  for (let i = 0; i < permutation.length; i++) {
    for (let j = i + 1; j < permutation.length; j++) if (permutation[i] > permutation[j]) inversions++;
  }
  return inversions % 2 === 0;
}

/**
 * The word problem of a group of permutations: token 1 + k is its k-th element, and at each position the product of
 * all elements so far is asked: the permutation that applies them in the order in which they were read.
 */
function permutationTask(name: string, title: string, elements: readonly number[][]): Task {
  const index = new Map(elements.map((element, k) => [element.join(), k]));
  /** after[p · order + g]: first p, then g. */
  const after = elements.flatMap((p) => elements.map((g) => index.get(p.map((place) => g[place]).join())!));
  const order = elements.length;
  return defineTask({
    name,
    title,
    group: 'state tracking',
    symbols: ['PAD', ...elements.map((element) => element.map((place) => place + 1).join(''))],
    chanceAccuracy: 1 / order,
    accuracyOf: 'answers',
    running: true,
    shortest: 1,
    trainLengths: [32, 32],
    testLengths: [32, 256],
    definition: `the product of all permutations so far, at each position; a group of ${order}.`,
    draw(random, length) {
      const tokens: number[] = [];
      const targets: number[] = [];
      let product = 0; // The identity is the first in the order of a dictionary.
      for (let t = 0; t < length; t++) {
        const element = random.integer(order);
        product = after[product * order + element];
        tokens.push(1 + element);
        targets.push(1 + product);
      }
      return { tokens, targets };
    },
  });
}

export const s3 = permutationTask('s3', 'Permutations S3', allPermutations(3));
export const a5 = permutationTask('a5', 'Even permutations A5', allPermutations(5).filter(isEven));
export const s5 = permutationTask('s5', 'Permutations S5', allPermutations(5));
