import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordFile, type RecordKind, readRecords } from './record_file.ts';
import { type CellsToRun, runCells } from './run_cells.ts';

interface Cell {
  name: string;
}
interface Ended extends Cell {
  result: string;
}
const kind: RecordKind<Cell, Ended> = {
  format: {
    is: (value): value is Ended => typeof (value as Ended)?.result === 'string',
    expected: 'an end',
    hint: '',
  },
  key: ({ name }) => name,
};
const cells = ['a', 'b', 'c', 'd'].map((name) => ({ name }));

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cells-'));
  path = join(folder, 'results.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

async function run(changes: Partial<CellsToRun<Cell, string, number, Ended>>): Promise<Ended[]> {
  const records = new RecordFile(path, kind);
  records.open();
  try {
    await runCells({
      cells,
      jobs: 2,
      records,
      signal: new AbortController().signal,
      runner: async (spec) => ({ name: spec, result: 'done' }),
      start: ({ name }) => ({ spec: name }),
      failure: (name, error) => ({ name, result: (error as Error).message }),
      ...changes,
    });
  } finally {
    records.close();
  }
  return records.all;
}

describe('runCells', () => {
  it('asks at its turn whether a cell is to run, and writes what ended', async () => {
    const ended: string[] = [];
    const records = await run({
      jobs: 1,
      start: ({ name }) => (name === 'b' ? undefined : { spec: name, end: () => ended.push(name) }),
      runner: async (spec) => {
        if (spec === 'c') throw new Error('out of luck');
        return { name: spec, result: `after ${ended.join('')}` };
      },
    });
    expect(records).toEqual([
      { name: 'a', result: 'after ' },
      { name: 'c', result: 'out of luck' },
      { name: 'd', result: 'after ac' },
    ]);
    expect(readRecords(path, kind)).toEqual(records);
  });

  it('has as many cells at a time as there are jobs', async () => {
    let running = 0;
    const most: number[] = [];
    await run({
      jobs: 3,
      runner: async (name) => {
        most.push(++running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
        return { name, result: '' };
      },
    });
    expect(Math.max(...most)).toBe(3);
  });

  it('ends the other cells where a record cannot be written', async () => {
    const aborted: string[] = [];
    const running = run({
      runner: (name, _, signal) =>
        new Promise((resolve, reject) => {
          if (name === 'a') resolve({ name } as Ended);
          signal.addEventListener('abort', () => {
            aborted.push(name);
            reject(new Error('stopped'));
          });
        }),
    });
    await expect(running).rejects.toThrow('expected an end');
    expect(aborted).toContain('b');
    expect(readRecords(path, kind)).toEqual([]);
  });
});
