import { describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { benchDecode, benchPrefill, DecodingSubject } from './generate.ts';
import { type Matrices, measuredModel } from './subject.ts';

const shape = {
  architecture: 'xlstm-large',
  blocks: 1,
  dim: 32,
  heads: 2,
  slstmAt: [],
  vocab: 32,
} as const;
const engine = createReferenceEngine();

const products = ['gemm', 'panelLinear', 'packedLinear'];

describe('a model that is used', () => {
  it.each<[string, Matrices]>([
    ['gemm', { precision: 'f32' }],
    ['panelLinear', { precision: 'bf16' }],
    ['packedLinear', { precision: 'f32', dtype: 'q4' }],
  ])('is measured with its products as %s', async (kernel, matrices) => {
    const options = { ...matrices, repeats: 1 };
    const decode = await benchDecode(engine, shape, { ...options, context: 2, tokens: 2 });
    const prefill = await benchPrefill(engine, shape, { ...options, length: 3 });
    for (const report of [decode, prefill]) {
      expect(report).toMatchObject(matrices);
      expect(report.tokensPerSecond.median).toBeGreaterThan(0);
    }
    const subject = new DecodingSubject(measuredModel(engine, shape, matrices));
    for (const length of [1, 3]) {
      const { instructions } = subject.executable(length).program;
      const called = instructions.map((call) => call.kernel).filter((name) => products.includes(name));
      // Of the mLSTM and of the feed-forward, and the output layer; gates are read exactly.
      expect(called.filter((name) => name === kernel).length).toBeGreaterThan(3);
      expect(new Set(called)).toEqual(new Set(['gemm', kernel]));
    }
  });

  it('is refused in bf16 by an engine that lacks it, with the reason', async () => {
    const wasm = await createWasmEngine({ threads: 1 });
    const options = { precision: 'bf16', context: 0, tokens: 1, repeats: 1 } as const;
    await expect(benchDecode(wasm, shape, options)).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/^precision bf16: /),
    });
    await wasm.close();
  });
});
