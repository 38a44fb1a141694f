import { expect, it } from 'vitest';
import { choiceName, gridChoices, parseValues, randomChoices } from './choices.ts';

it.each([
  ['dim=64,128', { name: 'dim', list: ['64', '128'] }],
  ['--order=shuffled', { name: 'order', list: ['shuffled'] }],
  ['lora=rank=8,rank=16', { name: 'lora', list: ['rank=8', 'rank=16'] }],
  ['data=../a.txt,../b.txt', { name: 'data', list: ['../a.txt', '../b.txt'] }],
  ['beta1=0.5..0.99', { name: 'beta1', from: 0.5, to: 0.99, logarithmic: false }],
  ['learning-rate=1e-4..1e-2:log', { name: 'learning-rate', from: 1e-4, to: 1e-2, logarithmic: true }],
])('%s is understood', (text, expected) => expect(parseValues(text)).toEqual(expected));

it.each(['dim', '=3', 'dim=', 'a=2..1', 'a=0..1:log', 'a=x..1', 'Dim=3'])('%s is refused', (text) =>
  expect(() => parseValues(text)).toThrow(/expected NAME=VALUE,VALUE/),
);

it('a grid has every combination, and no end with a range', () => {
  const options = ['a=1,2', 'b=x,y'].map(parseValues);
  expect(gridChoices(options).map(choiceName)).toEqual(['a=1 b=x', 'a=1 b=y', 'a=2 b=x', 'a=2 b=y']);
  expect(() => gridChoices([parseValues('a=1..2')])).toThrow(/--random|a range is drawn from/);
});

it('random choices lie within their ranges, follow from the seed, and more begin with fewer', () => {
  const options = ['rate=1e-4..1e-2:log', 'share=-1..1', 'dim=64,128'].map(parseValues);
  const choices = randomChoices(options, 400, 3);
  expect(randomChoices(options, 50, 3)).toEqual(choices.slice(0, 50));
  expect(randomChoices(options, 50, 4)).not.toEqual(choices.slice(0, 50));
  const rates = choices.map(({ rate }) => Number(rate));
  expect(Math.min(...rates)).toBeGreaterThanOrEqual(1e-4);
  expect(Math.max(...rates)).toBeLessThanOrEqual(1e-2);
  // As many below as above the middle of the exponents.
  expect(Math.abs(rates.filter((rate) => rate < 1e-3).length - 200)).toBeLessThan(50);
  const shares = choices.map(({ share }) => Number(share));
  expect(Math.abs(shares.reduce((sum, share) => sum + share, 0) / 400)).toBeLessThan(0.1);
  expect(new Set(choices.map(({ dim }) => dim))).toEqual(new Set(['64', '128']));
  expect(randomChoices([parseValues('dim=1,2')], 50, 1)).toHaveLength(2);
});
