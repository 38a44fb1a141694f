import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSafetensors, writeSafetensors } from '../../checkpoints/safetensors.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { fastEngines } from '../../compute/engines/testing/engines.ts';
import { GoldenFile } from './golden.ts';
import { folder, verifiesAll } from './testing/golden_files.ts';
import { verifyFile, verifyGolden } from './verify.ts';

const { cases, missing } = await fastEngines();

describe('golden vectors on reference', () => verifiesAll(async () => createReferenceEngine()));
for (const { name, open } of cases) {
  for (const threads of [1, 3]) {
    describe(`golden vectors on ${name}, threads: ${threads}`, () => verifiesAll(() => open(threads)));
  }
}
if (missing) it.skip(`golden vectors on native: not run, ${missing}`, () => {});

describe('a file with one wrong number', { timeout: 300_000 }, () => {
  /** The file with one element of a tensor changed. */
  function changed(name: string, tensor: string, value: number): GoldenFile {
    const file = parseSafetensors(readFileSync(folder + name));
    expect(file.tensors.has(tensor)).toBe(true);
    const tensors = [...file.tensors].map(([key, stored]) => {
      const data = stored.read();
      if (key === tensor) data[data.length - 1] = value;
      return [key, { shape: stored.shape, data }] as const;
    });
    return new GoldenFile(writeSafetensors(new Map(tensors), file.metadata), folder + name);
  }
  const failed = async (file: GoldenFile): Promise<string[]> => {
    const { rows } = await verifyGolden(createReferenceEngine(), file);
    return rows.filter((row) => !row.passed).map((row) => row.tensor);
  };

  it('fails in that tensor and no other', async () => {
    expect(await failed(changed('mlstm_cell.safetensors', 'case3.dfgate', 1))).toEqual(['dfgate']);
    expect(await failed(changed('mlstm_cell.safetensors', 'case0.h_recurrent', 9))).toEqual(['h_recurrent']);
    expect(await failed(changed('slstm_cell.safetensors', 'case2.last', 9))).toEqual(['last_m']);
    expect(await failed(changed('lm_slstm.safetensors', 'logits', 9))).toEqual(['logits']);
    expect(await failed(changed('lm_slstm.safetensors', 'logits_step', 9))).toEqual(['logits_step']);
    expect(await failed(changed('lm_slstm.safetensors', 'grad.lm_head.weight', 9))).toEqual([
      'grad.lm_head.weight',
    ]);
  });

  it('fails in a model beside it, also at one position', async () => {
    const large = (tensor: string, value: number): GoldenFile =>
      changed('large_tiny/expected.safetensors', tensor, value);
    expect(await failed(large('logits', 9))).toEqual(['logits']);
    expect(await failed(large('state.1.n', 9))).toEqual(['state.1.n']);
    expect(await failed(large('greedy', 5))).toEqual(['greedy']);
  });

  it('fails where the expected number is none', async () => {
    expect(await failed(changed('slstm_cell.safetensors', 'case0.db', Number.NaN))).toEqual(['db']);
  });

  it('fails when a parameter differs', async () => {
    const name = 'param.xlstm_block_stack.blocks.1.xlstm.slstm_cell._recurrent_kernel_';
    const tensors = await failed(changed('lm_slstm.safetensors', name, 3));
    expect(tensors).toContain('logits');
    expect(tensors).toContain('logits_step');
    expect(tensors).toContain('loss');
  });
});

describe('files that are no golden vectors', () => {
  const verify = (tensors: Record<string, number[]>, metadata: Record<string, string>) => {
    const stored = Object.entries(tensors).map(
      ([name, shape]) => [name, { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }] as const,
    );
    const file = new GoldenFile(writeSafetensors(new Map(stored), metadata), 'some.safetensors');
    return verifyGolden(createReferenceEngine(), file);
  };
  const oneCase = JSON.stringify([{ name: 'a', regime: 'mild', B: 1, NH: 1, S: 2, DH: 3, rtol: 1e-4 }]);

  it('are refused with what is wrong', async () => {
    await expect(verify({}, {})).rejects.toThrow('some.safetensors: expected "kind" in its metadata');
    await expect(verify({}, { kind: 'tirex3' })).rejects.toThrow('kind "tirex3" are not supported');
    await expect(verify({}, { kind: 'constructor' })).rejects.toThrow('kind "constructor" are not supported');
    await expect(verify({}, { kind: 'mlstm_cell', cases: '[' })).rejects.toThrow(
      'metadata "cases": expected JSON',
    );
    await expect(verify({}, { kind: 'mlstm_cell', cases: '[{"name":1}]' })).rejects.toThrow('at 0.name');
    await expect(verify({}, { kind: 'mlstm_cell', cases: oneCase })).rejects.toThrow('expected a tensor "a.');
    await expect(
      verify({ 'a.last_c': [1, 1, 3, 3], 'a.last_n': [1, 1, 4] }, { kind: 'mlstm_cell', cases: oneCase }),
    ).rejects.toThrow('"a.last_n" has shape [1, 1, 4], expected [1, 1, 3]');
    await expect(verifyFile(createReferenceEngine(), `${folder}nothing`)).rejects.toThrow(
      'nothing: cannot be read (ENOENT)',
    );
  });
});
