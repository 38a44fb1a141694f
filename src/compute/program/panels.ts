import { PANEL_ROWS } from './constants.ts';
import { asFloat } from './packing.ts';

/**
 * Matrices in bfloat16 as products of bfloat16 read them: strips of 16 rows, and of a strip for each two columns a word of
 * each of its rows, the even column in the lower half. So a vector of words has two columns of 16 rows, and a product
 * packs nothing.
 */
export const panelRowWords = (columns: number): number => Math.ceil(columns / 2);

/** The words of whole strips, given their numbers row by row. */
export function packPanels(values: ArrayLike<number>, columns: number): Int32Array<ArrayBuffer> {
  const rows = values.length / columns;
  const stride = panelRowWords(columns);
  const words = new Int32Array(rows * stride);
  const bits = new Int32Array(Float32Array.from(values).buffer);
  for (let row = 0; row < rows; row++) {
    const strip = row - (row % PANEL_ROWS);
    const to = strip * stride + (row - strip);
    const from = row * columns;
    for (let c = 0; c < columns; c++) {
      const x = bits[from + c];
      // To the nearest, ties to the even one.
      const half = ((x + 0x7fff + ((x >>> 16) & 1)) >>> 16) & 0xffff;
      words[to + (c >> 1) * PANEL_ROWS] |= c % 2 === 0 ? half : half << 16;
    }
  }
  return words;
}

/** The number of a row and column, given all words. */
export function panelNumber(words: ArrayLike<number>, columns: number, row: number, column: number): number {
  const lane = row % PANEL_ROWS;
  const word = words[(row - lane) * panelRowWords(columns) + (column >> 1) * PANEL_ROWS + lane];
  return asFloat(column % 2 === 0 ? word << 16 : word & 0xffff_0000);
}

/** Whether all words stand for finite numbers. */
export const isFinitePanels = (words: Int32Array): boolean =>
  words.every((word) => (word & 0x7f80_0000) !== 0x7f80_0000 && (word & 0x7f80) !== 0x7f80);
