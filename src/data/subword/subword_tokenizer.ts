import { checkOption } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import { oneLine, quote } from '../../quote.ts';
import { concatIds, type StreamingDecoder, type Tokenizer, type TokenizerDescription } from '../tokenizer.ts';
import { invalidUtf8 } from '../utf8.ts';
import { BYTE_CHARACTERS } from './byte_alphabet.ts';
import { BytePieces } from './byte_pieces.ts';
import { chatTemplate, namedTokens, parseTokenizerConfig, type TokenizerConfig } from './tokenizer_config.ts';
import { isTokenizerJson, parseTokenizerJson, type TokenizerJson, templateStart } from './tokenizer_json.ts';
import { splitWords, WORD_SPLITTER, WordMap } from './words.ts';

/** What there is beside tokenizer.json. */
export interface SubwordOptions {
  /** The content of tokenizer_config.json, as parsed. Default: none. */
  readonly config?: unknown;
  /** The token that the model wants before a text. Default: the one that the files say, or none. */
  readonly start?: number | undefined;
  /** Tokens by which the model ends a text, besides the `eos_token` of the files. */
  readonly ends?: readonly number[];
  /** Names the file in errors. */
  readonly source?: string;
}

/** How conversations are written. */
export interface ChatFormat {
  /** In the language of Jinja, as `transformers` has them. */
  readonly template: string;
  /** The names of special tokens by their part, such as `bos_token`. */
  readonly tokens: Readonly<Record<string, string>>;
}

/** What is used of `Tokenizer` of @huggingface/tokenizers, whose own types do not resolve. */
interface Library {
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: (number | undefined)[] };
  decode(ids: readonly number[], options: { readonly clean_up_tokenization_spaces: boolean }): string;
}
type LibraryClass = new (json: unknown, config: unknown) => Library;

/** Words whose ids are kept, and the characters of the longest of them: some 50 MB. */
const MAX_WORDS = 2 ** 18;
const MAX_WORD_LENGTH = 64;

/** The type of its descriptions; checkpoints hold the files of Hugging Face instead. */
export const SUBWORD = 'subword';

/**
 * A tokenizer of subwords, as Hugging Face's tokenizer.json describes it: what the library @huggingface/tokenizers runs,
 * which is loaded when the first one is made. Texts are encoded without the tokens that a model wants around them:
 * `start` says which comes before them.
 */
export class SubwordTokenizer implements Tokenizer {
  /** One more than the largest id; some ids may stand for nothing. */
  readonly vocabSize: number;
  readonly specials: ReadonlyMap<string, number>;
  readonly start: number | undefined;
  readonly ends: ReadonlySet<number>;
  /** What `encodeChat` writes conversations with; undefined where the files have no template. */
  readonly chat: ChatFormat | undefined;
  readonly #json: TokenizerJson;
  readonly #config: TokenizerConfig | undefined;
  readonly #library: Library;
  /** The same without its normalizer, which could change bytes. */
  readonly #exact: Library;
  /** Undefined where the decoder is no byte-level one. */
  readonly #pieces: BytePieces | undefined;
  readonly #isToken: Uint8Array;
  /** Bytes that have no token, where there is no unknown one either: the library leaves them out without a word. */
  readonly #lacking: ReadonlySet<number>;
  /** Ids of words that were encoded before, where a text's ids are those of its words. */
  readonly #words: WordMap<readonly number[]> | undefined;

