import { describe, expect, it } from 'vitest';
import { cellsOf } from '../../lab/arena/arena.ts';
import type { CellRecord } from '../../lab/arena/records.ts';
import { ArenaGrid, recordLine } from './arena_grid.ts';
import { createStyle } from './style.ts';

const record = (changes: Partial<CellRecord>): CellRecord => ({
  kind: 'cell',
  task: 'parity',
  taskTitle: 'Parity',
  model: 'lstm',
  seed: 1,
  status: 'done',
  parameters: 1000,
  budget: 1000,
  settings: {},
  engine: 'reference',
  steps: 100,
  tokens: 100,
  trainSeconds: 2,
  curve: [],
  ...changes,
});
const ended = (changes: Partial<CellRecord>) => ({ kind: 'ended', record: record(changes) }) as const;
const running = (fraction: number, score?: number) =>
  ({ kind: 'running', progress: { fraction, loss: 1, score } }) as const;
const plain = createStyle(false);

describe('the grid of the arena', () => {
  const cells = cellsOf({ tasks: ['parity', 'text'], models: ['lstm', 'mamba', 'gru'], seeds: 2 });
  let time = 0;
  const grid = new ArenaGrid(cells, () => time);

  it('shows what each cell came to: the best of its seeds, and what became of the others', () => {
    const at = (task: string, model: string, seed = 1) => ({ task, model, seed });
    grid.set(at('parity', 'lstm', 1), ended({ scaledAccuracy: 0.25 }));
    grid.set(at('parity', 'lstm', 2), ended({ scaledAccuracy: 0.998, seed: 2 }));
    grid.set(at('parity', 'mamba'), ended({ status: 'diverged' }));
    grid.set(at('parity', 'gru'), ended({ status: 'failed' }));
    grid.set(at('text', 'lstm', 1), ended({ text: [{ factor: 1, length: 128, loss: 1.75 }] }));
    grid.set(at('text', 'lstm', 2), ended({ text: [{ factor: 1, length: 128, loss: 1.5 }] }));
    grid.set(at('text', 'mamba'), running(0.419));
    grid.set(at('text', 'gru'), running(0.5, 0.333));
    time = 65_000;
    expect(grid.render(60, plain)).toEqual([
      '         lstm  mamba    gru',
      'parity   1.00    NaN  failed',
      'text     1.50    41%   0.33',
      '6 of 12 cells, 2 running, 1m 05s',
    ]);
  });

  it('numbers the models where their names are too wide', () => {
    const wide = new ArenaGrid(
      cellsOf({ tasks: ['s3'], models: ['transformer', 'gated-deltanet[0:1]', 'xlstm[1:1]'], seeds: 1 }),
    );
    const lines = wide.render(40, plain);
    expect(lines.slice(0, 4)).toEqual([
      '1 transformer   2 gated-deltanet[0:1]',
      '3 xlstm[1:1]',
      expect.stringMatching(/^ +1 +2 +3$/),
      expect.stringMatching(/^s3 +· +· +·$/),
    ]);
    expect(lines.every((line) => line.length <= 40)).toBe(true);
  });

  it('writes a line for logs', () => {
    expect(recordLine(record({ scaledAccuracy: 0.5 }))).toBe(
      'parity × lstm × seed 1: 0.50 (1000 parameters, 100 steps, 2.0 s)',
    );
    expect(recordLine(record({ status: 'failed', message: 'no memory' }))).toContain('failed: no memory');
  });
});
