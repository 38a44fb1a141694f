import { expect, it } from 'vitest';
import { readDesign } from '../models/registry.ts';
import { formatConfig, languageModelConfig } from '../models/xlstm/config.ts';
import { inspect } from './inspect.ts';

it('plans in time that grows as the blocks do', { retry: 2, timeout: 120_000 }, () => {
  const seconds = (numBlocks: number): number => {
    const config = languageModelConfig({ vocabSize: 16, embeddingDim: 8, numHeads: 2, numBlocks });
    const design = readDesign(formatConfig(config), 'the test');
    const start = process.cpuUsage();
    expect(inspect(design, 8).layers.length).toBeGreaterThan(numBlocks);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1e6;
  };
  seconds(50); // compiles what runs
  const few = Math.min(seconds(150), seconds(150));
  // 6 times the blocks: quadratic work would take 36 times as long.
  expect(seconds(900) / few).toBeLessThan(15);
});
