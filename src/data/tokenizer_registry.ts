import { checkOption } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';
import { subwordFiles } from './subword/subword_tokenizer.ts';
import { ByteTokenizer, type Tokenizer, type TokenizerDescription } from './tokenizer.ts';

/** A kind of tokenizer: how one is rebuilt from what its `toJSON` gave. */
export interface TokenizerKind {
  /** The `type` of its descriptions. */
  readonly type: string;
  /** Checks a description and builds the tokenizer. Throws a config error that begins with `source`. */
  parse(description: TokenizerDescription, source: string): Tokenizer;
}

const byteKind: TokenizerKind = {
  type: 'byte',
  parse({ specials }, source) {
    if (Array.isArray(specials) && specials.every((name) => typeof name === 'string')) {
      return new ByteTokenizer(specials, source);
    }
    throw new XlstmError('config', `${source}: specials: expected a list of names, found ${quote(specials)}`);
  },
};

const registered = new Map<string, TokenizerKind>([[byteKind.type, byteKind]]);

/**
 * Makes a kind of tokenizer of one's own known, so that checkpoints with it can be loaded. Returns it. Throws a usage
 * error where a part is missing or the type is another one's.
 */
export function registerTokenizer(kind: TokenizerKind): TokenizerKind {
  const { type, parse } = kind;
  checkOption(typeof type === 'string' && /^[^\p{C}]{1,80}$/u.test(type), 'type', 'a printable name', type);
  checkOption(typeof parse === 'function', `${type}: parse`, 'a function', parse);
  if ((registered.get(type) ?? kind) !== kind) {
    throw new XlstmError('usage', `the type ${quote(type)} is another tokenizer's`, 'Choose another name.');
  }
  registered.set(type, kind);
  return kind;
}

/** Rebuilds the tokenizer that `toJSON` described. Throws a config error that begins with `source` for another thing. */
export function createTokenizer(description: unknown, source = 'tokenizer'): Tokenizer {
  const { type } = (description ?? {}) as Partial<TokenizerDescription>;
  const kind = registered.get(type as string);
  if (kind) return kind.parse(description as TokenizerDescription, source);
  throw new XlstmError(
    'config',
    `${source}: expected a description with a type among ${[...registered.keys()].join(', ')}; found ${quote(description)}`,
    subwordFiles(description)
      ? 'One of Hugging Face is made with await SubwordTokenizer.create(json).'
      : 'A tokenizer of your own has to be registered first: registerTokenizer({ type, parse }).',
  );
}

/** What is stored of a tokenizer. Throws a usage error where nothing would rebuild it. */
export function describeTokenizer(tokenizer: Tokenizer): TokenizerDescription {
  const description = tokenizer.toJSON();
  if (registered.has(description?.type)) return description;
  throw new XlstmError(
    'usage',
    `the tokenizer describes itself as type ${quote(description?.type)}, from which none can be rebuilt; known are ${[...registered.keys()].join(', ')}`,
    'Register its type: registerTokenizer({ type, parse }).',
  );
}
