/**
 * Where texts are split before bytes are merged: contractions, words with the space before them, numbers, signs, white
 * space (Radford et al. 2019). In the syntax of tokenizer.json, where white space is Unicode's.
 */
export const WORD_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The same for JavaScript, whose own `\s` has U+FEFF and lacks U+0085. */
const WORDS = new RegExp(
  WORD_PATTERN.replaceAll('\\s', '\\p{White_Space}').replaceAll('\\S', '\\P{White_Space}'),
  'gu',
);

/** A word ends where white space begins: a text that is cut there has the same words. */
const WORD_END = /\P{White_Space}(?=\p{White_Space})/gu;

/** Characters that are split at once: a bound on the words that are held beside those that were counted. */
const PIECE = 2 ** 20;

/** Whether a text is no more than one word, so that merging could make one token of it. */
export const isOneWord = (text: string): boolean => (text.match(WORDS) ?? []).length === 1;

/** How often each word is in a text, added to what was counted before. `onPiece` is told how many characters more are done. */
export function countWords(
  text: string,
  counts: Map<string, number>,
  onPiece: (characters: number) => void,
): void {
  for (let from = 0; from < text.length; ) {
    const to = cutAfter(text, from + PIECE);
    for (const word of text.slice(from, to).match(WORDS) ?? []) {
      const count = counts.get(word);
      counts.set(count === undefined ? copy(word) : word, (count ?? 0) + 1);
    }
    onPiece(to - from);
    from = to;
  }
}

function cutAfter(text: string, at: number): number {
  WORD_END.lastIndex = at;
  return WORD_END.test(text) ? WORD_END.lastIndex : text.length;
}

/** A part of a text keeps the whole of it in memory, until it is a text of its own. */
const copy = (word: string): string => (word.length < 13 ? word : JSON.parse(JSON.stringify(word)));
