import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

/** What tokenizer_config.json says beside tokenizer.json; all other keys are kept as they are. */
export interface TokenizerConfig {
  readonly [key: string]: unknown;
}

/** Checks the content of a file. Throws a config error that begins with `source`. */
export function parseTokenizerConfig(json: unknown, source: string): TokenizerConfig {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as TokenizerConfig;
  throw new XlstmError('config', `${source}: expected an object, found ${quote(json)}`);
}

/** The names of special tokens by their part: 'bos_token' → '<s>'. A name is a text, or an object with one. */
export function namedTokens(config: TokenizerConfig): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  for (const [key, value] of Object.entries(config)) {
    if (!key.endsWith('_token') || key.startsWith('add_')) continue;
    const name = (value as { readonly content?: unknown } | null)?.content ?? value;
    if (typeof name === 'string') named.set(key, name);
  }
  return named;
}
