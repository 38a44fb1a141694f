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
const asFloat = (word: number): number => {
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

/** Where the code of a column lies: word of the row, and bit of the word. */
function placeOf(format: PackedFormat, column: number): [word: number, bit: number] {
  const group = Math.floor(column / PACKED_GROUP);
  const c = column % PACKED_GROUP;
  const start = group * codeWords(format);
  const s = Math.floor(c / LANES);
  const lane = c % LANES;
  if (format === 'q8') return [start + Math.floor(c / 4), 8 * (c % 4)];
  if (format === 'q4') return [start + lane, 4 * s];
  return [start + LANES * Math.floor(s / 2) + lane, 16 * (s % 2)];
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
  for (let row = 0; row < rows; row++) {
    const out = words.subarray(row * stride, (row + 1) * stride);
    const from = row * columns;
    if (format === 'bf16') {
      for (let c = 0; c < columns; c++) {
        const [word, bit] = placeOf(format, c);
        out[word] |= (bf16(values[from + c]) >>> 16) << bit;
      }
      continue;
    }
    const firstBlock = groupsOf(columns) * codeWords(format);
    for (let first = 0; first < columns; first += PACKED_BLOCK) {
      const last = Math.min(columns, first + PACKED_BLOCK);
      const block = format === 'q8' ? blockQ8(values, from, first, last) : blockQ4(values, from, first, last);
      out[firstBlock + first / PACKED_BLOCK] = block.word;
      for (let c = first; c < last; c++) {
        const [word, bit] = placeOf(format, c);
        out[word] |= (block.code(values[from + c]) & (2 ** CODE_BITS[format] - 1)) << bit;
      }
    }
  }
  return words;
}

interface Block {
  readonly word: number;
  code(value: number): number;
}

/** The largest number has the code 127 or −127. */
function blockQ8(values: ArrayLike<number>, from: number, first: number, last: number): Block {
  let largest = 0;
  for (let c = first; c < last; c++) largest = Math.max(largest, Math.abs(values[from + c]));
  const word = asWord(largest / 127);
  const scale = asFloat(word);
  return { word, code: (value) => (scale === 0 ? 0 : clamp(Math.round(value / scale), -127, 127)) };
}

/** Ends of the range of codes that are tried: parts of the distance from the smallest to the largest number. */
const ENDS = [0, 0.04, 0.08, 0.12];

/** Of some ranges within that of the numbers, the one with the least sum of squared errors. */
function blockQ4(values: ArrayLike<number>, from: number, first: number, last: number): Block {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let c = first; c < last; c++) {
    low = Math.min(low, values[from + c]);
    high = Math.max(high, values[from + c]);
  }
  let best: Block | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const below of ENDS) {
    for (const above of ENDS) {
      const block = rangeQ4(low + below * (high - low), high - above * (high - low));
      let error = 0;
      for (let c = first; c < last; c++) {
        const value = values[from + c];
        error += (block.value(block.code(value)) - value) ** 2;
      }
      if (error < least) [best, least] = [block, error];
    }
  }
  return best as Block;
}

/** The least scale is a normal number: processors are slow with those below. */
const LEAST_SCALE = 2 ** -126;

function rangeQ4(low: number, high: number): Block & { value(code: number): number } {
  const nearest = bf16(low);
  // A step towards −∞ where it lies above.
  const offset = asFloat(nearest) > low ? nearest + (low < 0 ? 0x1_0000 : -0x1_0000) : nearest;
  const start = asFloat(offset);
  const word = bf16(Math.max(LEAST_SCALE, (high - start) / 15)) | (offset >>> 16);
  const scale = asFloat(word);
  return {
    word,
    code: (value) => clamp(Math.round((value - start) / scale), 0, 15),
    value: (code) => code * scale + start,
  };
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** The numbers of a packed row, given its words. */
export function unpackRow(
  format: PackedFormat,
  words: ArrayLike<number>,
  columns: number,
  start = 0,
): Float64Array<ArrayBuffer> {
  const values = new Float64Array(columns);
  const firstBlock = start + groupsOf(columns) * codeWords(format);
  for (let c = 0; c < columns; c++) {
    const [place, bit] = placeOf(format, c);
    const word = words[start + place];
    if (format === 'bf16') values[c] = asFloat(bit === 0 ? word << 16 : word & 0xffff_0000);
    else {
      const block = words[firstBlock + Math.floor(c / PACKED_BLOCK)];
      values[c] =
        format === 'q8'
          ? ((word << (24 - bit)) >> 24) * asFloat(block)
          : ((word >>> bit) & 15) * asFloat(block) + asFloat(block << 16);
    }
  }
  return values;
}
