import { describe, expect, it } from 'vitest';
import { count, moreNames, nameList } from './parse.ts';

describe('lists of names', () => {
  it('are split at commas outside brackets and quotes', () => {
    expect(nameList('mqar[64,4], parity,xlstm[1:1]')).toEqual(['mqar[64,4]', 'parity', 'xlstm[1:1]']);
    expect(nameList('"load, MW",wind')).toEqual(['load, MW', 'wind']);
    expect(nameList('"a ""b"", c", "d"')).toEqual(['a "b", c', 'd']);
    expect(moreNames('"load, MW"', ['wind'])).toEqual(['wind', 'load, MW']);
  });

  it('have no empty names', () => {
    for (const text of ['parity,', ',', '', '"",wind']) {
      expect(() => nameList(text), text).toThrow('names separated by commas');
    }
  });
});

describe('counts', () => {
  it.each([
    ['50000', 50_000],
    ['200k', 200_000],
    ['200 K', 200_000],
    ['1.5M', 1_500_000],
    ['6m', 6_000_000],
  ])('%s', (text, value) => {
    expect(count(text)).toBe(value);
  });

  it.each(['0', '-1', '6g', '', 'm', '1e3', '9e99M', '0.0001'])('%j is none', (text) => {
    expect(() => count(text)).toThrow('a whole number above 0');
  });
});
