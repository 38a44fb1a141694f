import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../random.ts';
import { Sampler, type SamplingOptions } from './sampling.ts';
import { TokenWindow } from './token_window.ts';

const nothing = new TokenWindow(1);

const windowOf = (...ids: number[]): TokenWindow => {
  const window = new TokenWindow(64);
  for (const id of ids) window.push(id);
  return window;
};

/** Logits with ties, as rounding makes them. */
const anyLogits = fc
  .array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 60 })
  .map((values) => Float32Array.from(values, (value) => value / 8));

const anyOptions: fc.Arbitrary<SamplingOptions> = fc.record(
  {
    temperature: fc.double({ min: 0.05, max: 4, noNaN: true }),
    topK: fc.integer({ min: 1, max: 70 }),
    topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
    minP: fc.double({ min: 0, max: 1, noNaN: true }),
    repetitionPenalty: fc.double({ min: 0.5, max: 2, noNaN: true }),
    repetitionWindow: fc.integer({ min: 1, max: 5 }),
  },
  { requiredKeys: [] },
);

const probabilities = (logits: ArrayLike<number>, options: SamplingOptions, recent = nothing): number[] => [
  ...new Sampler(logits.length, options).probabilities(Float64Array.from(logits), recent),
];

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const softmax = (logits: ArrayLike<number>, temperature: number): number[] => {
  const max = Math.max(...Array.from(logits));
  const weights = Array.from(logits, (logit) => Math.exp((logit - max) / temperature));
  return weights.map((weight) => weight / sum(weights));
};

/** The documented steps in the plainest way: sort everything. Undefined where rounding decides whether a token stays, or which comes first. */
function expected(
  logits: ArrayLike<number>,
  options: SamplingOptions,
  recent: readonly number[],
): number[] | undefined {
  const { temperature = 1, topK = Number.POSITIVE_INFINITY, topP = 1, minP = 0 } = options;
  const { repetitionPenalty = 1, repetitionWindow = 64 } = options;
  const late = new Set(recent.slice(-repetitionWindow));
  const scores = Array.from(logits, (logit, id) => {
    if (!late.has(id)) return logit;
    return logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
  });
  const order = scores.map((_, id) => id).sort((a, b) => scores[b] - scores[a] || a - b);
  const apart = order.slice(1).map((id, i) => scores[order[i]] - scores[id]);
  if (apart.some((difference) => difference > 0 && difference < 1e-9)) return undefined;
  const top = order.slice(0, topK);
  const all = softmax(
    top.map((id) => scores[id]),
    temperature,
  );
  const kept = new Map<number, number>();
  let before = 0;
  for (const [i, id] of top.entries()) {
    if (topP < 1 && Math.abs(before - topP) < 1e-9) return undefined;
    if (minP > 0 && minP < 1 && Math.abs(all[i] / all[0] - minP) < 1e-9) return undefined;
    if ((topP === 1 || before < topP) && all[i] >= minP * all[0]) kept.set(id, all[i]);
    before += all[i];
  }
  const total = sum([...kept.values()]);
  return scores.map((_, id) => (kept.get(id) ?? 0) / total);
}

