import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Memory } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { CausalConv1d } from './conv.ts';
import { GatedFeedForward, type GatedFeedForwardOptions } from './feed_forward.ts';
import { zerosInit } from './init.ts';
import { HeadwiseLinear, Linear } from './linear.ts';
import { Model } from './model.ts';
import { LayerNorm } from './norm.ts';
import { type Init, Parameters, Scope } from './parameters.ts';
import { RmsNorm } from './rms_norm.ts';

const engine = createReferenceEngine();
afterEach(() => vi.restoreAllMocks());

const refusal = (message: string) => expect.objectContaining({ code: 'usage', message });
const whole = (least: number): string => `a whole number of at least ${least}`;
/** What no size may be. */
const wrong: readonly unknown[] = [
  0,
  -1,
  0.5,
  2.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 60,
  undefined,
  null,
  '8',
];
const shown = (value: unknown): string => (typeof value === 'string' ? `"${value}"` : String(value));

const feedForward = (dim: number, changes: Record<string, unknown>) => (scope: Scope) =>
  new GatedFeedForward(scope, dim, {
    innerDim: 8,
    activation: 'gelu',
    bias: true,
    dropout: 0,
    numBlocks: 1,
    ...changes,
  } as GatedFeedForwardOptions);

/** Each size of each layer, and the least it may be. */
const sizes: readonly (readonly [
  name: string,
  least: number,
  build: (size: number) => (scope: Scope) => unknown,
])[] = [
  ['Linear: inSize', 1, (n) => (scope) => new Linear(scope, n, 4, { weight: zerosInit })],
  ['Linear: outSize', 1, (n) => (scope) => new Linear(scope, 4, n, { weight: zerosInit, bias: zerosInit })],
  ['HeadwiseLinear: size', 1, (n) => (scope) => new HeadwiseLinear(scope, n, 1, zerosInit)],
  ['HeadwiseLinear: heads', 1, (n) => (scope) => new HeadwiseLinear(scope, 8, n, zerosInit)],
  ['CausalConv1d: dim', 1, (n) => (scope) => new CausalConv1d(scope, n, 4)],
  ['CausalConv1d: taps', 2, (n) => (scope) => new CausalConv1d(scope, 8, n)],
  ['LayerNorm: size', 1, (n) => (scope) => new LayerNorm(scope, n)],
  ['RmsNorm: size', 1, (n) => (scope) => new RmsNorm(scope, n)],
  ['GatedFeedForward: dim', 1, (n) => feedForward(n, {})],
  ['GatedFeedForward: innerDim', 1, (n) => feedForward(4, { innerDim: n })],
  ['GatedFeedForward: numBlocks', 1, (n) => feedForward(4, { numBlocks: n })],
];

describe('sizes of layers', () => {
  it.each(sizes)('%s', (name, least, build) => {
    for (const value of [...wrong, least - 1]) {
      const parameters = new Parameters();
      expect(() => build(value as number)(new Scope(parameters)), shown(value)).toThrow(
        refusal(`${name}: expected ${whole(least)}, found ${shown(value)}`),
      );
      expect(parameters.list).toEqual([]);
    }
    expect(build(least)(new Scope(new Parameters()))).toBeTypeOf('object');
  });

  it.each([
    ['HeadwiseLinear', (scope: Scope) => new HeadwiseLinear(scope, 8, 3, zerosInit)],
    ['LayerNorm', (scope: Scope) => new LayerNorm(scope, 8, { heads: 3 })],
    ['LayerNorm', (scope: Scope) => new LayerNorm(scope, 8, { heads: 3, weight: false })],
    ['RmsNorm', (scope: Scope) => new RmsNorm(scope, 8, 3)],
  ])('%s: heads divide the size', (layer, build) => {
    expect(() => build(new Scope(new Parameters()))).toThrow(
      refusal(`${layer}: heads: expected a divisor of the size 8, found 3`),
    );
  });

  it('options of the feed-forward', () => {
    const build = (changes: Record<string, unknown>) => feedForward(4, changes)(new Scope(new Parameters()));
    for (const dropout of [1, -0.1, Number.NaN, undefined]) {
      expect(() => build({ dropout })).toThrow(
        refusal(`GatedFeedForward: dropout: expected a number from 0 to below 1, found ${dropout}`),
      );
    }
    expect(() => build({ activation: 'tanh' })).toThrow(
      /^GatedFeedForward: activation: expected .*found "tanh"$/,
    );
  });

  it.each<[string, (options: never) => (scope: Scope) => unknown]>([
    ['Linear', (options) => (scope) => new Linear(scope, 4, 4, options)],
    ['LayerNorm', (options) => (scope) => new LayerNorm(scope, 4, options)],
    ['GatedFeedForward', (options) => (scope) => new GatedFeedForward(scope, 4, options)],
  ])('%s: an option that there is not', (layer, build) => {
    const options = { wieght: zerosInit } as never;
    expect(() => build(options)(new Scope(new Parameters()))).toThrow(
      refusal(`${layer}: there is no option "wieght"`),
    );
  });

  it.each([[0], [2.5, 3], [4, Number.NaN], [-1, 2], []])('a parameter of shape %s', (...shape) => {
    const scope = new Scope(new Parameters()).child('mine');
    const message = /^the shape of parameter "mine\.w": expected whole numbers of at least 1, found /;
    expect(() => scope.parameter('w', shape, zerosInit)).toThrow(message);
    expect(() => scope.joined([{ name: 'w', shape, init: zerosInit }])).toThrow(message);
  });
});

describe('what an Init gives', () => {
  const name = 'the initial values of "w"';
  const cases: readonly (readonly [what: string, init: Init, message: string])[] = [
    ['too few', () => [1, 2, 3], `${name} must hold 2 × 2 = 4 numbers, found 3`],
    ['too many', () => new Float64Array(5), `${name} must hold 2 × 2 = 4 numbers, found 5`],
    ['NaN', () => [1, 2, Number.NaN, 4], `${name}: position 2: expected a finite number, found NaN`],
    ['infinite', () => [1, 1 / 0, 3, 4], `${name}: position 1: expected a finite number, found Infinity`],
    ['a hole', () => new Array<number>(4), `${name}: position 0: expected a finite number, found undefined`],
    [
      'nothing',
      () => undefined as unknown as number[],
      `${name}: expected an array of numbers, found undefined`,
    ],
    ['a number', () => 0 as unknown as number[], `${name}: expected an array of numbers, found 0`],
  ];
  it.each(cases)('%s is refused, and the model gives its memory back', (_, init, message) => {
    const allocate = vi.spyOn(engine, 'allocate');
    const build = (scope: Scope) => {
      scope.parameter('w', [2, 2], init);
      return { stateShapes: () => ({}) };
    };
    expect(() => Model.create(engine, build, 1)).toThrow(refusal(message));
    const taken = allocate.mock.results.map(({ value }) => value as Memory);
    expect(taken.map(({ region }) => region.name)).toContain('parameters.plain');
    for (const memory of taken) expect(() => memory.clear()).toThrow(/was freed/);
  });
});
