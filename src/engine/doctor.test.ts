import { expect, it } from 'vitest';
import { type DoctorReport, doctor, formatDoctor } from './doctor.ts';
import { loadNativeLibrary } from './native.ts';

it('reports what the engines have', async () => {
  const report = await doctor();
  expect(report.engines.map(({ name }) => name)).toEqual(['native', 'wasm', 'reference']);
  const library = await loadNativeLibrary().catch(() => undefined);
  expect(report.instructionSets).toEqual(library?.instructionSets ?? []);
  expect(report.choice.engine).toBe(library ? 'native' : 'wasm');
  expect(report.parts.map(({ name }) => name)).toEqual([
    'C++ compiler',
    'koffi',
    'relaxed SIMD',
    'shared memory',
  ]);
  for (const { present, hint } of [...report.engines, ...report.parts]) expect(present || hint).toBeTruthy();
});

it('tells a person what is missing and how to get it', () => {
  const report: DoctorReport = {
    host: 'Node v20.20.2, linux x64, 4 cores',
    engines: [
      { name: 'native', present: false, detail: 'the native library is not built', hint: 'npm run build' },
      { name: 'wasm', present: true, detail: 'relaxed SIMD' },
    ],
    parts: [{ name: 'koffi', present: true, detail: '3.3.4' }],
    instructionSets: [],
    threads: 4,
    choice: { engine: 'wasm', reason: 'native is not there' },
  };
  expect(formatDoctor(report)).toBe(
    `Node v20.20.2, linux x64, 4 cores

Engines
  no   native  the native library is not built
               to get it: npm run build
  yes  wasm    relaxed SIMD

What they use
  yes  koffi   3.3.4

--engine auto takes wasm: native is not there`,
  );
});
