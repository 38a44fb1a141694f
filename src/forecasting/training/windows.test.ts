import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { momentsOf } from '../tirex_scale.ts';
import { scaleFrom } from '../tirex2_scale.ts';
import {
  mixedWindows,
  ownVariates,
  ownWindows,
  syntheticWindows,
  type VariateSource,
  variateBatch,
  type WindowReader,
  type WindowSource,
  windowBatch,
} from './windows.ts';

const config: WindowReader = {
  patchSize: 4,
  contextLength: 24,
  hasTrend: () => false,
  scaleOf(row) {
    const { mean, deviation } = momentsOf(row);
    return scaleFrom({ mean, scale: deviation, isBinary: false }, false);
  },
};

const P = 4;
const LENGTH = 6;

/** All windows of a batch as they are seen: values and flags by step. */
const seenOf = (tokens: ArrayLike<number>, b: number) =>
  Array.from({ length: LENGTH * P }, (_, t) => {
    const at = (b * LENGTH + Math.floor(t / P)) * 2 * P + (t % P);
    return { value: tokens[at], isThere: tokens[at + P] === 1 };
  });

describe('a batch of windows', () => {
  it('has the value a patch later as the target of each step, in one scale', () => {
    // Steps that count up: after scaling, a target is the token's own value and the slope of a patch.
    const counting: WindowSource = (_, length) => Float64Array.from({ length }, (_, t) => 5 + t);
    const { tokens, next, counts } = windowBatch(new Random(1), counting, config, 40);
    let seen = 0;
    for (let b = 0; b < 40; b++) {
      const steps = seenOf(tokens, b);
      const there = steps.flatMap(({ isThere }, t) => (isThere ? [t] : []));
      const slope =
        (steps[there[there.length - 1]].value - steps[there[0]].value) / (there[there.length - 1] - there[0]);
      for (const t of there) {
        const at = b * LENGTH * P + t;
        if (Math.abs(steps[t].value + P * slope) > 9.9) continue;
        expect(counts[at]).toBe(1);
        expect(next[at]).toBeCloseTo(steps[t].value + P * slope, 6);
        seen++;
      }
      const mean = there.reduce((sum, t) => sum + steps[t].value, 0) / there.length;
      expect(mean).toBeCloseTo(0, 6);
    }
    expect(seen).toBeGreaterThan(200);
  });

  it('shows nothing of what is to be forecast: another last patch changes no token', () => {
    const random = new Random(3);
    const values = Array.from({ length: 30 }, () => random.normal());
    const ending =
      (by: number): WindowSource =>
      (_, length) =>
        Float64Array.from({ length }, (_, t) => values[t] + (t >= length - P ? by : 0));
    const one = windowBatch(new Random(2), ending(0), config, 8);
    const other = windowBatch(new Random(2), ending(100), config, 8);
    expect(other.tokens).toEqual(one.tokens);
    expect(other.next).not.toEqual(one.next);
  });

  it('counts no missing targets, and no tokens before a series', () => {
    const own = ownWindows([Float64Array.from({ length: 40 }, (_, t) => (t % 5 === 2 ? Number.NaN : t))], P);
    const { tokens, next, counts } = windowBatch(new Random(4), own, config, 60);
    for (let b = 0; b < 60; b++) {
      const first = seenOf(tokens, b).findIndex(({ isThere }) => isThere);
      for (let t = 0; t < LENGTH * P; t++) {
        const at = b * LENGTH * P + t;
        expect(Number.isFinite(next[at])).toBe(true);
        if (t < Math.floor(first / P) * P) expect(counts[at]).toBe(0);
      }
    }
    expect(Array.from(counts).includes(0)).toBe(true);
  });

  it('shows the differences of a window with a trend, and wants those that follow', () => {
    const squares: WindowSource = (_, length) =>
      Float64Array.from({ length }, (_, t) => (t < 9 ? Number.NaN : t * t));
    const plain: WindowReader = {
      ...config,
      hasTrend: (row) => !Number.isNaN(row[0]),
      scaleOf: () => scaleFrom({ mean: 0, scale: 100, isBinary: false }, false),
    };
    const { tokens, next, counts } = windowBatch(new Random(1), squares, plain, 20);
    for (let b = 0; b < 20; b++) {
      const steps = seenOf(tokens, b);
      const first = steps.findIndex(({ isThere }) => isThere);
      expect(steps[first].value).toBe(0);
      for (const [t, { value, isThere }] of steps.entries()) {
        if (isThere && t > first) expect(value).toBeCloseTo((2 * t - 1) / 100, 6);
        const at = b * LENGTH * P + t;
        if (counts[at]) expect(next[at]).toBeCloseTo((2 * (t + P) - 1) / 100, 6);
      }
    }
  });

  it('is the same for the same seed, of synthetic and own series mixed', () => {
    const source = mixedWindows(syntheticWindows, ownWindows([new Float64Array(50).map((_, t) => t % 7)], P));
    const batch = (): unknown => windowBatch(new Random(9), source, config, 16);
    expect(batch()).toEqual(batch());
  });

  it('of variates has the targets first, and shows nothing of their ends, but what is known ahead', () => {
    const row = (by: number, length = 60): Float64Array => Float64Array.from({ length }, (_, t) => by + t);
    const layout = { targets: 2, past: 1, known: 1 };
    const batchOf = (last: number) => {
      const ended = (by: number): Float64Array =>
        row(by).map((value, t) => (t >= 56 ? value + last * Math.sin(t) : value));
      const series = { targets: [ended(0), ended(100)], past: [ended(200)], known: [row(300)] };
      const source: VariateSource = (_, length) => {
        const cut = (rows: readonly Float64Array[]) => rows.map((each) => each.subarray(60 - length));
        return { targets: cut(series.targets), past: cut(series.past), known: cut(series.known) };
      };
      return variateBatch(new Random(5), source, config, layout, 20);
    };
    const [one, other] = [batchOf(0), batchOf(30)];
    expect(other.tokens).toEqual(one.tokens);
    expect(other.next).not.toEqual(one.next);
    const tokens = one.tokens;
    const counts = Array.from(one.counts);
    const [ofTargets, ofOthers] = [counts.slice(0, counts.length / 2), counts.slice(counts.length / 2)];
    expect(ofTargets.filter((count) => count === 1).length).toBeGreaterThan(500);
    expect(ofOthers.every((count) => count === 0)).toBe(true);
    // The last patch of the tokens is hidden in some windows, of what is known in none.
    const lastSeen = (v: number, b: number): boolean => seenOf(tokens, v * 20 + b)[LENGTH * P - 1].isThere;
    const windows = Array.from({ length: 20 }, (_, b) => b);
    expect(windows.every((b) => lastSeen(3, b))).toBe(true);
    for (const v of [0, 1, 2]) expect(windows.filter((b) => !lastSeen(v, b)).length).toBeGreaterThan(3);
  });

  it('shows something of a series that is shorter than what may be hidden at its end', () => {
    const own = ownWindows([Float64Array.from({ length: 14 }, (_, t) => t)], P);
    const { counts } = windowBatch(new Random(6), own, config, 200);
    for (let b = 0; b < 200; b++) {
      const row = Array.from({ length: LENGTH * P }, (_, t) => counts[b * LENGTH * P + t]);
      expect(row.includes(1), `window ${b}`).toBe(true);
    }
  });

  it('of own variates ends where their targets are, in one place of all', () => {
    const values = Float64Array.from({ length: 50 }, (_, t) => t);
    const source = ownVariates([{ targets: [values], past: [values], known: [values] }], P);
    for (let i = 0; i < 30; i++) {
      const { targets, past, known } = source(new Random(i), 28);
      expect([past, known]).toEqual([targets, targets]);
      expect(targets[0].at(-1)).toBeGreaterThanOrEqual(P + 11);
    }
  });
});