  private constructor(
    json: TokenizerJson,
    config: TokenizerConfig | undefined,
    library: Library,
    exact: Library,
    options: SubwordOptions,
  ) {
    const ids = vocabularyOf(json);
    const named = namedTokens(config ?? {});
    const special = new Set([
      ...json.added_tokens.filter((t) => t.special).map((t) => t.content),
      ...named.values(),
    ]);
    this.#json = json;
    this.#config = config;
    this.#library = library;
    this.#exact = exact;
    let largest = -1;
    for (const id of ids.values()) largest = Math.max(largest, id);
    this.vocabSize = largest + 1;
    this.specials = new Map([...ids].filter(([token]) => special.has(token)).sort(([, a], [, b]) => a - b));
    this.start = options.start ?? startOf(json, config ?? {}, ids, options.source ?? 'tokenizer.json');
    // Some configurations name an end that is a piece of text in this vocabulary, such as "!".
    const known = new Set(this.specials.values());
    const eos = ids.get(named.get('eos_token') ?? '');
    this.ends = new Set(
      [...(options.ends ?? []), ...(eos === undefined ? [] : [eos])].filter((id) => known.has(id)),
    );
    const template = chatTemplate(config ?? {});
    if (template !== undefined) this.chat = { template, tokens: Object.fromEntries(named) };
    this.#isToken = new Uint8Array(this.vocabSize);
    for (const id of ids.values()) this.#isToken[id] = 1;
    if (isByWords(json)) this.#words = new WordMap();
    if (json.decoder?.type === 'ByteLevel') this.#pieces = new BytePieces(json, ids, this.vocabSize);
    this.#lacking = new Set(this.#pieces && startsFromBytes(json, named) ? lackingBytes(ids) : []);
  }

  /**
   * Of the content of tokenizer.json, as parsed. Throws a config error that begins with `source` and names the key for
   * what is damaged or unknown.
   */
  static async create(json: unknown, options: SubwordOptions = {}): Promise<SubwordTokenizer> {
    const { source = 'tokenizer.json', config } = options;
    const checked = parseTokenizerJson(json, source);
    const settings = config === undefined ? undefined : parseTokenizerConfig(config, configBeside(source));
    const { Tokenizer } = (await import('@huggingface/tokenizers')) as unknown as { Tokenizer: LibraryClass };
    // Texts that spell a special token stay texts.
    const plain = { ...checked, added_tokens: checked.added_tokens.filter(({ special }) => !special) };
    const unknown = checked.model.unk_token ?? namedTokens(settings ?? {}).get('unk_token');
    const make = (described: unknown): Library => new Tokenizer(described, { unk_token: unknown });
    try {
      const library = make(plain);
      const exact = plain.normalizer === null ? library : make({ ...plain, normalizer: null });
      return new SubwordTokenizer(checked, settings, library, exact, options);
    } catch (error) {
      if (error instanceof XlstmError) throw error;
      throw new XlstmError(
        'config',
        `${source}: expected a tokenizer that can be run, found one whose parts fail: ${oneLine((error as Error).message, 160)}`,
      );
    }
  }

  /** The tokens of the text, special ones never. Throws a usage error for what is no text, a data error for what has no token. */
  encode(text: string): Int32Array {
    checkOption(typeof text === 'string', 'encode', 'a text', text);
    return this.#words ? this.#encodeWords(text, this.#words) : Int32Array.from(this.#encodeWhole(text));
  }

