/** Lengths of the pieces that a sequence is read in, so that any length takes a few Programs. */
const LENGTHS = [256, 128, 64, 32, 16, 8, 4, 2, 1] as const;

/** The longest piece for so many tokens, of at most `most`. */
export const pieceLength = (tokens: number, most: number = LENGTHS[0]): number =>
  LENGTHS.find((length) => length <= Math.min(tokens, most)) ?? 1;
