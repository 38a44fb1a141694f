import { readdir } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { loadCheckpoint } from '../../src/checkpoints/checkpoint_folder.ts';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { LARGE_PRESETS } from '../../src/models/large/presets.ts';
import { readDesign } from '../../src/models/registry.ts';
import { Design } from '../../src/nn/architecture.ts';
import type { Network } from '../../src/nn/layer.ts';
import { Model } from '../../src/nn/model.ts';
import { Parameters, Scope } from '../../src/nn/parameters.ts';
import { workplace } from './command.ts';

const { xlstm, path } = workplace();

const designOf = (preset: string): Design =>
  readDesign({ architecture: 'xlstm-large', ...LARGE_PRESETS[preset] }, preset);

/** As in files: the reference engine holds float64. */
const numbersOf = async (model: Model<Network>): Promise<Map<string, Float32Array>> =>
  new Map([...(await model.read())].map(([name, { values }]) => [name, Float32Array.from(values)]));

// The published counts.
it.each([
  ['xlstm-84m', 83_680_848],
  ['xlstm-164m', 164_110_224],
  ['xlstm-7b', 6_865_424_896],
])('%s has %i parameters', (preset, count) => {
  const parameters = new Parameters();
  designOf(preset).build(new Scope(parameters));
  expect(parameters.count).toBe(count);
});

it.each([undefined, 'q8', 'q4', 'bf16'] as const)(
  'a tiny model in %s is the one that a program makes',
  async (dtype) => {
    const out = `models/xlstm-tiny${dtype ? `-${dtype}` : ''}`;
    const made = await xlstm([
      'init',
      '--preset',
      'xlstm-tiny',
      ...(dtype ? ['--dtype', dtype] : []),
      '--seed',
      '3',
    ]);
    expect(made.code, made.stderr).toBe(0);
    expect(made.stderr).toBe(`${out}: xLSTM Large, 2 blocks, width 64, 140k parameters\n`);
    const engine = createReferenceEngine();
    const loaded = await loadCheckpoint(engine, path(out));
    const { architecture, config } = designOf('xlstm-tiny');
    const created = Model.create(engine, new Design(architecture, config, dtype), 3);
    expect(await numbersOf(loaded.model)).toEqual(await numbersOf(created));
    const written = await xlstm(['generate', out, '--prompt', 'The', '--max-tokens', '5']);
    expect(written.code, written.stderr).toBe(0);
  },
);

it('leaves alone what is there, and names what it knows', async () => {
  const again = await xlstm(['init', '--preset', 'xlstm-tiny', '--out', 'text.txt']);
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/text.txt: is there already/);
  const huge = await xlstm(['init', '--preset', 'xlstm-huge']);
  expect(huge.code).toBe(2);
  expect(huge.stderr).toMatch(/'xlstm-huge' is invalid. Allowed choices are xlstm-tiny, /);
  expect(await readdir(path('models'))).not.toContain('xlstm-huge');
});
