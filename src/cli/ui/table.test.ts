import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { createStyle, wantsColor } from './style.ts';
import { renderTable, type Table } from './table.ts';
import { truncate } from './width.ts';

const plain = createStyle(false);
const table: Table = {
  columns: [
    { header: 'model' },
    { header: 'size', unit: 'M' },
    { header: 'speed', unit: 'tokens/s' },
    { header: 'note' },
  ],
  rows: [
    ['xLSTM[7:1]', '1.24', '12.3k', 'one sLSTM block'],
    ['LSTM', '11.30', '–', ''],
  ],
};

describe('renderTable', () => {
  it('aligns numbers to the right and texts to the left under a thin rule', () => {
    expect(renderTable(table, plain, 100).split('\n')).toEqual([
      'model         size      speed   note',
      '                 M   tokens/s',
      '───────────────────────────────────────────────',
      'xLSTM[7:1]    1.24      12.3k   one sLSTM block',
      'LSTM         11.30          –',
    ]);
  });

  it('cuts texts, names last, and never numbers, to fit', () => {
    const narrow = renderTable(table, plain, 40).split('\n');
    expect(Math.max(...narrow.map((line) => stringWidth(line)))).toBe(40);
    expect(narrow[3]).toBe('xLSTM[7:1]    1.24      12.3k   one sLS…');
    const narrower = renderTable(table, plain, 37).split('\n');
    expect(narrower[3]).toBe('xLSTM[7:…    1.24      12.3k   one s…');
  });

  it('emphasizes rows in colour without a change of the text', () => {
    const colored = renderTable({ ...table, emphasize: (row) => row === 0 }, createStyle(true), 100);
    expect(colored.split('\n')[3]).toBe('\x1b[36mxLSTM[7:1]    1.24      12.3k   one sLSTM block\x1b[39m');
    expect(colored.split('\n')[4]).toBe('LSTM         11.30          –');
  });

  it('has no unit line without units, and copes with no rows', () => {
    expect(
      renderTable({ columns: [{ header: 'a' }, { header: 'bc', align: 'right' }], rows: [] }, plain, 80),
    ).toBe('a   bc\n──────');
  });
});

describe('width', () => {
  it('counts terminal cells', () => {
    expect(stringWidth('abc')).toBe(3);
    expect(stringWidth('\x1b[1mabc\x1b[22m')).toBe(3);
    expect(stringWidth('é⣀─')).toBe(3);
    expect(stringWidth('e\u0301')).toBe(1);
    expect(stringWidth('日本')).toBe(4);
    for (const emoji of ['😀', '⚡', '❤️', '👩‍👩‍👧', '🇩🇪']) expect(stringWidth(emoji)).toBe(2);
  });

  it('cuts to a width', () => {
    expect(truncate('abcdef', 6)).toBe('abcdef');
    expect(truncate('abcdef', 4)).toBe('abc…');
    // cli-truncate, as far as it runs on Node 20, gives five cells here.
    expect(truncate('日本語', 4)).toBe('日…');
    expect(truncate('😀😀😀', 4)).toBe('😀…');
    expect(truncate('abc', 0)).toBe('');
  });
});

describe('wantsColor', () => {
  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [false, { FORCE_COLOR: '1' }, true],
    [true, { FORCE_COLOR: '0' }, false],
    [true, { TERM: 'dumb' }, false],
  ])('terminal %s, %j: %s', (isTTY, env, wanted) => expect(wantsColor({ isTTY }, env)).toBe(wanted));
});
