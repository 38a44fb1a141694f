import { describe, expect, it } from 'vitest';
import { linearScale, linearTicks, logScale, logTicks, niceDomain, spread } from './scale.ts';

describe('ticks', () => {
  it('are round numbers within the domain, without the dust of floats', () => {
    expect(linearTicks([0, 1], 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(linearTicks([1.37, 1.82], 5)).toEqual([1.4, 1.5, 1.6, 1.7, 1.8]);
    expect(linearTicks([-0.3, 0.3], 3)).toEqual([-0.2, 0, 0.2]);
    expect(linearTicks([2, 2], 5)).toEqual([2]);
  });

  it('of a logarithmic axis are powers of ten, denser where there is room', () => {
    expect(logTicks([1, 1e4], 6)).toEqual([1, 10, 100, 1000, 10_000]);
    expect(logTicks([0.02, 3], 6)).toEqual([0.03, 0.1, 0.3, 1, 3]);
    expect(logTicks([9, 110], 6)).toEqual([10, 20, 50, 100]);
    expect(logTicks([1, 1e12], 6)).toEqual([1, 100, 1e4, 1e6, 1e8, 1e10, 1e12]);
    expect(logTicks([3, 5], 4)).toEqual([3, 3.5, 4, 4.5, 5]);
  });

  it('the domain ends on ticks', () => {
    expect(niceDomain([1.43, 2.19], 5)).toEqual([1.4, 2.2]);
    expect(niceDomain([0, 1], 5)).toEqual([0, 1]);
    const [low, high] = niceDomain([3, 3], 5);
    expect(low).toBeLessThan(3);
    expect(high).toBeGreaterThan(3);
  });
});

describe('scales', () => {
  it('map the domain onto the range', () => {
    const scale = linearScale([2, 4], [100, 0]);
    expect([2, 3, 4].map(scale.at)).toEqual([100, 50, 0]);
  });

  it('a logarithmic one gives equal ratios equal lengths', () => {
    const scale = logScale([128, 16_384], [0, 70]);
    for (const [k, length] of [128, 256, 512, 1024, 2048, 4096, 8192, 16_384].entries()) {
      expect(scale.at(length)).toBeCloseTo(10 * k, 9);
    }
    expect(() => logScale([0, 1], [0, 1])).toThrow('above 0');
  });

  it('a domain of one value has it in the middle', () => {
    expect(linearScale([7, 7], [0, 10]).at(7)).toBeCloseTo(5, 9);
    expect(logScale([64, 64], [0, 10]).at(64)).toBeCloseTo(5, 9);
  });
});

describe('names at the ends of lines', () => {
  it('stay where they are when they are apart', () => {
    expect(spread([10, 60, 30], 14, [0, 100])).toEqual([10, 60, 30]);
  });

  it('move apart around their middle, in order', () => {
    expect(spread([52, 50, 48], 10, [0, 100])).toEqual([60, 50, 40]);
  });

  it('stay within the plot', () => {
    expect(spread([0, 0, 1], 10, [0, 100])).toEqual([0, 10, 20]);
    expect(spread([100, 99, 98], 10, [0, 100])).toEqual([100, 90, 80]);
  });

  it('push on those that they reach', () => {
    const placed = spread([40, 41, 42, 58], 10, [0, 100]).sort((a, b) => a - b);
    for (let k = 1; k < placed.length; k++)
      expect(placed[k] - placed[k - 1]).toBeGreaterThanOrEqual(10 - 1e-9);
  });
});
