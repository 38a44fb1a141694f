import { describe, expect, it } from 'vitest';
import { oneLine, quote } from './quote.ts';

describe('foreign values in messages', () => {
  it.each<[string, unknown, string]>([
    ['text', 'a "b"', '"a \\"b\\""'],
    ['a list', [1, null, ['x']], '[1, null, ["x"]]'],
    ['an object', { a: 1, b: { c: true } }, '{"a":1,"b":{"c":true}}'],
    ['what is no JSON', [Number.NaN, Number.POSITIVE_INFINITY, undefined], '[NaN, Infinity, undefined]'],
    ['nothing', undefined, 'undefined'],
    ['a function', () => 1, 'a function'],
    ['controls', 'a\nb\u001b[2J\u0085', '"a\\nb\\u001b[2J\\u{0085}"'],
    ['what turns the direction of reading', '\u202eabc\u2028', '"\\u{202e}abc\\u{2028}"'],
    ['half a surrogate pair', '\ud800', '"\\ud800"'],
    ['letters and pictures', 'é😀', '"é😀"'],
  ])('shows %s', (_, value, text) => expect(quote(value)).toBe(text));

  it('cuts what is long, between characters', () => {
    expect(quote('x'.repeat(100), 10)).toBe(`"${'x'.repeat(9)}…`);
    expect(quote(`${'x'.repeat(8)}😀😀`, 10)).toBe(`"${'x'.repeat(8)}…`);
    expect(oneLine('a\r\nb', 2)).toBe('a\\u{000d}…');
    expect(quote(Array(1000).fill([]), 10)).toBe('[[], [], […');
  });

  it('takes no longer for a deep or a large value', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 1_000_000; i++) deep = i % 2 ? [deep] : { a: deep };
    expect(quote(deep, 12)).toBe('[{"a":[{"a":…');
    expect(quote(new Array(2 ** 32 - 1), 12)).toBe('[undefined, …');
    expect(quote('\u0000'.repeat(2 ** 28), 6)).toBe('"\\u000…');
  });
});
