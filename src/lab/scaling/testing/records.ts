import type { StudyRecord } from '../records.ts';

/** A record that a study could have written, but for what is said. */
export const aStudyRecord = (changes: Partial<StudyRecord>): StudyRecord => ({
  ...{ kind: 'train', model: 'transformer', size: 30_000, tokensPerParameter: 20, context: 256, seed: 1 },
  ...{ status: 'done', parameters: 30_000, embeddingParameters: 65_536, learningRate: 0.004 },
  config: { embeddingDim: 32, numBlocks: 2 },
  ...{ steps: 293, tokens: 600_064, flops: 3e11, seconds: 7, cpuSeconds: 7, wallSeconds: 9 },
  curve: [{ tokens: 600_064, loss: 5.1 }],
  loss: { token: 5, byte: 1.85 },
  ...{ jobs: 2, engine: 'native', machine: '2 × test', code: '0.1.0', digest: '0123' },
  ...changes,
});
