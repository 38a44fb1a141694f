import { describe, expect, it } from 'vitest';
import { TokenBatches } from '../data/batches.ts';
import { StepBatches } from './step_batches.ts';

const tokens = Int32Array.from({ length: 2 * 3 * 4 * 5 + 7 }, (_, i) => i);
const options = { batchSize: 2, length: 4, microBatches: 3, seed: 5 };
const alone = { rank: 0, size: 1 };

describe('contiguous', () => {
  it('each micro-batch continues the one at its place in the step before', () => {
    const batches = new StepBatches(tokens, { ...options, order: 'contiguous' }, alone);
    const steps = Array.from({ length: 6 }, () => batches.next());
    for (const [step, list] of steps.entries()) {
      expect(list).toHaveLength(3);
      for (const [i, batch] of list.entries()) {
        expect(batch.continues).toBe(step !== 0 && step !== 5);
        if (!batch.continues) continue;
        const before = steps[step - 1][i].tokens;
        for (const row of [0, 1]) expect(batch.tokens[4 * row]).toBe(before[4 * row + 3] + 1);
      }
    }
    // Lanes that no other micro-batch has.
    expect(new Set(steps.slice(0, 5).flatMap((list) => list.flatMap((b) => [...b.tokens]))).size).toBe(120);
    expect(batches.position()).toEqual({ epoch: 1, batch: 1 });
  });
});

it('shuffled, micro-batches are the batches one after the other, also across an epoch', () => {
  const batches = new StepBatches(tokens, { ...options, order: 'shuffled' }, alone);
  const { batchSize, length, seed } = options;
  const each = new TokenBatches(tokens, { batchSize, length, seed, order: 'shuffled' });
  expect(each.batchesPerEpoch % 3).not.toBe(1);
  for (let step = 0; step < 7; step++) {
    expect(batches.next()).toEqual([each.next(), each.next(), each.next()]);
    expect(batches.position()).toEqual(each.position());
  }
});

describe.each(['contiguous', 'documents', 'shuffled'] as const)('%s', (order) => {
  // Documents of seven tokens.
  const stream = order === 'documents' ? tokens.map((i) => (i % 7 === 0 ? 0 : i)) : tokens;
  const cut = { ...options, order, ...(order === 'documents' && { documentStart: 0 }) };

  it.each([2, 3, 4])('%i ranks have the micro-batches of one process', (size) => {
    const whole = new StepBatches(stream, cut, alone);
    const shares = Array.from({ length: size }, (_, rank) => new StepBatches(stream, cut, { rank, size }));
    for (let step = 0; step < 7; step++) {
      const lists = shares.map((share) => share.next());
      const all = Array.from({ length: 3 }, (_, i) => lists[i % size][Math.floor(i / size)]);
      expect(all).toEqual(whole.next());
      expect(lists.flat()).toHaveLength(3);
    }
    for (const share of shares) expect(share.position()).toEqual(whole.position());
  });

  it('goes on from a position', () => {
    const whole = new StepBatches(stream, cut, alone);
    const later = new StepBatches(stream, cut, alone);
    whole.next();
    later.seek(whole.position());
    expect(later.next()).toEqual(whole.next());
  });
});
