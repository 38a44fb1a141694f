import { checkOption, checkWhole } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { byteLevelJson } from './byte_tokenizer_json.ts';
import { mergePairs } from './merges.ts';
import { SubwordTokenizer } from './subword_tokenizer.ts';
import { isOneWord, splitWords, WordMap } from './words.ts';

/** What a tokenizer is trained to be. */
export interface TokenizerTraining {
  /** Tokens at most: special ones, 256 bytes, and what is merged from these. */
  readonly vocabSize: number;
  /** Special tokens, which have the first ids. Default: none. */
  readonly specials?: readonly string[];
  /** Called after each part of the work: characters that were read, then tokens that are made. */
  readonly onProgress?: (progress: TokenizerProgress) => void;
}

/** How far training a tokenizer is. */
export interface TokenizerProgress {
  /** Counting the words of the texts, then merging their bytes. */
  readonly stage: 'reading' | 'merging';
  /** Characters that were read, or tokens that there are. */
  readonly done: number;
  /** How many there are to be; undefined of the characters of texts that come one by one. */
  readonly total: number | undefined;
}

/** A trained tokenizer and what the texts are by it. */
export interface TrainedTokenizer {
  /** What was trained. */
  readonly tokenizer: SubwordTokenizer;
  /** Tokens of all texts. */
  readonly tokens: number;
  /** Their bytes. */
  readonly bytes: number;
}

/** More tokens than any text wants: the files of larger ones are refused. */
export const MAX_VOCABULARY = 2 ** 18;

/**
 * A tokenizer of subwords for some texts: byte-level BPE, so that every text has tokens and comes back from them as it
 * was. Pairs that are in the texts once are not merged: small texts have fewer tokens than asked for. The same
 * texts give the same tokenizer. Throws a usage error for a vocabulary without room for the bytes, and for special tokens that
 * are empty, the same, or a word that texts may hold.
 *
 * @param texts What it is trained on: an array, or what gives one text after another, of which only words are held.
 * @param options Its size, and more.
 */
export async function trainTokenizer(
  texts: readonly string[] | AsyncIterable<string>,
  { vocabSize, specials = [], onProgress = () => {} }: TokenizerTraining,
): Promise<TrainedTokenizer> {
  checkSpecials(specials);
  checkWhole('vocabSize', vocabSize, 256 + specials.length, MAX_VOCABULARY);
  const counts = new WordMap<number>();
  const total = 'reduce' in texts ? texts.reduce((sum, text) => sum + text.length, 0) : undefined;
  let done = 0;
  for await (const text of texts) {
    for (const { words, characters } of splitWords(text)) {
      for (const word of words) {
        const count = counts.get(word);
        if (count === undefined) counts.add(word, 1);
        else counts.set(word, count + 1);
      }
      done += characters;
      onProgress({ stage: 'reading', done, total });
    }
  }
  const { tokens, merges, tokenCount, byteCount } = mergePairs(counts, vocabSize, specials, (made) =>
    onProgress({ stage: 'merging', done: made, total: vocabSize }),
  );
  const tokenizer = await SubwordTokenizer.create(byteLevelJson(tokens, merges, specials));
  return { tokenizer, tokens: tokenCount, bytes: byteCount };
}

function checkSpecials(specials: readonly string[]): void {
  const names = Array.isArray(specials) && specials.every((name) => typeof name === 'string' && name !== '');
  checkOption(
    names && new Set(specials).size === specials.length,
    'specials',
    'distinct, non-empty names',
    specials,
  );
  const word = specials.find(isOneWord);
  if (word === undefined) return;
  throw new XlstmError(
    'usage',
    `specials: expected names that no text makes a token of, found ${quote(word)}, which is a word`,
    'Put signs around it: <|name|>.',
  );
}
