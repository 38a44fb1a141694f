import { describe, expect, it } from 'vitest';
import { parseJson } from '../json.ts';
import { checkReader, expectFrugal, outcome } from '../testing/foreign.ts';
import { mutatedJsonBytes, utf8 } from '../testing/mutate.ts';
import { type Progress, parseProgress } from './run_progress.ts';

const SOURCE = 'training.json';
const read = (bytes: Uint8Array): Progress => parseProgress(parseJson(bytes, SOURCE, 'checkpoint'), SOURCE);

const options = {
  ...{ steps: 100, batchSize: 4, length: 16, microBatches: 2, learningRate: 0.002, warmupSteps: 10 },
  ...{ finalFraction: 0.1, clipNorm: 1 },
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
  ...{ order: 'contiguous', seed: 1, evaluateEvery: 50, checkpointEvery: 50 },
};
const FILE = {
  step: 50,
  position: { epoch: 1, batch: 3 },
  elapsedSeconds: 12.5,
  options,
  source: { data: ['a.txt'] },
};

describe('training.json of foreign origin', { timeout: 300_000 }, () => {
  it('says where a run stands or is one clear error', () => {
    const files = mutatedJsonBytes([FILE, { ...FILE, options: { ...options, order: 'shuffled' } }]);
    checkReader(files, SOURCE, read, (progress) => {
      const { step, position, elapsedSeconds, options: found } = progress;
      const counts = { step, ...position, warmupSteps: found.warmupSteps, seed: found.seed };
      for (const [name, n] of Object.entries(counts)) {
        expect(Number.isSafeInteger(n) && n >= 0, name).toBe(true);
      }
      const { steps, batchSize, length, microBatches, evaluateEvery, checkpointEvery } = found;
      for (const n of [steps, batchSize, length, microBatches, evaluateEvery, checkpointEvery]) {
        expect(Number.isSafeInteger(n) && n >= 1).toBe(true);
      }
      const { learningRate, finalFraction, clipNorm } = found;
      const { epsilon, weightDecay, beta1, beta2 } = found.optimizer;
      for (const n of [elapsedSeconds, finalFraction, weightDecay, clipNorm, beta1, beta2]) {
        expect(Number.isFinite(n) && n >= 0).toBe(true);
      }
      for (const n of [learningRate, epsilon]) expect(Number.isFinite(n) && n > 0).toBe(true);
      expect(Math.max(beta1, beta2)).toBeLessThan(1);
      expect(['contiguous', 'shuffled']).toContain(found.order);
      expect(typeof progress.source).toBe('object');
    });
  });

  it.each<[string, string]>([
    ['nothing', 'null'],
    ['nesting', `{"step":${'['.repeat(200_000)}`],
    ['a long text for a number', JSON.stringify({ ...FILE, step: 't'.repeat(200_000) })],
    ['a large object for a number', JSON.stringify({ ...FILE, step: { list: Array(9_000).fill('item') } })],
    ['steps without end', JSON.stringify({ ...FILE, options: { ...options, steps: 2 ** 60 } })],
  ])('is refused and takes memory by its bytes, not by what it claims: %s', (_, text) => {
    const bytes = utf8(text);
    expect(outcome(SOURCE, () => read(bytes))).toHaveProperty('error');
    expectFrugal(SOURCE, bytes.length, () => read(bytes));
  });
});
