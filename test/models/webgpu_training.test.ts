import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseEngine } from '../../src/compute/engines/choose.ts';
import type { Engine } from '../../src/compute/engines/engine.ts';
import { findAdapter, openDevice } from '../../src/compute/engines/webgpu/device.ts';
import { createWebgpuEngine, WebgpuEngine } from '../../src/compute/engines/webgpu/engine.ts';
import { hasSoftwareGpu, useSoftwareGpu } from '../../src/compute/engines/webgpu/testing/software_gpu.ts';
import { TokenBatches } from '../../src/data/batches.ts';
import { encodeCorpus, readCorpus } from '../../src/data/corpus.ts';
import { mobyDick } from '../../src/data/text.ts';
import { Session } from '../../src/generation/session.ts';
import { createModel } from '../../src/models/create_model.ts';
import { resumeTraining } from '../../src/training/resume.ts';
import { dataSource } from '../../src/training/run_data.ts';
import type { RunOptions } from '../../src/training/run_options.ts';
import { type RunControl, runTraining } from '../../src/training/train_run.ts';
import { Trainer } from '../../src/training/trainer.ts';
import { config, SHAPE, tokenizer } from './small_mixed_model.ts';

const STEPS = 200;

/** Losses of the default task at a small size, and what the trained model writes. */
async function train(engine: Engine): Promise<{ losses: number[]; text: string }> {
  const { train: tokens } = encodeCorpus(tokenizer, await mobyDick());
  const model = createModel(engine, config, { seed: 1 });
  const trainer = new Trainer(model, { ...SHAPE, carryState: true });
  const batches = new TokenBatches(tokens, { ...SHAPE, order: 'contiguous' });
  const losses: number[] = [];
  for (let i = 0; i < STEPS; i++) losses.push((await trainer.step(batches.next(), 3e-3)).loss);
  trainer.free();
  const session = new Session(model, tokenizer);
  const { text } = await session.complete('The whale', { maxTokens: 12, temperature: 0.8, seed: 3 });
  return { losses, text };
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;

describe.runIf(hasSoftwareGpu)('training on webgpu', { timeout: 300_000 }, () => {
  let folder: string;
  beforeAll(async () => {
    await useSoftwareGpu();
    folder = await mkdtemp(join(tmpdir(), 'xlstm-webgpu-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('the default task at a small size: the first losses are those of the CPU, 200 steps fall like them', async () => {
    const cpu = await chooseEngine('auto');
    const expected = await train(cpu.engine);
    await cpu.engine.close();
    const engine = await createWebgpuEngine();
    const { losses, text } = await train(engine);
    await engine.close();
    const apart = losses.slice(0, 50).map((loss, i) => Math.abs(loss - expected.losses[i]));
    expect(Math.max(...apart)).toBeLessThan(1e-3);
    expect(mean(losses.slice(-20))).toBeLessThan(losses[0] - 2);
    expect(Math.abs(mean(losses.slice(-20)) - mean(expected.losses.slice(-20)))).toBeLessThan(0.02);
    expect(text).toHaveLength(12);
  });

  it('goes on from the last checkpoint where the device was lost in a step, to the bits of a run that kept it', async () => {
    const options: RunOptions = {
      ...{ steps: 6, batchSize: 2, length: 16, microBatches: 1, learningRate: 0.01, warmupSteps: 0 },
      ...{ finalFraction: 1, clipNorm: 1, order: 'contiguous', seed: 1, evaluateEvery: 100 },
      ...{ checkpointEvery: 2, optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 } },
    };
    const text = join(folder, 'text.txt');
    await writeFile(text, 'The white whale swims in the wide sea.\n'.repeat(40));
    const corpus = encodeCorpus(tokenizer, await readCorpus([text], ''));
    const start = (engine: Engine, name: string, control: RunControl = {}) =>
      runTraining({
        ...{ ...corpus, tokenizer, options, source: { ...dataSource([text], '') } },
        ...{ model: createModel(engine, config, { seed: 1 }), folder: join(folder, name), ...control },
      });
    const weights = (name: string): Promise<Buffer> =>
      readFile(join(folder, name, 'checkpoint', 'model.safetensors'));
    const adapter = await findAdapter();
    const device = await openDevice(adapter);
    const losing = new WebgpuEngine(device, adapter.description);
    const lost = start(losing, 'lost', { onStep: ({ step }) => step === 5 && device.destroy() });
    await expect(lost).rejects.toMatchObject({ name: 'XlstmError', code: 'engine' });
    await losing.close();

    const engine = await createWebgpuEngine();
    await start(engine, 'kept');
    const { steps } = await resumeTraining(engine, join(folder, 'lost'));
    expect(steps).toBe(options.steps);
    expect(await weights('lost')).toEqual(await weights('kept'));
    await engine.close();
  });
});
