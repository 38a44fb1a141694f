import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

/** A token beside the model's own, which is found in texts before they are split. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** It stands for something that is no text. */
  readonly special: boolean;
}

/** What tokenizer.json of Hugging Face holds: checked, with its optional keys. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: Part | null;
  readonly pre_tokenizer: Part | null;
  readonly post_processor: Part | null;
  readonly decoder: Part | null;
  readonly model: Part & { readonly vocab: unknown; readonly unk_token?: unknown };
  readonly [key: string]: unknown;
}

/** One of its parts: what it is, and what that needs. */
export interface Part {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** Throws the error of a key. */
type Fail = (key: string, expected: string, found: unknown) => never;

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether the content of tokenizer.json is Hugging Face's and not that of a registered tokenizer. */
export const isTokenizerJson = (json: unknown): boolean =>
  isObject(json) && json.type === undefined && 'model' in json;

/** The parts that can be run, and where a sequence of them holds its members. */
const PARTS = {
  normalizer: {
    members: 'normalizers',
    types:
      'BertNormalizer Lowercase NFC NFD NFKC NFKD Precompiled Prepend Replace Sequence Strip StripAccents',
  },
  pre_tokenizer: {
    members: 'pretokenizers',
    types:
      'BertPreTokenizer ByteLevel Digits FixedLength Metaspace Punctuation Replace Sequence Split Whitespace WhitespaceSplit',
  },
  post_processor: {
    members: 'processors',
    types: 'BertProcessing ByteLevel RobertaProcessing Sequence TemplateProcessing',
  },
  decoder: {
    members: 'decoders',
    types: 'BPEDecoder ByteFallback ByteLevel CTC Fuse Metaspace Replace Sequence Strip WordPiece',
  },
} as const;
const MODELS = ['BPE', 'Unigram', 'WordLevel', 'WordPiece'];
const SPLITS = ['Isolated', 'Removed'];

/** More tokens than any vocabulary has. */
const MAX_TOKENS = 2 ** 24;

/** Checks what is read. Throws a config error that begins with `source` and names the key. */
export function parseTokenizerJson(json: unknown, source: string): TokenizerJson {
  const fail: Fail = (key, expected, found) => {
    throw new XlstmError('config', `${source}: ${key}: expected ${expected}, found ${quote(found)}`);
  };
  if (!isObject(json)) {
    throw new XlstmError(
      'config',
      `${source}: expected a tokenizer.json of Hugging Face, found ${quote(json)}`,
    );
  }
  const checkPart = (kind: keyof typeof PARTS, part: unknown, key: string): void => {
    const { members, types } = PARTS[kind];
    const known = types.split(' ');
    if (!isObject(part) || !known.includes(part.type as string)) {
      const type = isObject(part) ? part.type : part;
      fail(`${key}.type`, `one of ${known.join(', ')}`, type);
    }
    const { type, behavior, single, [members]: list } = part as Json;
    if (type === 'Sequence') {
      if (!Array.isArray(list)) fail(`${key}.${members}`, 'a list', list);
      for (const [i, member] of (list as unknown[]).entries())
        checkPart(kind, member, `${key}.${members}[${i}]`);
    }
    if (type === 'TemplateProcessing' && !Array.isArray(single)) fail(`${key}.single`, 'a list', single);
    if (type === 'Split' && !SPLITS.includes(behavior as string)) {
      fail(`${key}.behavior`, `one of ${SPLITS.join(', ')}`, behavior);
    }
  };
  for (const kind of Object.keys(PARTS) as (keyof typeof PARTS)[]) {
    if (json[kind] !== undefined && json[kind] !== null) checkPart(kind, json[kind], kind);
  }
  const { model, added_tokens = [] } = json;
  if (!isObject(model)) return fail('model', 'an object', model);
  const guessed = 'merges' in model ? 'BPE' : Array.isArray(model.vocab) ? 'Unigram' : undefined;
  const type = (model.type ?? guessed) as string;
  if (!MODELS.includes(type)) fail('model.type', `one of ${MODELS.join(', ')}`, model.type);
  checkVocabulary(model, type, fail);
  if (!Array.isArray(added_tokens)) return fail('added_tokens', 'a list', added_tokens);
  for (const [i, token] of added_tokens.entries()) {
    const { id, content } = isObject(token) ? token : {};
    if (typeof content !== 'string' || content === '') fail(`added_tokens[${i}].content`, 'a text', content);
    if (!isId(id)) fail(`added_tokens[${i}].id`, 'a token id', id);
  }
  const { unk_token: unknown = null, vocab } = model;
  const known =
    unknown === null ||
    unknown === '' ||
    (typeof unknown === 'string' && isObject(vocab) && Object.hasOwn(vocab, unknown)) ||
    added_tokens.some(({ content }) => content === unknown);
  if (!known) fail('model.unk_token', 'a token of the vocabulary', unknown);
  return {
    ...json,
    normalizer: (json.normalizer ?? null) as Part | null,
    pre_tokenizer: (json.pre_tokenizer ?? null) as Part | null,
    post_processor: (json.post_processor ?? null) as Part | null,
    decoder: (json.decoder ?? null) as Part | null,
    added_tokens: added_tokens.map((token) => ({ ...token, special: token.special === true })),
    model: { ...model, type, vocab: model.vocab },
  };
}

const isId = (id: unknown): boolean =>
  Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_TOKENS;

function checkVocabulary({ vocab, merges }: Json, type: string, fail: Fail): void {
  if (type === 'Unigram') {
    const isEntry = (entry: unknown): boolean =>
      Array.isArray(entry) && typeof entry[0] === 'string' && typeof entry[1] === 'number';
    const entries: readonly unknown[] = Array.isArray(vocab)
      ? vocab
      : fail('model.vocab', 'a list of tokens with scores', vocab);
    const wrong = entries.findIndex((entry) => !isEntry(entry));
    if (wrong >= 0) fail(`model.vocab[${wrong}]`, 'a token with its score', entries[wrong]);
    return;
  }
  const ids = isObject(vocab) ? vocab : fail('model.vocab', 'ids by token', vocab);
  const names = new Map<unknown, string>();
  for (const [token, id] of Object.entries(ids)) {
    if (!isId(id)) fail(`model.vocab[${quote(token)}]`, 'a token id', id);
    const other = names.get(id);
    if (other !== undefined)
      fail(`model.vocab[${quote(token)}]`, `an id that is not that of ${quote(other)}`, id);
    names.set(id, token);
  }
  if (type !== 'BPE') return;
  const pairs: readonly unknown[] = Array.isArray(merges)
    ? merges
    : fail('model.merges', 'a list of pairs of tokens', merges);
  for (const [i, merge] of pairs.entries()) {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    const right =
      Array.isArray(pair) && pair.length === 2 && pair.every((token) => Object.hasOwn(ids, token));
    if (!right) fail(`model.merges[${i}]`, 'two tokens of the vocabulary', merge);
  }
}

/** The special token that the file puts before a text: its name; undefined where it puts none. */
export function templateStart(part: Part | null): string | undefined {
  if (part?.type === 'Sequence') {
    for (const member of part.processors as Part[]) {
      const start = templateStart(member);
      if (start !== undefined) return start;
    }
  }
  if (part?.type === 'TemplateProcessing') {
    const [first] = Array.isArray(part.single) ? part.single : [];
    return first?.SpecialToken?.id;
  }
  if (part?.type === 'BertProcessing' || part?.type === 'RobertaProcessing') {
    return Array.isArray(part.cls) ? part.cls[0] : undefined;
  }
  return undefined;
}