  /** The library takes microseconds for every word, also for one that it knows. */
  #encodeWords(text: string, known: WordMap<readonly number[]>): Int32Array {
    const encode = (word: string): readonly number[] => {
      const ids = this.#encodeWhole(word);
      if (known.size === MAX_WORDS) known.clear();
      if (word.length <= MAX_WORD_LENGTH) known.add(word, ids);
      return ids;
    };
    let encoded = new Int32Array(Math.ceil(text.length / 2) + 16);
    let end = 0;
    for (const { words } of splitWords(text)) {
      for (const word of words) {
        const ids = known.get(word) ?? encode(word);
        if (end + ids.length > encoded.length) {
          const larger = new Int32Array(2 * encoded.length + ids.length);
          larger.set(encoded);
          encoded = larger;
        }
        for (const id of ids) encoded[end++] = id;
      }
    }
    return encoded.slice(0, end);
  }

  #encodeWhole(text: string): readonly number[] {
    const { ids } = this.#library.encode(text, { add_special_tokens: false });
    if (ids.includes(undefined) || this.#lacks(text)) {
      throw new XlstmError(
        'data',
        'encode: the text holds what the tokenizer has no token for, and no unknown token',
      );
    }
    return ids as number[];
  }

  #lacks(text: string): boolean {
    if (this.#lacking.size === 0) return false;
    // What a tokenizer makes of a text first, such as spaces before it, is not seen here.
    return new TextEncoder().encode(text).some((byte) => this.#lacking.has(byte));
  }

  /** The text of tokens; of special ones their names. Throws a data error for an id that is none. */
  decode(ids: ArrayLike<number>): string {
    if (this.#pieces) {
      const decoder = this.decoder();
      let text = '';
      for (let index = 0; index < ids.length; index++) text += decoder.push(ids[index]);
      return text + decoder.flush();
    }
    for (let index = 0; index < ids.length; index++) this.#check(ids[index]);
    return this.#decodeWhole(Array.from(ids));
  }

  /**
   * The ids of bytes, UTF-8 or not, whose `decodeBytes` gives them back to the bit: those of `encode`, but that nothing is
   * normalized, and that what would not come back (bytes that are no UTF-8, a text before which this tokenizer puts a
   * space) is spelled byte by byte. Throws a usage error where the tokenizer's decoder is no byte-level one, and a data
   * error for a byte that has no token.
   */
  encodeBytes(bytes: Uint8Array): Int32Array {
    checkOption(bytes instanceof Uint8Array, 'encodeBytes', 'a Uint8Array', bytes);
    const pieces = this.#piecesFor('encodeBytes');
    const encoded: ArrayLike<number>[] = [];
    let from = 0;
    while (from < bytes.length) {
      const end = invalidUtf8(bytes, from);
      encoded.push(
        end > from
          ? this.#encodeRun(bytes.subarray(from, end), pieces)
          : pieces.spell(bytes.subarray(from, from + 1)),
      );
      from = Math.max(end, from + 1);
    }
    return concatIds(encoded);
  }

  /** UTF-8 in tokens of several bytes. */
  #encodeRun(run: Uint8Array, pieces: BytePieces): ArrayLike<number> {
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(run);
    const ids = this.#words
      ? this.#encodeWords(text, this.#words)
      : this.#exact.encode(text, { add_special_tokens: false }).ids;
    const known = Array.from(ids, (id) => id ?? -1);
    const back = pieces.join(known);
    const isSame = back.length === run.length && back.every((byte, at) => byte === run[at]);
    return isSame ? known : pieces.spell(run);
  }

  /**
   * The bytes of ids, of special ones those of their names. Throws a usage error where the tokenizer's decoder is no
   * byte-level one, and a data error for an id that is none.
   */
  decodeBytes(ids: ArrayLike<number>): Uint8Array {
    const pieces = this.#piecesFor('decodeBytes');
    for (let index = 0; index < ids.length; index++) this.#check(ids[index]);
    return pieces.join(ids);
  }

  #piecesFor(caller: string): BytePieces {
    if (this.#pieces) return this.#pieces;
    throw new XlstmError(
      'usage',
      `${caller}: expected a tokenizer with tokens for bytes, found one whose decoder is no byte-level one`,
      'Its tokens are texts: use encode and decode.',
    );
  }

  /**
   * For ids that come one by one and go on in a text: where `decode` leaves out the space before its first word, this
   * one gives it. Its `push` throws a data error for an id that is none.
   */
  decoder(): StreamingDecoder {
    return this.#pieces ? this.#byteDecoder(this.#pieces) : this.#windowDecoder();
  }

  toJSON(): TokenizerDescription {
    return { type: SUBWORD, tokenizer: this.#json, ...(this.#config && { config: this.#config }) };
  }

  #byteDecoder(pieces: BytePieces): StreamingDecoder {
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (id) => {
        this.#check(id);
        const piece = pieces.at(id);
        if (typeof piece === 'string') return utf8.decode() + piece;
        return piece ? utf8.decode(piece, { stream: true }) : '';
      },
      flush: () => utf8.decode(),
    };
  }

  /** What a token adds can depend on the one before it: each is decoded with those since the text last grew. */
  #windowDecoder(): StreamingDecoder {
    const word = this.#word();
    let given: number[] = word;
    let waiting: number[] = [];
    const rest = (): string => {
      const before = this.#decodeWhole(given);
      return this.#decodeWhole([...given, ...waiting]).slice(before.length);
    };
    return {
      push: (id) => {
        this.#check(id);
        waiting.push(id);
        const text = rest();
        if (text === '' || text.endsWith('\ufffd')) return '';
        given = waiting;
        waiting = [];
        return text;
      },
      flush: () => {
        const text = waiting.length > 0 ? rest() : '';
        given = word;
        waiting = [];
        return text;
      },
    };
  }

  /** A token that is a word, to decode others after: at the beginning of a text they lose their space. */
  #word(): number[] {
    for (const [token, id] of vocabularyOf(this.#json)) {
      if (/^[A-Za-z]+$/.test(token) && /^[A-Za-z]+$/.test(this.#decodeWhole([id]))) return [id];
    }
    return [];
  }

  #decodeWhole(ids: readonly number[]): string {
    const known = ids.filter((id) => this.#isToken[id] === 1);
    return known.length === 0 ? '' : this.#library.decode(known, { clean_up_tokenization_spaces: false });
  }

  #check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabSize) return;
    throw new XlstmError('data', `token ids of this tokenizer are 0 to ${this.vocabSize - 1}, found ${id}`);
  }
}

