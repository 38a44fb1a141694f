import { BYTE_CHARACTERS } from './byte_alphabet.ts';
import { WORD_SPLITTER } from './words.ts';

/** The tokenizer.json of Hugging Face that has the ids of a `ByteTokenizer`: bytes, then the special tokens. */
export const byteTokenizerJson = (specials: readonly string[]): unknown =>
  byteLevelJson([...BYTE_CHARACTERS, ...specials], [], specials);

/**
 * The tokenizer.json of Hugging Face of a byte-level BPE: tokens by id, the special ones among them, and the pairs that are
 * merged, first ones first.
 */
export function byteLevelJson(
  tokens: readonly string[],
  merges: readonly (readonly [string, string])[],
  specials: readonly string[],
): unknown {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specials.map((content) => ({
      id: tokens.indexOf(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: WORD_SPLITTER,
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}
