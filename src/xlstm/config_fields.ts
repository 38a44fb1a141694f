import * as v from 'valibot';
import { XlstmError } from '../errors.ts';

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

type Schema = v.GenericSchema<unknown, unknown>;
type Tree = Map<string, Schema | Tree>;

const whole = (least: number, expected: string): Schema =>
  v.pipe(v.number(expected), v.safeInteger(expected), v.minValue(least, expected));
const positive = 'a number above 0';
const factor: Schema = v.pipe(v.number(positive), v.finite(positive), v.gtValue(0, positive));
const fraction = 'a fraction from 0 up to, not including, 1';
const blockList = 'a list of block numbers from 0 on, or "all"';

/** The message of a schema says what is expected; the error adds where and what was found. */
const kinds = {
  size: whole(1, 'a whole number above 0'),
  count: whole(0, 'a whole number from 0 on'),
  factor,
  rate: v.pipe(v.number(fraction), v.minValue(0, fraction), v.ltValue(1, fraction)),
  flag: v.boolean('true or false'),
  bound: v.nullable(factor),
  // -1 is how official files leave the length open.
  length: v.union([whole(1, ''), v.literal(-1)], 'a whole number above 0'),
  blocks: v.union([v.literal('all'), v.array(whole(0, ''))], blockList),
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

/** Checks each key of the input by itself and returns the value of every field by path. */
export function readFields(
  fields: readonly Field[],
  input: object,
  source: string,
  spelling: Spelling,
): Map<string, unknown> {
  const known: Tree = new Map();
  for (const field of fields) {
    if (spelling === 'options' && field.both) insert(known, field.both, schemaOf(field.kind));
    const path = spelling === 'options' ? field.path : field[spelling];
    // A flat key may stand for several fields: the first, stricter one checks it.
    if (path !== undefined && !known.has(path)) insert(known, path, schemaOf(field.kind));
  }
  if (spelling === 'flat')
    insert(known, 'slstm_layout', v.picklist(['vanilla', 'cuda'], '"vanilla" or "cuda"'));
  const present = spelling === 'official' ? readOfficial(known, input, source) : input;

  const result = v.safeParse(objectSchema(known), present, { abortEarly: true });
  if (!result.success) throw issueError(result.issues[0], known, source);

  const values = new Map<string, unknown>();
  for (const field of fields) {
    const own = spelling === 'options' ? field.path : field[spelling];
    let value = own === undefined ? undefined : lookUp(present, own);
    if (value === undefined && spelling === 'options' && field.both) value = lookUp(present, field.both);
    if (value === undefined || (field.kind === 'length' && value === -1)) value = field.absent;
    if (value === undefined) {
      throw new XlstmError('config', `${source}: ${own}: expected ${messageOf(field.kind)}, found nothing`);
    }
    values.set(field.path, Array.isArray(value) ? value.toSorted((a, b) => a - b) : value);
  }
  return values;
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
    const expected = `the value of ${outer}, which counts for the whole model (${JSON.stringify(value)})`;
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
        `${source}: mlstm_block: expected the mLSTM blocks' configuration, found nothing, and slstm_at leaves blocks to mLSTM: ${JSON.stringify(at)}`,
      );
    }
    file.slstm_at = 'all';
  }
  const at = file.slstm_at;
  if (file.slstm_block === undefined && at !== undefined && !(Array.isArray(at) && at.length === 0)) {
    throw new XlstmError(
      'config',
      `${source}: slstm_block: expected the sLSTM blocks' configuration, found nothing, and slstm_at is ${JSON.stringify(at)}`,
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
  const path = v.getDotPath(issue) ?? '';
  const at = path === '' ? source : `${source}: ${path}`;
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const parent = path.includes('.') ? path.slice(0, path.lastIndexOf('.')) : '';
    let node: Tree = known;
    for (const key of parent === '' ? [] : parent.split('.')) node = node.get(key) as Tree;
    const names = [...node.keys()].filter((name) => !name.startsWith('_'));
    return new XlstmError('config', `${at}: unknown key`, `known here: ${names.join(', ')}`);
  }
  return new XlstmError('config', `${at}: expected ${issue.message}, found ${describe(issue.input)}`);
}

function describe(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return JSON.stringify(value) ?? String(value);
}