describe('Sampler', () => {
  it('follows the documented steps', () => {
    const anyRecent = fc.array(fc.nat({ max: 59 }), { maxLength: 8 });
    fc.assert(
      fc.property(anyLogits, anyOptions, anyRecent, (logits, options, ids) => {
        const recent = ids.map((id) => id % logits.length);
        const found = probabilities(logits, options, windowOf(...recent));
        const wanted = expected(logits, options, recent);
        expect(sum(found)).toBeCloseTo(1, 12);
        wanted?.forEach((p, id) => {
          expect(found[id]).toBeCloseTo(p, 12);
          expect(found[id] > 0).toBe(p > 0);
        });
      }),
      {
        numRuns: 1000,
        // Two logits that a penalty brings next to each other.
        examples: [
          [
            Float32Array.of(-0.25, 0.125, -0.125),
            { topP: 0.3909913161594319, repetitionPenalty: 0.5 + 2 ** -53 },
            [33],
          ],
        ],
      },
    );
  });

  it('gives the softmax of the logits over the temperature', () => {
    const logits = [1, 2, 3, -1];
    for (const temperature of [0.5, 1, 2]) {
      const wanted = softmax(logits, temperature);
      probabilities(logits, { temperature }).forEach((p, id) => {
        expect(p).toBeCloseTo(wanted[id], 14);
      });
    }
  });

  it('keeps k tokens, of equal ones the first', () => {
    fc.assert(
      fc.property(anyLogits, fc.integer({ min: 1, max: 60 }), (logits, topK) => {
        const kept = probabilities(logits, { topK }).filter((p) => p > 0).length;
        expect(kept).toBe(Math.min(topK, logits.length));
      }),
    );
    expect(probabilities([0, 3, 1, 3, 3], { topK: 2 })).toEqual([0, 0.5, 0, 0.5, 0]);
  });

  it('keeps the fewest tokens that reach top-p', () => {
    const logits = [0.5, 0.25, 0.125, 0.125].map(Math.log);
    expect(probabilities(logits, { topP: 0.4 })).toEqual([1, 0, 0, 0]);
    const three = probabilities(logits, { topP: 0.8 });
    expect(three[3]).toBe(0);
    expect(three[0]).toBeCloseTo(4 / 7, 12);
    expect(three[2]).toBeCloseTo(1 / 7, 12);
  });

  it('keeps tokens near the likeliest one with min-p', () => {
    const logits = [0.6, 0.3, 0.1].map(Math.log);
    expect(probabilities(logits, { minP: 0.2 })[2]).toBe(0);
    expect(probabilities(logits, { minP: 0.2 })[0]).toBeCloseTo(2 / 3, 12);
    expect(probabilities(logits, { minP: 0.1 })[2]).toBeCloseTo(0.1, 12);
    expect(probabilities(logits, { minP: 1 })).toEqual([1, 0, 0]);
  });

  it('penalises what came lately, once', () => {
    const logits = [2, -2, 1, 2];
    const found = probabilities(logits, { repetitionPenalty: 2 }, windowOf(0, 1, 0));
    const wanted = softmax([1, -4, 1, 2], 1);
    found.forEach((p, id) => {
      expect(p).toBeCloseTo(wanted[id], 14);
    });
    const off = probabilities(logits, { repetitionPenalty: 2, repetitionWindow: 0 }, windowOf(0, 1, 0));
    expect(off).toEqual(probabilities(logits, {}, nothing));
    const short = probabilities(logits, { repetitionPenalty: 2, repetitionWindow: 1 }, windowOf(0, 1, 3));
    expect(short[0]).toBeCloseTo(softmax([2, -2, 1, 1], 1)[0], 14);
  });

  it('is greedy at temperature 0 and with top-k 1', () => {
    fc.assert(
      fc.property(anyLogits, (logits) => {
        const best = logits.indexOf(Math.max(...logits));
        expect(new Sampler(logits.length, { temperature: 0 }).sample(logits, nothing)).toBe(best);
        expect(new Sampler(logits.length, { topK: 1 }).sample(logits, nothing)).toBe(best);
        expect(probabilities(logits, { temperature: 0 })[best]).toBe(1);
      }),
    );
    const penalised = new Sampler(3, { temperature: 0, repetitionPenalty: 4 });
    expect(penalised.sample(new Float32Array([3, 2, 1]), windowOf(0))).toBe(1);
  });

  it('draws the same tokens from the same seed, by their probabilities', () => {
    const random = new Random(4);
    const logits = Float32Array.from({ length: 300 }, () => random.normal(0, 2));
    const options = { seed: 9, temperature: 1.3, topK: 50, topP: 0.9, minP: 0.001 };
    const draw = (seed: number): number[] => {
      const sampler = new Sampler(300, { ...options, seed });
      return Array.from({ length: 20_000 }, () => sampler.sample(logits, nothing));
    };
    const tokens = draw(9);
    expect(draw(9)).toEqual(tokens);
    expect(draw(10)).not.toEqual(tokens);
    const wanted = probabilities(logits, options);
    const counts = new Array<number>(300).fill(0);
    for (const id of tokens) counts[id]++;
    counts.forEach((count, id) => {
      // Five standard deviations of a binomial count.
      const slack = 5 * Math.sqrt(20_000 * wanted[id] * (1 - wanted[id]));
      expect(Math.abs(count - 20_000 * wanted[id])).toBeLessThanOrEqual(slack);
    });
  });

  it('draws other tokens each time without a seed', () => {
    const logits = new Float32Array(1000);
    const draw = (): number[] => {
      const sampler = new Sampler(1000);
      return Array.from({ length: 20 }, () => sampler.sample(logits, nothing));
    };
    expect(draw()).not.toEqual(draw());
  });

  it('never draws beyond its vocabulary', () => {
    const logits = new Float32Array([0, 1, 50]);
    const sampler = new Sampler(2, { seed: 1, repetitionPenalty: 1.5 });
    for (let i = 0; i < 50; i++) expect(sampler.sample(logits, windowOf(2, 1))).toBeLessThan(2);
    expect(new Sampler(2, { temperature: 0 }).sample(logits, nothing)).toBe(1);
  });

  it('refuses options out of range, by name', () => {
    const wrong: [SamplingOptions, string][] = [
      [{ temperature: -1 }, 'temperature: expected a number of at least 0, found -1'],
      [{ temperature: Number.NaN }, 'temperature: expected a number of at least 0, found NaN'],
      [{ topK: 0 }, 'topK: expected a whole number of at least 1, found 0'],
      [{ topK: 1.5 }, 'topK: expected a whole number of at least 1, found 1.5'],
      [{ topP: 0 }, 'topP: expected a number above 0 and at most 1, found 0'],
      [{ topP: 1.1 }, 'topP: expected a number above 0 and at most 1, found 1.1'],
      [{ minP: -0.1 }, 'minP: expected a number from 0 to 1, found -0.1'],
      [{ repetitionPenalty: 0 }, 'repetitionPenalty: expected a number from 1e-6 to 1e6, found 0'],
      [{ repetitionPenalty: 1e308 }, 'repetitionPenalty: expected a number from 1e-6 to 1e6, found 1e+308'],
      [{ repetitionWindow: 2000 }, 'repetitionWindow: expected a whole number from 0 to 1024, found 2000'],
      [{ seed: -3 }, 'seed: expected a whole number of at least 0, found -3'],
    ];
    for (const [options, message] of wrong) {
      expect(() => new Sampler(5, options)).toThrow(expect.objectContaining({ code: 'usage', message }));
    }
  });

  it('refuses logits that are no numbers', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const options of [{ temperature: 0 }, {}]) {
        const sampler = new Sampler(3, options);
        expect(() => sampler.sample(new Float32Array([1, bad, 2]), nothing)).toThrow(
          expect.objectContaining({ code: 'diverged' }),
        );
      }
    }
  });
});
