import { expect, it } from 'vitest';
import type { DoctorReport } from '../compute/engines/doctor.ts';
import { formatDoctor } from './doctor_text.ts';

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
