import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { type TaskBatch, taskBatch } from './batch.ts';
import { anbn } from './counter_languages.ts';
import { s3 } from './permutations.ts';
import { parity } from './regular.ts';
import { predictedTokens, scaledAccuracy, TaskScore } from './score.ts';

describe('scaledAccuracy', () => {
  it('is 0 at chance and 1 at best', () => {
    expect(scaledAccuracy(0.2, 0.2)).toBe(0);
    expect(scaledAccuracy(1, 0.2)).toBe(1);
    expect(scaledAccuracy(0.75, 0.5)).toBe(0.5);
    expect(scaledAccuracy(0.1, 0.2)).toBeCloseTo(-0.125, 12);
  });
});

describe('predictedTokens', () => {
  it('takes the highest logit where a token is asked for', () => {
    const logits = [0, 2, 1, 9, 0, 0, -3, -2, -5, Number.NaN, Number.NaN, Number.NaN];
    expect([...predictedTokens(logits, [0, -1, 2, 1], 3)]).toEqual([1, -1, 1, -1]);
  });
});

const batchOf = (targets: number[], lengths: number[]): TaskBatch => ({
  tokens: new Int32Array(targets.length),
  targets: Int32Array.from(targets),
  reset: new Uint8Array(targets.length),
  lengths: Int32Array.from(lengths),
});

describe('TaskScore', () => {
  it('counts answers by the length of the sequence', () => {
    const score = new TaskScore(parity, [
      [2, 2],
      [3, 4],
      [9, 9],
    ]);
    score.add(batchOf([-1, 1, -1, -1, -1, 2], [2, 3]), [2, 1, 1, 1, 1, 1]);
    score.add(batchOf([-1, -1, 2, -1, -1, 1], [3, 5]), [0, 0, 2, 0, 0, 1]);
    expect(score.buckets().map(({ right, asked }) => [right, asked])).toEqual([
      [1, 1],
      [1, 2],
      [0, 0],
    ]);
    expect(score.buckets()[1].scaled).toBe(0);
    expect(score.buckets()[2].accuracy).toBeNaN();
    expect(score.total()).toEqual({ right: 3, asked: 4, accuracy: 0.75, scaled: 0.5 });
  });

  it('counts answers of a running task by their position', () => {
    const score = new TaskScore(s3, [
      [1, 2],
      [3, 4],
    ]);
    score.add(batchOf([1, 2, 3, 4, 1, 1, -1, -1], [4, 2]), [1, 2, 3, 1, 1, 2, 6, 6]);
    expect(score.buckets().map(({ right, asked }) => [right, asked])).toEqual([
      [3, 4],
      [1, 2],
    ]);
  });

  it('counts whole sequences where the task says so', () => {
    const score = new TaskScore(anbn, [[5, 8]]);
    score.add(batchOf([-1, -1, 2, 3, -1, -1, 2, 3], [5, 5]), [0, 0, 2, 3, 0, 0, 2, 2]);
    expect(score.total()).toEqual({ right: 1, asked: 2, accuracy: 0.5, scaled: 0.5 });
  });

  it('gives the targets themselves full marks', () => {
    for (const task of [parity, s3, anbn]) {
      const score = new TaskScore(task, [[1, task.testLengths[1]]]);
      const batch = taskBatch(task, new Random(1), 50, ...task.testLengths, task.testLengths[1]);
      score.add(batch, batch.targets);
      expect(score.total().scaled).toBe(1);
      expect(score.buckets().reduce((sum, { asked }) => sum + asked, 0)).toBe(score.total().asked);
    }
  });

  it('refuses predictions of another size', () => {
    expect(() => new TaskScore(parity, []).add(batchOf([1], [2]), [1, 1])).toThrow(
      'expected 1 predictions, found 2',
    );
  });
});
