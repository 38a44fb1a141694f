import * as v from 'valibot';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

/** Where a configuration comes from decides how its keys are spelled. */
export type Spelling = 'options' | 'official' | 'flat';

export type Kind = keyof typeof kinds | readonly string[];

/** One key of a configuration: its path in the type, in official and in flat files, its kind and its default. */
export interface Field {
  readonly path: string;
  readonly official: string;
  /** Absent: flat files cannot say it. */
  readonly flat?: string;
  /** An option that stands for several fields; the field's own path goes before it. */
  readonly both?: string;
  readonly kind: Kind;
  /** The value when the key is not there; undefined: the key is required. */
  readonly absent?: unknown;
  /** Written to files only when the value differs from `absent`. */
  readonly unlessAbsent?: true;
}

/** The paths of a configuration's values: 'slstm.feedforward.bias'. */
type PathOf<C> = {
  [K in keyof C & string]: C[K] extends boolean | string | number | null | readonly number[]
    ? K
    : `${K}.${PathOf<C[K]>}`;
}[keyof C & string];

type At<C, P> = P extends `${infer K}.${infer Rest}`
  ? At<C[K & keyof C], Rest>
  : P extends keyof C
    ? C[P]
    : never;

/** The kinds whose values have this type. */
type KindOf<T> = [T] extends [boolean]
  ? 'flag'
  : [T] extends [string]
    ? readonly T[]
    : [T] extends [number]
      ? 'size' | 'taps' | 'tapsOrNone' | 'depth' | 'factor' | 'rate' | 'length'
      : null extends T
        ? 'bound' | 'token'
        : 'blocks' | 'tokens';

/** A field of this configuration: its kind and its default have the type that its path has. */
export type FieldOf<C> = {
  [P in PathOf<C>]: Field & { readonly path: P; readonly kind: KindOf<At<C, P>>; readonly absent?: At<C, P> };
}[PathOf<C>];

declare const configuration: unique symbol;
/** All fields of a configuration: what they read has its type. */
export type FieldsOf<C> = readonly Field[] & { readonly [configuration]?: C };

/** All fields of a configuration; a list that lacks one does not compile. */
export const allFieldsOf =
  <C>() =>
  <const F extends readonly FieldOf<C>[]>(
    fields: F & (PathOf<C> extends F[number]['path'] ? unknown : Exclude<PathOf<C>, F[number]['path']>),
  ): FieldsOf<C> =>
    fields;

type Schema = v.GenericSchema<unknown, unknown>;
type Tree = Map<string, Schema | Tree>;

/** Widths, vocabularies, heads, taps: the product of two of them is exact, and far beyond any model. */
export const MAX_SIZE = 2 ** 24;
/** Taps that the convolution's kernels take, forward and backward. */
const MAX_TAPS = 1024;
/** A block takes time and memory before its weights are looked at. */
export const MAX_BLOCKS = 4096;

const whole = (least: number, expected: string, most: number): Schema =>
  v.pipe(
    v.number(expected),
    v.safeInteger(expected),
    v.minValue(least, expected),
    v.maxValue(most, `at most ${most}`),
  );
