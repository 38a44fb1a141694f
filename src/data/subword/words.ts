/**
 * Where texts are split before bytes are merged: contractions, words with the space before them, numbers, signs, white
 * space (Radford et al. 2019). In the syntax of tokenizer.json, where white space is Unicode's.
 */
const PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The part of tokenizer.json that splits so. */
export const WORD_SPLITTER = {
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: PATTERN }, behavior: 'Isolated', invert: false },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
};

/** The same for JavaScript, whose own `\s` has U+FEFF and lacks U+0085. */
const WORD = new RegExp(
  PATTERN.replaceAll('\\s', '\\p{White_Space}').replaceAll('\\S', '\\P{White_Space}'),
  'gu',
);

/** A word ends where white space begins: a text that is cut there has the same words. */
const WORD_END = /\P{White_Space}(?=\p{White_Space})/gu;

/** Characters that are split at once: a bound on the words that are held. */
const PIECE = 2 ** 20;

/** The words of a text, those of some characters at a time, whose number is given beside them. */
export function* splitWords(
  text: string,
): Generator<{ readonly words: readonly string[]; readonly characters: number }> {
  for (let from = 0; from < text.length; ) {
    const to = cutAfter(text, from + PIECE);
    yield { words: text.slice(from, to).match(WORD) ?? [], characters: to - from };
    from = to;
  }
}

function cutAfter(text: string, at: number): number {
  WORD_END.lastIndex = at;
  return WORD_END.test(text) ? WORD_END.lastIndex : text.length;
}

/** Whether a text is no more than one word, so that merging could make one token of it. */
export const isOneWord = (text: string): boolean => (text.match(WORD) ?? []).length === 1;

/** Values by word. A part of a text keeps the whole of it in memory, until it is a text of its own: keys are. */
export class WordMap<T> extends Map<string, T> {
  /** Sets the value of a word that is not there yet. */
  add(word: string, value: T): void {
    this.set(word.length < 13 ? word : JSON.parse(JSON.stringify(word)), value);
  }
}
