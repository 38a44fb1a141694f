import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { XlstmError } from '../../errors.ts';
import { Random } from '../../random.ts';
import { taskByName, tasks } from './registry.ts';
import type { Task } from './task.ts';

const anyExample = fc
  .tuple(fc.constantFrom(...tasks), fc.nat(), fc.nat(200))
  .map(([task, seed, above]) => ({ task, seed, length: task.shortest + above }));

describe('every task', () => {
  it('stays within its vocabulary and length and asks something', () => {
    fc.assert(
      fc.property(anyExample, ({ task, seed, length }) => {
        const { tokens, targets } = task.sample(new Random(seed), length);
        expect(tokens.length).toBe(targets.length);
        expect(tokens.length).toBeLessThanOrEqual(length);
        expect(tokens.every((token) => Number.isInteger(token) && token >= 0 && token < task.vocabSize)).toBe(
          true,
        );
        expect(
          targets.every((target) => Number.isInteger(target) && target >= -1 && target < task.vocabSize),
        ).toBe(true);
        expect(targets).not.toContain(0);
        expect(targets.some((target) => target > 0)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('is a stream of its seed', () => {
    const stream = (task: Task, seed: number): string[] => {
      const random = new Random(seed);
      return Array.from({ length: 4 }, () =>
        JSON.stringify(task.sample(random, Math.max(40, task.shortest))),
      );
    };
    for (const task of tasks) {
      expect(stream(task, 1)).toEqual(stream(task, 1));
      // Of aⁿbⁿ there is one string of each length.
      if (task.accuracyOf === 'sequences') continue;
      expect(new Set([...stream(task, 1), ...stream(task, 2)]).size).toBe(8);
    }
  });

  it('takes every length that it is trained and tested at, and no smaller one than it says', () => {
    for (const task of tasks) {
      for (const length of [task.shortest, ...task.trainLengths, ...task.testLengths]) {
        expect(task.sample(new Random(length), length).tokens.length).toBeGreaterThan(0);
      }
      for (const length of [task.shortest - 1, task.shortest + 0.5, Number.NaN]) {
        expect(() => task.sample(new Random(0), length)).toThrow(XlstmError);
      }
      expect(task.trainLengths[0]).toBeLessThanOrEqual(task.trainLengths[1]);
      expect(task.testLengths[0]).toBeLessThanOrEqual(task.testLengths[1]);
    }
  });

  it('names its symbols, each once', () => {
    for (const task of tasks) {
      expect(task.symbols[0]).toBe('PAD');
      expect(new Set(task.symbols).size).toBe(task.vocabSize);
      expect(task.describe()).toContain(`${task.title}: `);
    }
  });
});

describe('chance', () => {
  // The most frequent answers score far above the published chance there: majority.test.ts.
  const constant = tasks.filter((task) => task.name !== 'majority-count');

  it.each(constant)('of $name is what a constant answer scores at the test lengths', (task) => {
    const random = new Random(11);
    const [from, to] = task.testLengths;
    const sequences = 3000;
    const asked: number[] = [];
    const answers: Map<number, number>[] = [];
    for (let k = 0; k < sequences; k++) {
      const { targets } = task.sample(random, from + random.integer(to - from + 1));
      const scored = targets.filter((target) => target >= 0);
      const counts = new Map<number, number>();
      for (const target of scored) counts.set(target, (counts.get(target) ?? 0) + 1);
      if (task.accuracyOf === 'sequences') {
        asked.push(1);
        answers.push(new Map(counts.size === 1 ? [[scored[0], 1]] : []));
      } else {
        asked.push(scored.length);
        answers.push(counts);
      }
    }
    const total = asked.reduce((sum, count) => sum + count, 0);
    const kinds = new Set(answers.flatMap((counts) => [...counts.keys()]));
    expect(kinds.size).toBe(task.chanceAccuracy === 0 ? 0 : Math.round(1 / task.chanceAccuracy));
    for (const kind of kinds) {
      const rights = answers.map((counts) => counts.get(kind) ?? 0);
      const share = rights.reduce((sum, right) => sum + right, 0) / total;
      // Answers of one sequence hang together: the error is that of a ratio over independent sequences.
      const squares = rights.reduce((sum, right, k) => sum + (right - share * asked[k]) ** 2, 0);
      expect(Math.abs(share - task.chanceAccuracy)).toBeLessThan((5 * Math.sqrt(squares)) / total);
    }
  });
});

describe('taskByName', () => {
  it('finds every task by its name', () => {
    expect(new Set(tasks.map((task) => task.name)).size).toBe(tasks.length);
    for (const task of tasks) expect(taskByName(task.name)).toBe(task);
    expect(tasks.length).toBe(23);
  });

  it('reads the sizes of recall', () => {
    expect(taskByName('mqar').trainLengths).toEqual([64, 64]);
    expect(taskByName('mqar').vocabSize).toBe(256);
    const task = taskByName('mqar[128,8]');
    expect([task.name, task.trainLengths[0], task.shortest, task.vocabSize]).toEqual([
      'mqar[128,8]',
      128,
      32,
      256,
    ]);
    expect(taskByName('mqar[128,8,1024]').vocabSize).toBe(1024);
    expect(() => taskByName('mqar[16,8]')).toThrow('at least 32, found 16');
  });

  it('says which there are', () => {
    expect(() => taskByName('pairity')).toThrow('no task is called "pairity"');
    try {
      taskByName('pairity');
    } catch (error) {
      expect((error as XlstmError).hint).toContain('parity, modular-arithmetic-brackets');
    }
  });
});