const taps = whole(2, `a whole number from 2 to ${MAX_TAPS}`, MAX_TAPS);
const positive = 'a number above 0';
const factor: Schema = v.pipe(v.number(positive), v.finite(positive), v.gtValue(0, positive));
const fraction = 'a fraction from 0 up to, not including, 1';
const isToken = (value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < MAX_SIZE;
const blockList = 'a list of block numbers from 0 on, or "all"';

/** Length before content: a list may be as long as its file. */
const isBlockList = (value: unknown): boolean =>
  value === 'all' ||
  (Array.isArray(value) &&
    value.length <= MAX_BLOCKS &&
    value.every((block) => Number.isSafeInteger(block) && block >= 0));

/** The message of a schema says what is expected; the error adds where and what was found. */
const kinds = {
  size: whole(1, 'a whole number above 0', MAX_SIZE),
  taps,
  tapsOrNone: v.pipe(
    v.unknown(),
    v.check(
      (value) => value === 0 || v.is(taps, value),
      `0 (no convolution) or a whole number from 2 to ${MAX_TAPS}`,
    ),
  ),
  depth: whole(1, 'a whole number above 0', MAX_BLOCKS),
  factor,
  rate: v.pipe(v.number(fraction), v.minValue(0, fraction), v.ltValue(1, fraction)),
  flag: v.boolean('true or false'),
  bound: v.nullable(factor),
  // -1 is how official files leave the length open.
  length: v.pipe(
    v.unknown(),
    v.check(
      (value) => value === -1 || (Number.isSafeInteger(value) && (value as number) >= 1),
      'a whole number above 0',
    ),
  ),
  blocks: v.pipe(v.unknown(), v.check(isBlockList, blockList)),
  token: v.pipe(
    v.unknown(),
    v.check((value) => value === null || isToken(value), 'the number of a token, or null for none'),
  ),
  tokens: v.pipe(
    v.unknown(),
    v.check(
      (value) => Array.isArray(value) && value.length <= 1024 && value.every(isToken),
      'a list of the numbers of tokens',
    ),
  ),
} satisfies Record<string, Schema>;

function schemaOf(kind: Kind): Schema {
  if (typeof kind === 'string') return kinds[kind];
  return v.picklist(kind, `one of ${kind.map((name) => JSON.stringify(name)).join(', ')}`);
}

/** Values that the official code computes from the other keys and leaves in files that it writes. */
const derived = ['_num_blocks', '_block_idx', '_block_map', '_inner_embedding_dim', '_proj_up_dim'];

/** How the official sLSTM kernels run on their device; nothing here depends on it. */
const execution = [
  'backend',
  'batch_size',
  'input_shape',
  'internal_input_shape',
  'output_shape',
  'dtype',
  'dtype_a',
  'dtype_b',
  'dtype_g',
  'dtype_r',
  'dtype_s',
  'dtype_w',
  'enable_automatic_mixed_precision',
];

/** Keys of official files for which there is one value here. */
const fixed: Readonly<Record<string, readonly unknown[]>> = {
  'mlstm_block.mlstm.round_proj_up_dim_up': [true],
  'slstm_block.slstm.num_gates': [4],
  'slstm_block.slstm.num_states': [2, 4],
  'slstm_block.slstm.initial_val': [0],
  'slstm_block.slstm.forward_clipval': [null],
  'slstm_block.feedforward.round_proj_up_dim_up': [true],
  'slstm_block.feedforward.ff_type': ['ffn_gated'],
};

/** Keys that official files repeat inside blocks, where the outer value counts: [outer key, "not set" values]. */
const inherited: Readonly<Record<string, readonly [outer: string, ...unset: unknown[]]>> = {
  'mlstm_block.mlstm.embedding_dim': ['embedding_dim', -1],
  'mlstm_block.mlstm.context_length': ['context_length', -1],
  'mlstm_block.mlstm.dropout': ['dropout', 0],
  'mlstm_block.mlstm.bias': ['bias', false],
  'slstm_block.slstm.embedding_dim': ['embedding_dim', -1],
  'slstm_block.slstm.hidden_size': ['embedding_dim', -1],
  'slstm_block.slstm.dropout': ['dropout', 0],
  'slstm_block.feedforward.embedding_dim': ['embedding_dim', -1],
};

/** The path of a field as the input spells it. */
export function spelled(fields: readonly Field[], path: string, spelling: Spelling, input: object): string {
  const field = fields.find((candidate) => candidate.path === path);
  if (spelling !== 'options') return field?.[spelling] ?? path;
  const both = field?.both;
  return both !== undefined && lookUp(input, path) === undefined && lookUp(input, both) !== undefined
    ? both
    : path;
}

/** Whether a configuration that is not nested has keys that only programs spell so. */
export function fileOrProgram(fields: readonly Field[], input: object): 'options' | 'flat' {
  const ofPrograms = fields
    .flatMap(({ path, both = '' }) => [path, both])
    .filter((key) => /^[a-z]+[A-Z]/.test(key));
  return ofPrograms.some((key) => Object.hasOwn(input, key)) ? 'options' : 'flat';
}

/** A configuration as the official layout spells it. */
export function formatFields(fields: readonly Field[], config: object): Record<string, unknown> {
  const file: Record<string, unknown> = {};
  for (const field of fields) {
    const value = lookUp(config, field.path);
    if (!(field.unlessAbsent && value === field.absent)) setAt(file, field.official, value);
  }
  return file;
}

function setAt(tree: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split('.');
  let node = tree;
  for (const key of keys.slice(0, -1)) {
    node[key] ??= {};
    node = node[key] as Record<string, unknown>;
  }
  node[keys[keys.length - 1]] = value;
}

/** Checks each key of the input by itself and returns the configuration; extras are checked alone. */
export function readFields<C>(
  fields: FieldsOf<C>,
  input: object,
  source: string,
  spelling: Spelling,
  extras: Readonly<Record<string, Kind>> = {},
): C {
  const known: Tree = new Map();
  for (const field of fields) {
    if (spelling === 'options' && field.both) insert(known, field.both, schemaOf(field.kind));
    const path = spelling === 'options' ? field.path : field[spelling];
    // A flat key may stand for several fields: the first, stricter one checks it.
    if (path !== undefined && !known.has(path)) insert(known, path, schemaOf(field.kind));
  }
  for (const [path, kind] of Object.entries(extras)) insert(known, path, schemaOf(kind));
  const present = spelling === 'official' ? readOfficial(known, input, source) : input;

  const result = v.safeParse(objectSchema(known), present, { abortEarly: true });
  if (!result.success) throw issueError(result.issues[0], known, source);

  const config: Record<string, unknown> = {};
  for (const field of fields) {
    const own = spelling === 'options' ? field.path : field[spelling];
    let value = own === undefined ? undefined : lookUp(present, own);
    if (value === undefined && spelling === 'options' && field.both) value = lookUp(present, field.both);
    if (value === undefined || (field.kind === 'length' && value === -1)) value = field.absent;
    if (value === undefined) {
      throw new XlstmError('config', `${source}: ${own}: expected ${messageOf(field.kind)}, found nothing`);
    }
    setAt(config, field.path, Array.isArray(value) ? value.toSorted((a, b) => a - b) : value);
  }
  return config as C; // FieldsOf<C> has a field of the right kind for every value of C.
}

/**
 * Adds the keys that official files have besides the fields and checks those with one sound value. A file without
 * mLSTM blocks means that every block is an sLSTM.
 */
function readOfficial(known: Tree, input: object, source: string): object {
  const file: Record<string, unknown> = { ...input };
  for (const block of ['mlstm_block', 'slstm_block']) if (file[block] === null) delete file[block];

  for (const name of derived) {
    for (const at of ['', 'mlstm_block.', 'mlstm_block.mlstm.', 'slstm_block.', 'slstm_block.slstm.']) {
      insert(known, at + name, v.unknown());
    }
    insert(known, `slstm_block.feedforward.${name}`, v.unknown());
  }
  for (const name of execution) insert(known, `slstm_block.slstm.${name}`, v.unknown());
  for (const [path, values] of Object.entries(fixed)) {
    const expected = values.map((value) => JSON.stringify(value)).join(' or ');
    insert(known, path, oneOf(values, expected));
  }
  for (const [path, [outer, ...unset]] of Object.entries(inherited)) {
    const value = lookUp(file, outer);
    const expected = `the value of ${outer}, which counts for the whole model (${quote(value)})`;
    insert(known, path, oneOf([value, ...unset, null], expected));
  }

  const blocks = file.num_blocks ?? 1;
  if (file.mlstm_block === undefined) {
    const at = file.slstm_at;
    const every =
      at === undefined || at === 'all' || (Array.isArray(at) && (at.length === 0 || at.length === blocks));
    if (!every) {
      throw new XlstmError(
        'config',
        `${source}: mlstm_block: expected the mLSTM blocks' configuration, found nothing, and slstm_at leaves blocks to mLSTM: ${quote(at)}`,
      );
    }
    file.slstm_at = 'all';
  }
  const at = file.slstm_at;
  if (file.slstm_block === undefined && at !== undefined && !(Array.isArray(at) && at.length === 0)) {
    throw new XlstmError(
      'config',
      `${source}: slstm_block: expected the sLSTM blocks' configuration, found nothing, and slstm_at is ${quote(at)}`,
    );
  }
  return file;
}

const oneOf = (values: readonly unknown[], expected: string): Schema =>
  v.pipe(
    v.unknown(),
    v.check((value) => values.includes(value), expected),
  );

function insert(tree: Tree, path: string, schema: Schema): void {
  const keys = path.split('.');
  let node = tree;
  for (const key of keys.slice(0, -1)) {
    const child = node.get(key) ?? new Map();
    node.set(key, child);
    node = child as Tree;
  }
  node.set(keys[keys.length - 1], schema);
}

function objectSchema(tree: Tree): Schema {
  // Without a prototype: a key such as "constructor" must not pass for a known one.
  const entries: Record<string, Schema> = Object.create(null);
  for (const [key, child] of tree) {
    entries[key] = v.optional(child instanceof Map ? objectSchema(child) : child);
  }
  return v.pipe(
    v.unknown(),
    v.check((value) => !Array.isArray(value), 'an object'),
    v.strictObject(entries, 'an object'),
  );
}

function lookUp(tree: object, path: string): unknown {
  let value: unknown = tree;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function messageOf(kind: Kind): string {
  const result = v.safeParse(schemaOf(kind), undefined);
  return result.success ? '' : result.issues[0].message;
}

function issueError(issue: v.BaseIssue<unknown>, known: Tree, source: string): XlstmError {
  const keys = issue.path?.map(({ key }) => String(key)) ?? [];
  const at = keys.length === 0 ? source : `${source}: ${keys.map(keyText).join('.')}`;
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    let node: Tree = known;
    for (const key of keys.slice(0, -1)) node = node.get(key) as Tree;
    const names = [...node.keys()].filter((name) => !name.startsWith('_'));
    return new XlstmError('config', `${at}: unknown key`, `known here: ${names.join(', ')}`);
  }
  return new XlstmError('config', `${at}: expected ${issue.message}, found ${quote(issue.input)}`);
}

/** A key that is not like ours is someone's text. */
const keyText = (key: string): string => (/^[\w-]{1,60}$/.test(key) ? key : quote(key));
