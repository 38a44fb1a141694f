import { beforeAll, describe, expect, it } from 'vitest';
import { findAdapter, openDevice } from '../../src/compute/engines/webgpu/device.ts';
import { WebgpuEngine } from '../../src/compute/engines/webgpu/engine.ts';
import { usage } from '../../src/compute/engines/webgpu/storage.ts';
import { hasSoftwareGpu, useSoftwareGpu } from '../../src/compute/engines/webgpu/testing/software_gpu.ts';
import { Session } from '../../src/generation/session.ts';
import { createModel } from '../../src/models/create_model.ts';
import { Trainer } from '../../src/training/trainer.ts';
import { config, SHAPE, tokenizer } from './small_mixed_model.ts';

const STEPS = 3;
/** The parameters that decay, their gradients and moments, and the workspace of training take more. */
const PAGE_BYTES = 25_600;

const tokens = tokenizer.encode('The white whale swims in the wide sea. '.repeat(2));

/** An engine, and the buffers that its kernels see: of what, and their bytes. */
async function opened(pageBytes?: number) {
  const adapter = await findAdapter();
  const device = await openDevice(adapter);
  const buffers: { label: string; size: number }[] = [];
  const { createBuffer } = device;
  device.createBuffer = (made) => {
    if (made.usage & usage.storage) buffers.push({ label: made.label ?? '', size: made.size });
    return createBuffer.call(device, made);
  };
  return { engine: new WebgpuEngine(device, adapter.description, pageBytes), buffers };
}

/** Losses of some steps, the parameters after them, and what the model then writes. */
async function work(engine: WebgpuEngine) {
  const model = createModel(engine, config, { seed: 1 });
  const trainer = new Trainer(model, { ...SHAPE, carryState: true });
  const metrics = [];
  for (let step = 0; step < STEPS; step++) {
    const from = (shift: number): number[] => Array.from({ length: 32 }, (_, i) => tokens[step + i + shift]);
    metrics.push(await trainer.step({ tokens: from(0), targets: from(1) }, 0.01));
  }
  trainer.free();
  const parameters = await Promise.all(model.memories.map((memory) => memory.readAll()));
  using session = new Session(model, tokenizer);
  const { ids } = await session.complete('The whale', { maxTokens: 6, temperature: 0.8, seed: 3 });
  return { metrics, parameters, ids, logits: session.logits, state: await session.save() };
}

describe.runIf(hasSoftwareGpu)('a graphics processor whose buffers are small', { timeout: 120_000 }, () => {
  beforeAll(useSoftwareGpu);

  it('trains and writes to the bits of one whose buffers hold everything', async () => {
    const whole = await opened();
    const expected = await work(whole.engine);
    await whole.engine.close();
    const split = await opened(PAGE_BYTES);
    expect(await work(split.engine)).toEqual(expected);
    await split.engine.close();
    const large = whole.buffers.filter(({ size }) => size > PAGE_BYTES).map(({ label }) => label);
    expect(large).toEqual([
      ...['parameters.decayed', 'gradients.decayed', 'firstMoment.decayed', 'secondMoment.decayed'],
      expect.stringMatching(/^the workspace of program train/),
    ]);
    expect(Math.max(...split.buffers.map(({ size }) => size))).toBe(PAGE_BYTES);
    for (const name of large)
      expect(split.buffers.filter(({ label }) => label === name).length, name).toBeGreaterThan(1);
  });
});
