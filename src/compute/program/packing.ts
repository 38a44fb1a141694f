import { PACKED_BLOCK, PACKED_GROUP, PACKED_ROW_WORDS, type PackedFormat } from './constants.ts';

/**
 * Matrices of small numbers. A row is codes, filled up to whole groups of 128 columns, then a word for each block of 32
 * columns (bf16 has none), then zeros up to a multiple of 16 words; all of it 32-bit words.
 *
 * | format | bytes a weight | weight                  | where the code of column c of a group is                 |
 * |--------|----------------|-------------------------|----------------------------------------------------------|
 * | q8     | 1.125          | code · scale            | byte c: −127 to 127                                      |
 * | q4     | 0.625          | code · scale + offset   | bits 4s to 4s + 3 of word l, c = 16 s + l: 0 to 15       |
 * | bf16   | 2              | the upper half of a f32 | half s mod 2 of word 16 ⌊s / 2⌋ + l, c = 16 s + l        |
 *
 * The word of a block is the scale as a float32; in q4 its lower half is the offset as a bfloat16 as well, which makes the
 * scale a little larger than the bfloat16 of its upper half.
 */
const CODE_BITS: Readonly<Record<PackedFormat, number>> = { q8: 8, q4: 4, bf16: 16 };

const BLOCKS = PACKED_GROUP / PACKED_BLOCK;
const LANES = 16;

const groupsOf = (columns: number): number => Math.ceil(columns / PACKED_GROUP);
const codeWords = (format: PackedFormat): number => (PACKED_GROUP * CODE_BITS[format]) / 32;
const blockWords = (format: PackedFormat): number => (format === 'bf16' ? 0 : BLOCKS);

/** Words of a packed row of so many columns. */
export function packedRowWords(format: PackedFormat, columns: number): number {
  const used = groupsOf(columns) * (codeWords(format) + blockWords(format));
  return Math.ceil(used / PACKED_ROW_WORDS) * PACKED_ROW_WORDS;
}

const scratch = new DataView(new ArrayBuffer(4));
/** The float32 of these bits. */
export const asFloat = (word: number): number => {
  scratch.setInt32(0, word);
  return scratch.getFloat32(0);
};
const asWord = (value: number): number => {
  scratch.setFloat32(0, value);
  return scratch.getInt32(0);
};
/** The nearest bfloat16, as the upper half of a word; ties go to the even one. */
const bf16 = (value: number): number => {
  const bits = asWord(value);
  return (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff_0000;
};

/** The nearest bfloat16 of a number as float32; ties go to the even one. */
export const nearestBfloat16 = (value: number): number =>
  Number.isNaN(value) ? value : asFloat(bf16(value));

/** Where the codes of a row's columns lie: bits from its start on. */
function placesOf(format: PackedFormat, columns: number): Int32Array {
  return Int32Array.from({ length: columns }, (_, column) => {
    const c = column % PACKED_GROUP;
    const s = Math.floor(c / LANES);
    const lane = c % LANES;
    const start = 32 * Math.floor(column / PACKED_GROUP) * codeWords(format);
    if (format === 'q8') return start + 8 * c;
    if (format === 'q4') return start + 32 * lane + 4 * s;
    return start + 32 * (LANES * Math.floor(s / 2) + lane) + 16 * (s % 2);
  });
}

/**
 * The words of a packed matrix for memory of its `PackedMatrix`, given its finite numbers row by row, each row `columns`
 * of them.
 */
export function packRows(
  format: PackedFormat,
  values: ArrayLike<number>,
  columns: number,
): Int32Array<ArrayBuffer> {
  const rows = values.length / columns;
  const stride = packedRowWords(format, columns);
  const words = new Int32Array(rows * stride);
  const places = placesOf(format, columns);
  const firstBlock = groupsOf(columns) * codeWords(format);
  const codes = new Int32Array(PACKED_BLOCK);
  for (let row = 0; row < rows; row++) {
    const out = words.subarray(row * stride, (row + 1) * stride);
    for (let c = 0; c < columns; c += PACKED_BLOCK) {
      const first = row * columns + c;
      const last = first + Math.min(PACKED_BLOCK, columns - c);
      if (format === 'bf16') {
        for (let i = first; i < last; i++) codes[i - first] = bf16(values[i]) >>> 16;
      } else {
        const block = format === 'q8' ? blockQ8 : blockQ4;
        out[firstBlock + c / PACKED_BLOCK] = block(values, first, last, codes);
      }
      for (let i = 0; i < last - first; i++) {
        const place = places[c + i];
        out[place >> 5] |= codes[i] << (place & 31);
      }
    }
  }
  return words;
}

/**
 * Chooses the word of a block, the numbers [first, last), and writes their codes, from 0 on, to `codes`. The largest number
 * has the code 127 or −127.
 */
function blockQ8(values: ArrayLike<number>, first: number, last: number, codes: Int32Array): number {
  let largest = 0;
  for (let i = first; i < last; i++) largest = Math.max(largest, Math.abs(values[i]));
  const word = asWord(largest / 127);
  const scale = asFloat(word);
  for (let i = first; i < last; i++)
    codes[i - first] = scale === 0 ? 0 : Math.round(clamp(values[i] / scale, -127, 127)) & 0xff;
  return word;
}

/** Parts of the distance from the smallest to the largest number by which the range of codes may end before them. */
const ENDS = [0, 0.07] as const;
/** The least scale is a normal number: processors are slow with those below. */
const LEAST_SCALE = 2 ** -126;

/** The same: of some ranges within that of the numbers, the one with the least sum of squared errors. */
function blockQ4(values: ArrayLike<number>, first: number, last: number, codes: Int32Array): number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = first; i < last; i++) {
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const below of ENDS) {
    for (const above of ENDS) {
      const word = wordQ4(low + below * (high - low), high - above * (high - low));
      const [scale, start] = [asFloat(word), asFloat(word << 16)];
      let error = 0;
      for (let i = first; i < last; i++) {
        const off = codeQ4(values[i], scale, start) * scale + start - values[i];
        error += off * off;
      }
      if (error < least) [best, least] = [word, error];
    }
  }
  const [scale, start] = [asFloat(best), asFloat(best << 16)];
  for (let i = first; i < last; i++) codes[i - first] = codeQ4(values[i], scale, start);
  return best;
}

