import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { evaluation } from '../../evaluation.ts';
import { tanh } from '../../graph/elementwise.ts';
import { linear } from '../../graph/matmul.ts';
import { recurrent } from '../../graph/recurrent.ts';
import { Region } from '../../program/region.ts';
import type { Engine } from '../engine.ts';
import { findAdapter, openDevice } from './device.ts';
import { createWebgpuEngine, WebgpuEngine } from './engine.ts';
import { hasSoftwareGpu, useSoftwareGpu } from './testing/software_gpu.ts';

const inputs = {
  x: { shape: [3, 5], values: Array.from({ length: 15 }, (_, i) => Math.sin(i)) },
  w: { shape: [4, 5], values: Array.from({ length: 20 }, (_, i) => Math.cos(3 * i)) },
};
const compute = (engine: Engine) =>
  evaluation(engine, inputs, ({ x, w }) => ({ outputs: { y: tanh(linear(x, w)) } }));

const zeros = (shape: number[]) => ({ shape, values: new Float32Array(shape.reduce((a, b) => a * b)) });

describe.runIf(hasSoftwareGpu)('the webgpu engine, where something is wrong', { timeout: 120_000 }, () => {
  const engines: Engine[] = [];
  beforeAll(useSoftwareGpu);
  afterEach(() => Promise.all(engines.splice(0).map((engine) => engine.close())));

  /** An engine and its device. */
  async function opened(pageBytes?: number): Promise<{ device: GPUDevice; engine: WebgpuEngine }> {
    const adapter = await findAdapter();
    const device = await openDevice(adapter);
    const engine = new WebgpuEngine(device, adapter.description, pageBytes);
    engines.push(engine);
    return { device, engine };
  }

  it('rejects what is under way when its device is lost, refuses the rest, and another engine goes on', async () => {
    const { device, engine } = await opened();
    const { executable, run } = compute(engine);
    const before = await run();
    const under = run();
    device.destroy();
    const lost = {
      name: 'XlstmError',
      code: 'engine',
      hint: expect.stringContaining('create another engine'),
    };
    await expect(under).rejects.toMatchObject(lost);
    await expect(run()).rejects.toThrow('the webgpu engine failed and cannot be used any more');
    expect(() => engine.allocate(new Region('more'))).toThrow('cannot be used any more');
    executable.free();
    const { engine: other } = await opened();
    expect(await compute(other).run()).toEqual(before);
  });

  it('rejects a run whose device is lost while its kernels compile', async () => {
    const { device, engine } = await opened();
    const under = compute(engine).run();
    device.destroy();
    await expect(under).rejects.toMatchObject({ name: 'XlstmError', code: 'engine' });
  });

  it('names the region for which there is no memory', async () => {
    const { engine } = await opened();
    const [region, small] = [new Region('parameters'), new Region('small')];
    region.add('x', [2 ** 34]);
    small.add('x', [1]);
    engine.allocate(region);
    const memory = engine.allocate(small);
    await expect(memory.read('x').then(() => memory.read('x'))).rejects.toMatchObject({
      ...{ name: 'XlstmError', code: 'engine', hint: expect.stringContaining('create another engine') },
      message: expect.stringContaining('no memory for parameters: 68,719,476,736 bytes were refused'),
    });
    const { engine: other } = await opened();
    expect((await compute(other).run()).y).toHaveLength(12);
  });

  it('refuses a kernel that needs more workgroup memory than there is, and goes on', async () => {
    const { device, engine } = await opened();
    const headDim = Math.ceil(device.limits.maxComputeWorkgroupStorageSize / 20) + 1;
    const wide = { wx: zeros([1, 1, 4 * headDim]), r: zeros([1, 4 * headDim, headDim]) };
    const options = {
      cell: 'slstm',
      heads: 1,
      exponentialForget: false,
      recurrentClip: 0,
      cutRecurrent: false,
    } as const;
    const scan = () =>
      evaluation(engine, wide, ({ wx, r }) => {
        const { y } = recurrent(wx, r, undefined, undefined, {}, options);
        return { outputs: { y } };
      });
    expect(scan).toThrow(
      /program evaluation: kernel recurrentForward takes [\d,]+ bytes of workgroup memory, the graphics/,
    );
    expect((await compute(engine).run()).y).toHaveLength(12);
  });

  it('refuses a kernel whose arrays lie in more buffers than it may have, and goes on', async () => {
    const { device, engine } = await opened(256);
    const most = device.limits.maxStorageBuffersPerShaderStage;
    const wide = (width: number) =>
      evaluation(engine, { x: zeros([1, width]) }, ({ x }) => ({ outputs: { y: tanh(x) } }));
    expect(() => wide(64 * most)).toThrow(
      `program evaluation: kernel map reads and writes ${2 * most} buffers, the graphics processor takes ${most} at once`,
    );
    expect((await wide(64 * (most / 2)).run()).y).toHaveLength(32 * most);
  });

  it('two engines on one graphics processor keep apart', async () => {
    const [first, second] = [await createWebgpuEngine(), await createWebgpuEngine()];
    engines.push(first, second);
    const [a, b] = await Promise.all([compute(first).run(), compute(second).run()]);
    expect(a).toEqual(b);
    const region = new Region('x');
    region.add('x', [4]);
    const foreign = first.allocate(region);
    expect(() => second.allocate(region).copyFrom(foreign)).toThrow('belongs to another engine');
    await first.close();
    expect(await compute(second).run()).toEqual(a);
    const { device, engine: third } = await opened();
    const lost = compute(third).run();
    device.destroy();
    await expect(lost).rejects.toMatchObject({ name: 'XlstmError', code: 'engine' });
    expect(await compute(second).run()).toEqual(a);
  });
});
