import type { SearchRecord } from '../records.ts';

/** A record that a search could have written, but for what is said. */
export const aSearchRecord = (changes: Partial<SearchRecord>): SearchRecord => ({
  ...{ kind: 'trial', task: 'parity', model: 'lstm', trial: 1, seed: 1000, status: 'done' },
  ...{ parameters: 39_800, steps: 4688, tokens: 6e6, trainSeconds: 40, wallSeconds: 42, loss: 0.01 },
  settings: { learningRate: 0.00775, curriculum: 0.4, weightDecay: 0.3 },
  accuracy: [{ length: 64, accuracy: 0.9, scaled: 0.8, count: 128 }],
  ...{ score: 0.8, engine: 'native', machine: '2 × test', code: '0.1.0' },
  ...changes,
});
