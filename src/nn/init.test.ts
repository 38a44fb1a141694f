import { describe, expect, it } from 'vitest';
import { Random } from '../random.ts';
import {
  constantInit,
  linspaceInit,
  normalInit,
  smallInit,
  uniformInit,
  wangInit,
  zerosInit,
} from './init.ts';
import { type Init, Parameters, Scope } from './parameters.ts';

const COUNT = 40_000;
const SHAPE = [200, 200];

const draw = (init: Init, seed = 1): number[] => Array.from(init(new Random(seed), SHAPE));
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const deviation = (values: readonly number[]): number => {
  const center = mean(values);
  return Math.sqrt(mean(values.map((x) => (x - center) ** 2)));
};

/** The formulas of the papers, with numbers put in by hand. */
const normal: readonly (readonly [name: string, init: Init, mean: number, deviation: number])[] = [
  ['normalInit(0.02)', normalInit(0.02), 0, 0.02],
  ['normalInit(0.1, -10)', normalInit(0.1, -10), -10, 0.1],
  ['smallInit(10): √(2 / 50)', smallInit(10), 0, 0.2],
  ['smallInit(1000): √(2 / 5000)', smallInit(1000), 0, 0.02],
  ['wangInit(16, 5): 2 / (5 · 4)', wangInit(16, 5), 0, 0.1],
  ['wangInit(64, 2): 2 / (2 · 8)', wangInit(64, 2), 0, 0.125],
];

describe('initial values', () => {
  it.each(normal)('%s is a normal distribution', (_, init, center, spread) => {
    const values = draw(init);
    expect(values).toHaveLength(COUNT);
    // Five times the deviation of what is estimated from so many numbers.
    expect(Math.abs(mean(values) - center)).toBeLessThan((5 * spread) / Math.sqrt(COUNT));
    expect(Math.abs(deviation(values) / spread - 1)).toBeLessThan(5 / Math.sqrt(2 * COUNT));
    // The shape of the bell: 68.27 % within one deviation, 95.45 % within two, 0.27 % beyond three.
    const within = (deviations: number): number =>
      values.filter((x) => Math.abs(x - center) < deviations * spread).length / COUNT;
    expect(within(1)).toBeCloseTo(0.6827, 1.9);
    expect(within(2)).toBeCloseTo(0.9545, 1.9);
    expect(1 - within(3)).toBeGreaterThan(0.0015);
    expect(1 - within(3)).toBeLessThan(0.0045);
  });

  it.each([0.5, 3])('uniformInit(%d) is uniform between its bounds', (bound) => {
    const values = draw(uniformInit(bound));
    expect(Math.max(...values)).toBeLessThanOrEqual(bound);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-bound);
    for (let tenth = 0; tenth < 10; tenth++) {
      const [from, to] = [bound * (-1 + tenth / 5), bound * (-1 + (tenth + 1) / 5)];
      const share = values.filter((x) => x >= from && x < to).length / COUNT;
      expect(Math.abs(share - 0.1)).toBeLessThan(0.0075);
    }
  });

  it('constants and even spaces', () => {
    const random = new Random(1);
    expect(Array.from(constantInit(-2.5)(random, [2, 2]))).toEqual([-2.5, -2.5, -2.5, -2.5]);
    expect(Array.from(zerosInit(random, [3]))).toEqual([0, 0, 0]);
    expect(Array.from(linspaceInit(3, 6)(random, [4]))).toEqual([3, 4, 5, 6]);
    expect(Array.from(linspaceInit(3, 6)(random, [1]))).toEqual([3]);
  });

  it('is the same for the same seed, another one for another', () => {
    for (const init of [normalInit(1), uniformInit(1)]) {
      expect(draw(init, 7)).toEqual(draw(init, 7));
      expect(draw(init, 7)).not.toEqual(draw(init, 8));
    }
  });
});

describe('weight decay', () => {
  it.each([
    ['token_embedding.weight', true],
    ['blocks.0.xlstm.q_proj.weight', true],
    ['blocks.0.ffn.proj_up.weight', true],
    ['blocks.0.xlstm.conv1d.conv.weight', true],
    ['lm_head.weight', true],
    ['blocks.0.xlstm.igate.bias', false],
    ['blocks.0.xlstm.learnable_skip', false],
    ['blocks.0.xlstm_norm.weight', false],
    ['blocks.0.xlstm.outnorm.weight', false],
    ['post_blocks_norm.weight', false],
  ])('%s: %s', (name, decays) => {
    const parameters = new Parameters();
    const [last, ...scopes] = name.split('.').reverse();
    const scope = scopes.reverse().reduce((outer, part) => outer.child(part), new Scope(parameters));
    scope.parameter(last, [2], zerosInit);
    expect(parameters.list[0].name).toBe(name);
    expect(parameters.list[0].region).toBe(decays ? parameters.decayed : parameters.plain);
    scope.parameter(`${last}_other`, [2], zerosInit, !decays);
    expect(parameters.list[1].region).toBe(decays ? parameters.plain : parameters.decayed);
  });

  it('joined parameters go where their first name says', () => {
    const parameters = new Parameters();
    const part = { shape: [2, 3], init: zerosInit };
    new Scope(parameters).joined(['q.weight', 'k.weight'].map((name) => ({ ...part, name })));
    new Scope(parameters).joined(['q.bias', 'k.bias'].map((name) => ({ ...part, name })));
    const regions = parameters.list.map(({ region }) => region);
    expect(regions).toEqual([parameters.decayed, parameters.decayed, parameters.plain, parameters.plain]);
  });
});
