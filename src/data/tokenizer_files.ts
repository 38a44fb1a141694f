import { SubwordTokenizer, subwordFiles } from './subword/subword_tokenizer.ts';
import { parseTokenizerConfig } from './subword/tokenizer_config.ts';
import type { Tokenizer } from './tokenizer.ts';
import { createTokenizer, describeTokenizer } from './tokenizer_registry.ts';

/** The files of a tokenizer that models have; of one that is no tokenizer of Hugging Face the first alone. */
export const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
] as const;

/** Tokens that a model's configuration wants around texts. */
export interface TextBorders {
  /** Before each. */
  readonly startToken?: number | undefined;
  /** Each of them ends one. */
  readonly endTokens?: readonly number[];
}

/**
 * The tokenizer that files describe; undefined where there is no tokenizer.json. `place` goes before the names of files
 * in errors. Throws a config error that names the file and the key for what is damaged or unknown.
 *
 * @param contents As parsed, by name; of chat_template.jinja the text.
 */
export async function readTokenizer(
  contents: ReadonlyMap<string, unknown>,
  place = '',
  { startToken, endTokens }: TextBorders = {},
): Promise<Tokenizer | undefined> {
  if (!contents.has('tokenizer.json')) return undefined;
  const json = contents.get('tokenizer.json');
  const source = `${place}tokenizer.json`;
  const subword = subwordFiles(json);
  if (!subword) return createTokenizer(json, source);
  const config = [
    subword.config,
    contents.get('special_tokens_map.json'),
    contents.get('tokenizer_config.json'),
  ]
    .filter((part) => part !== undefined)
    .map((part) => parseTokenizerConfig(part, `${place}tokenizer_config.json`));
  const template = contents.get('chat_template.jinja');
  if (template !== undefined) config.push({ chat_template: template });
  return SubwordTokenizer.create(subword.tokenizer, {
    source,
    start: startToken,
    ends: endTokens ?? [],
    ...(config.length > 0 && { config: Object.assign({}, ...config) }),
  });
}

/** The files that `readTokenizer` rebuilds it from. Throws a usage error where nothing would. */
export function tokenizerFiles(tokenizer: Tokenizer): Map<string, unknown> {
  const subword = subwordFiles(tokenizer.toJSON());
  if (!subword) return new Map([['tokenizer.json', describeTokenizer(tokenizer)]]);
  const files = new Map([['tokenizer.json', subword.tokenizer]]);
  if (subword.config !== undefined) files.set('tokenizer_config.json', subword.config);
  return files;
}
