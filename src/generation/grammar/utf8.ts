import type { CodePoints } from './expression.ts';

/** Bytes of a range, one after another, both ends included. */
export type ByteRange = readonly [first: number, last: number];

/** Where the length of the encoding changes; half surrogate pairs have none. */
const SPANS: readonly CodePoints[] = [
  [0, 0x7f],
  [0x80, 0x7ff],
  [0x800, 0xd7ff],
  [0xe000, 0xffff],
  [0x10000, 0x10ffff],
];

/** The sequences of ranges of bytes that make up exactly the UTF-8 of the code points from first to last. */
export function utf8Ranges([first, last]: CodePoints): ByteRange[][] {
  return SPANS.flatMap(([from, to]) => spanned(Math.max(first, from), Math.min(last, to)));
}

function spanned(first: number, last: number): ByteRange[][] {
  if (first > last) return [];
  const length = utf8(first).length;
  for (let after = 1; after < length; after++) {
    // Where the bytes before the last `after` ones differ, those must go through all their values.
    const mask = 2 ** (6 * after) - 1;
    if ((first & ~mask) === (last & ~mask)) continue;
    if ((first & mask) !== 0) return [...spanned(first, first | mask), ...spanned((first | mask) + 1, last)];
    if ((last & mask) !== mask)
      return [...spanned(first, (last & ~mask) - 1), ...spanned(last & ~mask, last)];
  }
  const ends = utf8(last);
  return [utf8(first).map((byte, i) => [byte, ends[i]])];
}

const encoder = new TextEncoder();
const utf8 = (code: number): number[] => [...encoder.encode(String.fromCodePoint(code))];
