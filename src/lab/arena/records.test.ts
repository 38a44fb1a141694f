import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordFile, readRecords as readFile } from '../cells/record_file.ts';
import { type CellRecord, cellRecords } from './records.ts';

const readRecords = (path: string): CellRecord[] => readFile(path, cellRecords);
const openRecords = (path: string) => {
  const file = new RecordFile(path, cellRecords);
  file.open();
  return file;
};

const record = (seed: number): CellRecord => ({
  kind: 'cell',
  task: 'parity',
  taskTitle: 'Parity',
  model: 'lstm',
  seed,
  status: 'done',
  parameters: 10,
  budget: 10,
  settings: { learningRate: 0.001, corpus: 'a\nb' },
  engine: 'reference',
  steps: 1,
  tokens: 8,
  trainSeconds: 0.5,
  curve: [{ step: 1, tokens: 8, seconds: 0.5, loss: 0.7 }],
  scaledAccuracy: 0.25,
});

const appendRecord = (path: string, added: CellRecord): void => {
  const file = openRecords(path);
  file.add(added);
  file.close();
};

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'records-'));
  path = join(folder, 'results.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('records of the arena', () => {
  it('come back as they were written, one a line', () => {
    expect(readRecords(path)).toEqual([]);
    appendRecord(path, record(1));
    appendRecord(path, record(2));
    expect(readRecords(path)).toEqual([record(1), record(2)]);
    expect(readFileSync(path, 'utf8').match(/\n/g)?.length).toBe(2);
  });

  it('survive a record that was cut short', () => {
    appendRecord(path, record(1));
    appendFileSync(path, JSON.stringify(record(2)).slice(0, 40));
    expect(readRecords(path)).toEqual([record(1)]);
    appendRecord(path, record(3));
    expect(readRecords(path)).toEqual([record(1), record(3)]);
  });

  it('name the line that is no record', () => {
    appendRecord(path, record(1));
    appendFileSync(path, '{"step":1}\n');
    expect(() => readRecords(path)).toThrow(
      `${path}:2: expected the record of a cell, found "{\\"step\\":1}"`,
    );
    expect(() => openRecords(path)).toThrow(`${path}:2: expected`);
    writeFileSync(path, 'Dear diary\n');
    expect(() => readRecords(path)).toThrow(`${path}:1: expected`);
    expect(readFileSync(path, 'utf8')).toBe('Dear diary\n');
  });
});
