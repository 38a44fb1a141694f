import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { env, InferenceSession, Tensor } from 'onnxruntime-web';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../../src/checkpoints/checkpoint_folder.ts';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { SequenceModel } from '../../src/sequences/sequence_model.ts';
import { workplace } from './command.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
env.wasm.numThreads = 1;

const { path, xlstm } = workplace();
const options = { inputs: 2, outputs: 1, dim: 8, heads: 2, engine: createReferenceEngine() };
const x = [
  [1, 2],
  [3, -1],
  [0.5, 0],
];
let predicted: number[] = [];

beforeAll(async () => {
  using model = await SequenceModel.create({ ...options, inputNames: ['height', 'width'] });
  using both = await SequenceModel.create({ ...options, bidirectional: true });
  await saveCheckpoint(path('model'), { model: model.model });
  await saveCheckpoint(path('both'), { model: both.model });
  predicted = (await model.predict(x)).map(({ value }) => value);
});

describe('xlstm export', () => {
  it('writes a file that gives what the model gives, with its configuration', async () => {
    const { code, stderr } = await xlstm(['export', 'model', '--onnx', 'm.onnx', '--sequence']);
    expect(stderr).toContain('m.onnx: ');
    expect(code).toBe(0);
    const file = await readFile(path('m.onnx'));
    expect(file.includes('"architecture":"sequence"') && file.includes('"height"')).toBe(true);
    const session = await InferenceSession.create(file);
    const { y } = await session.run({ x: new Tensor('float32', x.flat(), [1, 3, 2]) });
    expect(y.dims).toEqual([1, 3, 1]);
    for (const [t, value] of predicted.entries()) expect(Number(y.data[t])).toBeCloseTo(value, 4);
    await session.release();
  });

  it('writes one step of several sequences', async () => {
    expect((await xlstm(['export', 'model', '--onnx', 's.onnx', '--batch', '2'])).code).toBe(0);
    const session = await InferenceSession.create(await readFile(path('s.onnx')));
    expect(session.inputNames[0]).toBe('x');
    expect(session.inputNames.slice(1).every((name) => name.startsWith('state.forward.'))).toBe(true);
    expect(session.outputNames).toEqual([
      'y',
      ...session.inputNames.slice(1).map((name) => name.replace('state.', 'next.')),
    ]);
    await session.release();
  });

  it('leaves what was there where a model is refused', async () => {
    await writeFile(path('old.onnx'), 'old');
    const { code, stderr } = await xlstm(['export', 'both', '--onnx', 'old.onnx']);
    expect(code).toBe(2);
    expect(stderr).toContain('the layers below "backward" read sequences from their end');
    expect(await readFile(path('old.onnx'), 'utf8')).toBe('old');
    const missing = await xlstm(['export', 'nothing', '--onnx', 'new.onnx']);
    expect(missing.code).toBe(1);
    expect(existsSync(path('new.onnx'))).toBe(false);
    expect((await xlstm(['export', 'model'])).code).toBe(2);
  });
});
