import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { XlstmError } from '../errors.ts';
import { labelsOf, numbersOf, numericColumns } from './table.ts';
import { readTable } from './table_file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function table(text: string, name = 'a.csv') {
  const path = join(folder, name);
  await writeFile(path, text);
  return readTable(path);
}

describe('a table', () => {
  it('is read from CSV with commas, semicolons or tabs, quotes, blank lines and a byte order mark', async () => {
    for (const mark of [',', ';', '\t']) {
      const text = `\ufefft${mark} "a ""b"""${mark}label\r\n1${mark}2.5${mark}"x${mark}y"\r\n\r\n2${mark}-3e2${mark}z\r\n`;
      const read = await table(text);
      expect(read.columns).toEqual(['t', 'a "b"', 'label']);
      expect(read.rows).toEqual([
        ['1', '2.5', `x${mark}y`],
        ['2', '-3e2', 'z'],
      ]);
      expect(numericColumns(read)).toEqual(['t', 'a "b"']);
      expect([...numbersOf(read, 'a "b"', 'refuse')]).toEqual([2.5, -300]);
      expect(labelsOf(read, 'label')).toEqual([`x${mark}y`, 'z']);
    }
  });

  it('is read from JSON lines, whose objects may lack columns', async () => {
    const read = await table('{"a":1,"b":"x"}\n\n{"b":"y","c":2.5}\n{"a":null,"b":true}\n', 'a.jsonl');
    expect(read.columns).toEqual(['a', 'b', 'c']);
    expect(read.rows).toEqual([
      ['1', 'x', ''],
      ['', 'y', '2.5'],
      ['', 'true', ''],
    ]);
    expect(read.lines).toEqual([1, 3, 4]);
  });

  it('is read from Parquet: columns of numbers and texts, of which some may be missing', async () => {
    const path = fileURLToPath(new URL('../../test/golden/texts/zstd.parquet', import.meta.url));
    const read = await readTable(path);
    expect(read.columns).toEqual(['id', 'text', 'title']);
    expect([...numbersOf(read, 'id', 'refuse')]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(labelsOf(read, 'title').slice(0, 4)).toEqual(['Chapter 0', 'Chapter 1', 'Chapter 2', 'Chapter 0']);
    expect(read.rows[5][1]).toBe('');
    expect(() => labelsOf(read, 'text')).toThrow(/zstd\.parquet, line 6, column "text": expected a label/);
  });

  it('has values that are missing refused or taken from the row before', async () => {
    const read = await table('a,b\n1,1\n,2\nNaN,3\n4,4\n');
    expect([...numbersOf(read, 'a', 'previous')]).toEqual([1, 1, 1, 4]);
    expect(() => numbersOf(read, 'a', 'refuse')).toThrow(/line 3, column "a": expected a number, found none/);
    const late = await table('a,b\n,1\n2,2\n');
    expect(() => numbersOf(late, 'a', 'previous')).toThrow(/line 2, column "a"/);
  });

  it.each([
    ['nothing', '', 'a.csv', /expected/],
    ['names alone', 'a,b\n', 'a.csv', /expected at least one row/],
    ['a row of another width', 'a,b\n1,2\n3\n', 'a.csv', /line 3/],
    ['a quote that is not closed', 'a,b\n1,"2\n3,4\n', 'a.csv', /[Qq]uote/],
    ['two columns of one name', 'a,a\n1,2\n', 'a.csv', /two columns are called "a"/],
    ['no JSON', '{"a":1}\n{"a":\n', 'a.jsonl', /line 2/],
    ['a list', '[1,2]\n', 'a.jsonl', /expected an object of columns, found \[1, 2\]/],
    ['a nested value', '{"a":{"b":1}}\n', 'a.jsonl', /column "a": expected a number or a text/],
  ])('is refused where it is wrong: %s', async (_, text, name, message) => {
    const error: unknown = await table(text, name).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(XlstmError);
    expect(error).toMatchObject({ code: 'data', message: expect.stringMatching(message) });
    expect((error as XlstmError).message).toContain(join(folder, name));
  });

  it('names the columns that it has where one is asked for that it has not, and texts among numbers', async () => {
    const read = await table('a,b\n1,x\n');
    expect(() => numbersOf(read, 'c', 'refuse')).toThrow(/there is no column "c"/);
    expect(() => numbersOf(read, 'b', 'refuse')).toThrow(/line 2, column "b": expected a number, found "x"/);
  });
});
