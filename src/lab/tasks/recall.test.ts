import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { nearestNeighbour } from './nearest_neighbour.ts';
import { selectiveCopying } from './selective_copying.ts';
import { examples, readAnswered } from './testing/examples.ts';

describe('nearest-neighbour search', () => {
  it('answers the value of the unit vector with the greatest inner product so far', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { tokens, targets } = nearestNeighbour.sample(new Random(seed), length);
        const symbols = tokens.map((token) => nearestNeighbour.symbols[token]);
        expect(tokens.length).toBe(length - ((length + 1) % 2));
        const angle = (symbol: string): number => {
          expect(symbol).toMatch(/^d\d+$/);
          return (2 * Math.PI * Number(symbol.slice(1))) / 128;
        };
        const reference = angle(symbols[0]);
        expect(targets[0]).toBe(-1);
        let best = Number.NEGATIVE_INFINITY;
        let value = '';
        for (let t = 1; t < tokens.length; t += 2) {
          const similarity = Math.cos(angle(symbols[t]) - reference);
          if (similarity > best + 1e-9) {
            best = similarity;
            value = symbols[t + 1];
          }
          expect(targets[t]).toBe(-1);
          expect(nearestNeighbour.symbols[targets[t + 1]]).toBe(value);
          expect(value).toMatch(/^v\d+$/);
        }
      }),
    );
  });
});

describe('selective copying', () => {
  it('answers what is no noise', () => {
    fc.assert(
      fc.property(examples([33, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(selectiveCopying, seed, length);
        expect(prompt.at(-1)).toBe('ACT');
        expect(answers).toEqual(prompt.slice(0, -1).filter((symbol) => symbol !== 'NOISE'));
        expect(answers.length).toBe(16);
        expect(size).toBe(length);
      }),
    );
  });
});
