import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { modularArithmetic, modularArithmeticBrackets, solveEquation } from './arithmetic.ts';
import { examples, readAnswered } from './testing/examples.ts';

/** What JavaScript itself makes of an expression, in exact whole numbers, modulo 5. */
function evaluate(symbols: readonly string[]): string {
  const source = symbols.map((symbol) => (/^\d$/.test(symbol) ? `${symbol}n` : symbol)).join(' ');
  const value: unknown = new Function(`return ${source};`)();
  if (typeof value !== 'bigint') throw new Error(`no number: ${source}`);
  return String(((value % 5n) + 5n) % 5n);
}

describe('modular arithmetic without brackets', () => {
  it('has the value of the line', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(modularArithmetic, seed, length);
        expect(prompt.at(-1)).toBe('=');
        expect(prompt.slice(0, -1).join('')).toMatch(/^\d([+*-]\d)*$/);
        expect(answers).toEqual([evaluate(prompt.slice(0, -1))]);
        expect(size).toBe(length - ((length + 1) % 2));
      }),
    );
    expect(modularArithmetic.vocabSize).toBe(10);
  });
});

describe('modular arithmetic with brackets', () => {
  it('has the value of the expression, in the exact length', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(modularArithmeticBrackets, seed, length);
        expect(prompt.at(-1)).toBe('=');
        expect(answers).toEqual([evaluate(prompt.slice(0, -1))]);
        expect(size).toBe(length);
      }),
    );
    expect(modularArithmeticBrackets.vocabSize).toBe(12);
  });

  it('writes every form of its grammar', () => {
    const text = Array.from({ length: 300 }, (_, seed) =>
      readAnswered(modularArithmeticBrackets, seed, 3 + (seed % 38)).prompt.join(''),
    ).join('\n');
    for (const form of [/^\d=/m, /^-\d=/m, /\(\d\)/, /\(-\d\)/, /\)\+\(/, /\)-\(/, /\)\*\(/, /\(\(\(/]) {
      expect(text).toMatch(form);
    }
  });
});

describe('solve equation', () => {
  it('is solved by its answer alone', () => {
    fc.assert(
      fc.property(examples([5, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(solveEquation, seed, length);
        const equation = prompt.slice(0, -3);
        const [equals, value, act] = prompt.slice(-3);
        expect([equals, act]).toEqual(['=', 'ACT']);
        expect(equation.filter((symbol) => symbol === 'x').length).toBe(1);
        const solutions = ['0', '1', '2', '3', '4'].filter(
          (digit) => evaluate(equation.map((symbol) => (symbol === 'x' ? digit : symbol))) === value,
        );
        expect(solutions).toEqual(answers);
        expect(size).toBe(length);
      }),
    );
    expect(solveEquation.vocabSize).toBe(14);
  });

  it('hides digits everywhere, also next to products', () => {
    const texts = Array.from({ length: 400 }, (_, seed) =>
      readAnswered(solveEquation, seed, 30).prompt.join(''),
    );
    expect(texts.filter((text) => /x\*|\*x/.test(text)).length).toBeGreaterThan(20);
    const places = new Set(texts.map((text) => text.indexOf('x')));
    expect(places.size).toBeGreaterThan(12);
  });
});
