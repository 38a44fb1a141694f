import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stackManipulation } from './stack_manipulation.ts';
import { examples, readAnswered } from './testing/examples.ts';

/** A linked stack, so that the simulation shares nothing with the generator. */
interface Cell {
  readonly symbol: string;
  readonly below: Cell | null;
}

function simulate(prompt: readonly string[]) {
  let top: Cell | null = null;
  let pops = 0;
  let pushes = 0;
  let emptyPops = 0;
  for (const symbol of prompt) {
    if (symbol === 'POP') {
      pops++;
      if (top === null) emptyPops++;
      else top = (top as Cell).below;
    } else {
      if (symbol.startsWith('PS')) pushes++;
      else expect(pops + pushes).toBe(0);
      top = { symbol: `ST${symbol.slice(2)}`, below: top };
    }
  }
  const stack: string[] = [];
  for (let cell: Cell | null = top; cell !== null; cell = cell.below) stack.unshift(cell.symbol);
  return { stack, pops, pushes, emptyPops };
}

describe('stack manipulation', () => {
  it('agrees with the simulation in the published example', () => {
    const text = 'ST1 ST1 ST3 POP POP PS3 PS3'.split(' ');
    expect(simulate(text).stack.join(' ')).toBe('ST1 ST3 ST3');
  });

  it('answers the simulated stack from bottom to top', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(stackManipulation, seed, length);
        expect(prompt.at(-1)).toBe('ACT');
        expect(answers).toEqual(simulate(prompt.slice(0, -1)).stack);
        expect([length - 1, length]).toContain(size);
      }),
    );
    expect(stackManipulation.vocabSize).toBe(11);
  });

  it('pops as often as it pushes, sometimes from an empty stack', () => {
    const totals = { pops: 0, pushes: 0, emptyPops: 0 };
    for (let seed = 0; seed < 500; seed++) {
      const counts = simulate(readAnswered(stackManipulation, seed, 100).prompt.slice(0, -1));
      totals.pops += counts.pops;
      totals.pushes += counts.pushes;
      totals.emptyPops += counts.emptyPops;
    }
    expect(totals.pops / (totals.pops + totals.pushes)).toBeGreaterThan(0.45);
    expect(totals.pops / (totals.pops + totals.pushes)).toBeLessThan(0.55);
    expect(totals.emptyPops).toBeGreaterThan(10);
  });
});