/** The nearest code; half a code is added beforehand. */
function codeQ4(value: number, scale: number, start: number): number {
  const code = (value - start) / scale + 0.5;
  return code >= 16 ? 15 : code < 0 ? 0 : code | 0;
}

/** Codes from 0 to 15 stand for about [low, high]. */
function wordQ4(low: number, high: number): number {
  const nearest = bf16(low);
  // A step towards −∞ where it lies above.
  const offset = asFloat(nearest) > low ? nearest + (low < 0 ? 0x1_0000 : -0x1_0000) : nearest;
  return bf16(Math.max(LEAST_SCALE, (high - asFloat(offset)) / 15)) | (offset >>> 16);
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Whether the words of a matrix of so many columns stand for finite numbers: whole rows, one after another. */
export function isFinitePacked(format: PackedFormat, words: Int32Array, columns: number): boolean {
  const stride = packedRowWords(format, columns);
  const codes = groupsOf(columns) * codeWords(format);
  const end = codes + groupsOf(columns) * blockWords(format);
  const [first, last] = format === 'bf16' ? [0, codes] : [codes, end];
  const halves = format !== 'q8';
  for (let row = 0; row < words.length; row += stride) {
    for (let at = row + first; at < row + last; at++) {
      if ((words[at] & 0x7f80_0000) === 0x7f80_0000) return false;
      if (halves && (words[at] & 0x7f80) === 0x7f80) return false;
    }
  }
  return true;
}

/** The numbers of a packed row, given its words. */
export function unpackRow(
  format: PackedFormat,
  words: ArrayLike<number>,
  columns: number,
  start = 0,
): Float64Array<ArrayBuffer> {
  const values = new Float64Array(columns);
  const firstBlock = start + groupsOf(columns) * codeWords(format);
  placesOf(format, columns).forEach((place, c) => {
    const bit = place & 31;
    const word = words[start + (place >> 5)];
    if (format === 'bf16') values[c] = asFloat(bit === 0 ? word << 16 : word & 0xffff_0000);
    else {
      const block = words[firstBlock + Math.floor(c / PACKED_BLOCK)];
      values[c] =
        format === 'q8'
          ? ((word << (24 - bit)) >> 24) * asFloat(block)
          : ((word >>> bit) & 15) * asFloat(block) + asFloat(block << 16);
    }
  });
  return values;
}
