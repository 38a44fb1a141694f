import { describe, expect, it } from 'vitest';
import { type CostPoint, crossing, crossingWords } from './crossing.ts';

const lengths = [128, 256, 512, 1024, 2048, 4096];
const curve = (cost: (length: number) => number): CostPoint[] =>
  lengths.map((length) => ({ length, cost: cost(length) }));

const level = curve(() => 10);

describe('crossing', () => {
  it('is exact for powers of length, between lengths that were measured', () => {
    // 10 = length / 70 at 700.
    const found = crossing(
      level,
      curve((length) => length / 70),
    );
    expect(found).toMatchObject({ kind: 'from', crossings: 1 });
    expect(found.kind === 'from' && found.length).toBeCloseTo(700, 6);
    expect(crossingWords(found)).toBe('from about 700 tokens on');
  });

  it('lies between the neighbours where the curves are no powers', () => {
    // 10 = 6 + length / 256 at 1024 exactly.
    const found = crossing(
      level,
      curve((length) => 6 + length / 256),
    );
    expect(found.kind === 'from' && found.length).toBeCloseTo(1024, 6);
  });

  it('the other way round it is where the advantage ends', () => {
    const found = crossing(
      curve((length) => length / 70),
      level,
    );
    expect(found.kind).toBe('until');
    expect(crossingWords(found)).toBe('up to about 700 tokens');
  });

  it('says so when one is below everywhere or nowhere', () => {
    expect(
      crossingWords(
        crossing(
          level,
          curve(() => 11),
        ),
      ),
    ).toBe('at every length measured (128 to 4,096)');
    expect(
      crossingWords(
        crossing(
          level,
          curve(() => 9),
        ),
      ),
    ).toBe('at no length measured (128 to 4,096)');
    expect(crossingWords(crossing(level, level))).toBe('at no length measured (128 to 4,096)');
  });

  it('compares only lengths that both have, in any order', () => {
    const rising = curve((length) => length / 70).reverse();
    const found = crossing(level.slice(0, 5), rising.slice(0, 3));
    expect(found).toEqual({ kind: 'always', shortest: 1024, longest: 2048 });
  });

  it('is unknown without a common length', () => {
    expect(crossingWords(crossing(level.slice(0, 2), level.slice(3)))).toContain('unknown');
    expect(crossing([], level).kind).toBe('unknown');
  });

  it('takes the last of several and counts them', () => {
    const zigzag = [9, 11, 9, 9, 9, 11].map((cost, k) => ({ length: lengths[k], cost }));
    const found = crossing(level, zigzag);
    expect(found).toMatchObject({ kind: 'from', crossings: 3 });
    expect(found.kind === 'from' && found.length > 2048 && found.length < 4096).toBe(true);
    expect(crossingWords(found)).toContain('cross 3 times');
  });
});
