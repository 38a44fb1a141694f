import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFixed,
  formatInteger,
  formatPercent,
  formatRate,
  NOTHING,
} from './format.ts';

describe('format', () => {
  it.each([
    [0, '0'],
    [950, '950'],
    [0.1234, '0.123'],
    [999.4, '999'],
    [999.6, '1.00k'],
    [1000, '1.00k'],
    [12345, '12.3k'],
    [99_960, '100k'],
    [999_600, '1.00M'],
    [1_234_567, '1.23M'],
    [-2500, '-2.50k'],
    [7e15, '7000T'],
  ])('counts %d as %s', (value, text) => expect(formatCount(value)).toBe(text));

  it.each([
    [512, '512 B'],
    [1500, '1.50 kB'],
    [27.5e9, '27.5 GB'],
  ])('%d bytes as %s', (value, text) => expect(formatBytes(value)).toBe(text));

  it.each([
    [0, '0 ms'],
    [0.85, '850 ms'],
    [0.9996, '1.0 s'],
    [4.24, '4.2 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1m 00s'],
    [64, '1m 04s'],
    [3599.7, '1h 00m'],
    [7500, '2h 05m'],
    [86_399, '1d 00h'],
    [3 * 86_400 + 4 * 3600, '3d 04h'],
    [-1, NOTHING],
    [Number.POSITIVE_INFINITY, NOTHING],
  ])('%d seconds as %s', (value, text) => expect(formatDuration(value)).toBe(text));

  it('groups digits of whole numbers', () => {
    expect([0, 999, 1000, 1_234_567, -12_345].map(formatInteger)).toEqual([
      '0',
      '999',
      '1,000',
      '1,234,567',
      '-12,345',
    ]);
  });

  it('says 100 % only when all is done', () => {
    expect([0, 0.2481, 0.9999, 1].map(formatPercent)).toEqual(['0.0 %', '24.8 %', '99.9 %', '100 %']);
  });

  it('says when a number is none', () => {
    expect(formatFixed(1.23456, 4)).toBe('1.2346');
    expect(formatFixed(Number.NaN, 4)).toBe('NaN');
    expect(formatFixed(Number.NEGATIVE_INFINITY, 4)).toBe('-∞');
    for (const format of [formatInteger, formatCount, formatBytes, formatPercent, formatRate]) {
      expect(format(Number.NaN)).toBe(NOTHING);
    }
  });

  it('writes rates with an exponent', () => {
    expect([0, 9.8e-4, 1e-3, 2.5].map(formatRate)).toEqual(['0', '9.8e-4', '1.0e-3', '2.5e0']);
  });
});
