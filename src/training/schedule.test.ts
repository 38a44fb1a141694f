import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { extendedSchedule, type ScheduleOptions, warmupCosine } from './schedule.ts';

describe('warmupCosine', () => {
  const rate = warmupCosine({ peak: 2, warmupSteps: 10, totalSteps: 110, finalFraction: 0.1 });

  it('warms up linearly from 0, falls along a cosine, then stays', () => {
    expect(rate(0)).toBe(0);
    expect(rate(5)).toBe(1);
    expect(rate(10)).toBe(2);
    expect(rate(35)).toBeCloseTo(0.2 + 1.8 * 0.5 * (1 + Math.SQRT1_2), 12);
    expect(rate(60)).toBeCloseTo(1.1, 12);
    expect(rate(110)).toBeCloseTo(0.2, 12);
    expect(rate(5000)).toBe(rate(110));
  });

  it('rises through the warm-up, falls after it and stays between its ends', () => {
    fc.assert(
      fc.property(
        fc.nat(50),
        fc.integer({ min: 1, max: 200 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (w, d, f) => {
          const at = warmupCosine({ peak: 1, warmupSteps: w, totalSteps: w + d, finalFraction: f });
          for (let step = 0; step < w + d + 5; step++) {
            const change = at(step + 1) - at(step);
            if (step < w) expect(change).toBeGreaterThan(0);
            else expect(change).toBeLessThanOrEqual(1e-15);
            expect(at(step)).toBeLessThanOrEqual(1);
          }
          expect(at(w)).toBe(1);
          expect(at(w + d)).toBe(f);
        },
      ),
    );
  });

  it('names the option that is wrong', () => {
    const sound = { peak: 1, warmupSteps: 1, totalSteps: 10, finalFraction: 0 };
    expect(() => warmupCosine({ ...sound, peak: 0 })).toThrow(/peak: expected .* found 0/);
    expect(() => warmupCosine({ ...sound, peak: Number.NaN })).toThrow(/peak: .* found NaN/);
    expect(() => warmupCosine({ ...sound, totalSteps: 1.5 })).toThrow(/totalSteps: .* found 1.5/);
    expect(() => warmupCosine({ ...sound, warmupSteps: 11 })).toThrow(
      /warmupSteps: .* from 0 to 10, found 11/,
    );
    expect(() => warmupCosine({ ...sound, finalFraction: 2 })).toThrow(/finalFraction: .* found 2/);
    for (const name of Object.keys(sound)) {
      for (const value of [undefined, null, '1', Number.NaN, -1]) {
        const wrong = { ...sound, [name]: value } as unknown as ScheduleOptions;
        expect(() => warmupCosine(wrong), `${name} ${value}`).toThrow(
          expect.objectContaining({ code: 'usage', message: expect.stringContaining(name) }),
        );
      }
    }
  });
});

describe('extendedSchedule', () => {
  const planned = (totalSteps: number) =>
    warmupCosine({ peak: 1, warmupSteps: 10, totalSteps, finalFraction: 0.1 });
  const longer = planned(200);

  it('goes linearly from the rate that a run had to what the longer run has', () => {
    const rate = extendedSchedule(longer, { step: 100, learningRate: planned(100)(100) }, 10);
    expect(rate(100)).toBeCloseTo(0.1, 12);
    expect(rate(101)).toBeCloseTo(0.9 * 0.1 + 0.1 * longer(101), 12);
    expect(rate(105)).toBeCloseTo((0.1 + longer(105)) / 2, 12);
    expect(rate(110)).toBe(longer(110));
    expect(rate(200)).toBe(longer(200));
    for (let step = 100; step < 110; step++) expect(rate(step + 1)).toBeGreaterThan(rate(step));
  });

  it('of a run without a warm-up is that of the longer run at once', () => {
    const rate = extendedSchedule(longer, { step: 100, learningRate: 0.1 }, 0);
    expect(rate(101)).toBe(longer(101));
  });

  it('keeps the rate where more steps change nothing', () => {
    const rate = extendedSchedule(longer, { step: 50, learningRate: longer(50) }, 1);
    expect(rate(51)).toBe(longer(51));
  });
});