/** Rebuilds what `toJSON` or the files described; undefined for the description of another kind. */
export function subwordFiles(
  json: unknown,
): { readonly tokenizer: unknown; readonly config?: unknown } | undefined {
  if (isTokenizerJson(json)) return { tokenizer: json };
  const { type, tokenizer, config } = (json ?? {}) as Partial<TokenizerDescription>;
  return type === SUBWORD ? { tokenizer, config } : undefined;
}

/** Whether nothing changes texts before they are split, as `trainTokenizer` does it. */
const isByWords = ({ normalizer, pre_tokenizer, added_tokens }: TokenizerJson): boolean =>
  normalizer === null &&
  JSON.stringify(pre_tokenizer) === JSON.stringify(WORD_SPLITTER) &&
  added_tokens.every(({ special }) => special);

/** Whether each byte of a text needs a token of its own, before any are merged. */
const startsFromBytes = ({ model }: TokenizerJson, named: ReadonlyMap<string, string>): boolean =>
  model.type === 'BPE' && !model.ignore_merges && !(model.unk_token ?? named.get('unk_token'));

const lackingBytes = (ids: ReadonlyMap<string, number>): number[] =>
  BYTE_CHARACTERS.flatMap((character, byte) => (ids.has(character) ? [] : [byte]));

const configBeside = (source: string): string => source.replace(/[^/\\]*$/, 'tokenizer_config.json');

/** The token that the files put before a text. Throws a config error for one that is not in the vocabulary. */
function startOf(
  { post_processor }: TokenizerJson,
  config: TokenizerConfig,
  ids: ReadonlyMap<string, number>,
  source: string,
): number | undefined {
  const template = templateStart(post_processor);
  const named = config.add_bos_token === true ? namedTokens(config).get('bos_token') : undefined;
  const name = template ?? named;
  if (name === undefined) return undefined;
  const id = ids.get(name);
  if (id !== undefined) return id;
  const key =
    template === undefined
      ? `${configBeside(source)}: bos_token`
      : `${source}: post_processor: before a text`;
  throw new XlstmError('config', `${key}: expected a token of the vocabulary, found ${quote(name)}`);
}

/** Ids by token, added ones included. */
function vocabularyOf({ model: { vocab }, added_tokens }: TokenizerJson): Map<string, number> {
  const ids = new Map<string, number>(
    Array.isArray(vocab)
      ? vocab.map(([token], id): [string, number] => [token, id])
      : Object.entries(vocab as Record<string, number>),
  );
  for (const { content, id } of added_tokens) ids.set(content, id);
  return ids;
}
