import { expect, it } from 'vitest';
import { CellTrace, type MlstmReading, type TraceStep } from '../generation/cell_trace.ts';
import { tinyModel } from '../generation/testing/models.ts';
import { gatesPage } from './gates_page.ts';

it('shows each gate of each head and token, and the memory at the end, by its number', async () => {
  using trace = new CellTrace(tinyModel(7, 3));
  const steps: TraceStep[] = [];
  for (const token of [1, 2, 3]) steps.push(await trace.read(token));
  const page = gatesPage({ model: 'runs/<a>', cells: trace.cells, tokens: ['a', '<', '"'], steps });
  const first = steps[1].readings[0] as MlstmReading;
  expect(page).toContain(`head 2, token 2 “&#60;”: ${first.forget[1].toPrecision(4)} · F = exp`);
  const last = steps[2].readings[0] as MlstmReading;
  expect(page).toContain(`head 2, row 1, column 2: ${last.c[32 * 32 + 1].toPrecision(4)} · C = F`);
  expect(page).toContain('Gates of runs/&#60;a&#62;');
  expect(page).not.toContain('<a>');
  // Two cells of two heads and three tokens have three pictures each; the mLSTM has two memories of 32 × 32.
  expect(page.match(/<rect/g)).toHaveLength(2 * 3 * 2 * 3 + 2 * 32 * 32);
});
