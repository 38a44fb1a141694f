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

it.each([
  [
    'tirex',
    {},
    { input_patch_embedding: 'patches in', 'blocks.11': 'sLSTM', output_patch_embedding: 'quantiles out' },
  ],
  [
    'xlstm-large',
    { vocabSize: 16, numBlocks: 2 },
    { 'backbone.embeddings': 'embedding', 'backbone.blocks.1': 'mLSTM' },
  ],
])('counts what the layers of %s hold under the names that it tells', (architecture, options, told) => {
  const { layers, parameters, stateBytes } = inspect(readDesign({ architecture, ...options }, 'the test'), 8);
  for (const [name, kind] of Object.entries(told)) {
    const found = layers.find((layer) => layer.name === name);
    expect(found, name).toMatchObject({ kind });
    expect(found?.parameters, name).toBeGreaterThan(0);
    if (kind.endsWith('LSTM')) expect(found?.stateBytes, name).toBeGreaterThan(0);
  }
  expect(layers.every(({ kind }) => kind !== '')).toBe(true);
  expect(layers.reduce((sum, layer) => sum + layer.parameters, 0)).toBe(parameters);
  expect(layers.reduce((sum, layer) => sum + layer.stateBytes, 0)).toBe(stateBytes);
});
