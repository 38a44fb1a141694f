import fc from 'fast-check';

/** Texts of JSON values that valid files do not hold: numbers at every edge, wrong types, names of the prototype. */
const FRAGMENTS: readonly string[] = [
  ...['0', '-0', '-1', '1', '2', '0.5', '-0.5', '3.0000000000000004', '1e400', '-1e400', '1e-400', '1e9'],
  ...['255', '256', '65536', '2147483647', '2147483648', '4294967295', '4294967296', '1099511627776'],
  ...['9007199254740991', '9007199254740992', '-9007199254740991', '18446744073709551615', '1e21', '1e308'],
  ...['null', 'true', 'false', '""', '"0"', '"1"', '"-1"', '"NaN"', '"Infinity"', '"all"', '" 1 "', '"0x10"'],
  ...['[]', '{}', '[[]]', '[{}]', '[null]', '[0]', '[1,1]', '[1,2,3]', '[-1]', '[0.5]', '["1"]', '[1e400]'],
  ...['"__proto__"', '"constructor"', '"toString"', '{"__proto__":{"step":1}}', '{"__proto__":null}'],
  ...['{"length":4294967295}', '{"constructor":{"prototype":{}}}', '{"toString":1,"valueOf":1}'],
  ...[
    '{"toJSON":1}',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"a\\nb\\r\\u001b[2J\\u202e\\u2028"',
    '"\\ufeff"',
  ],
  ...['NaN', 'Infinity', 'undefined', '01', '1.', '-', '.5', "'a'", '"', '[', '{', '{]', '"\\', '"\\u12'],
  `"${'long '.repeat(400)}"`,
  `[${'1,'.repeat(999)}1]`,
  `{${Array.from({ length: 300 }, (_, i) => `"k${i}":${i}`).join()}}`,
  `${'['.repeat(40)}${']'.repeat(40)}`,
  `${'['.repeat(2000)}${']'.repeat(2000)}`,
  `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`,
  '['.repeat(3000),
];

const NAMES: readonly string[] = [
  ...[
    '',
    ' ',
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'valueOf',
    'length',
    '0',
  ],
  ...[
    'a.b',
    '..',
    'x.y.z',
    '__metadata__',
    '\ud800',
    '\u0000',
    'a\nb\u001b[31m\u2028',
    '\ufeff',
    'é😀',
    'k'.repeat(3000),
  ],
];

/** A JSON value whose leaves are texts, which need not be JSON, and whose objects may have a name twice. */
type Tree = string | Tree[] | Entries;
class Entries {
  readonly list: [name: string, value: Tree][];
  constructor(list: [string, Tree][]) {
    this.list = list;
  }
}

function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return value.map(treeOf);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return new Entries(Object.entries(value).map(([name, inner]) => [name, treeOf(inner)]));
}

function textOf(tree: Tree): string {
  if (typeof tree === 'string') return tree;
  if (Array.isArray(tree)) return `[${tree.map(textOf).join()}]`;
  return `{${tree.list.map(([name, value]) => `${JSON.stringify(name)}:${textOf(value)}`).join()}}`;
}

/** A place in a tree; the root has no parent. */
interface Place {
  readonly tree: Tree;
  readonly parent: { readonly of: Tree[] | Entries; readonly at: number } | undefined;
}

function placesOf(tree: Tree, parent?: Place['parent']): Place[] {
  const inner = Array.isArray(tree)
    ? tree.flatMap((value, at) => placesOf(value, { of: tree, at }))
    : tree instanceof Entries
      ? tree.list.flatMap(([, value], at) => placesOf(value, { of: tree, at }))
      : [];
  return [{ tree, parent }, ...inner];
}

type Edit = (places: readonly Place[], replace: (place: Place, by: Tree) => void) => void;

const pick = <T>(list: readonly T[], index: number): T => list[index % list.length];
const objectsOf = (places: readonly Place[]): Entries[] =>
  places.map(({ tree }) => tree).filter((tree) => tree instanceof Entries);

/** One edit of a JSON tree, at any of its places. */
const edit: fc.Arbitrary<Edit> = fc
  .record({
    kind: fc.constantFrom(
      ...([
        'put',
        'put',
        'put',
        'number',
        'delete',
        'rename',
        'twice',
        'add',
        'copy',
        'swap',
        'wrap',
        'repeat',
      ] as const),
    ),
    at: fc.nat(),
    other: fc.nat(),
    fragment: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...FRAGMENTS) },
      { weight: 1, arbitrary: fc.json() },
    ),
    name: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...NAMES) },
      { weight: 1, arbitrary: fc.string() },
    ),
    number: fc.constantFrom(
      (n: number) => n + 1,
      (n: number) => n - 1,
      (n: number) => 2 * n,
      (n: number) => -n,
      (n: number) => n / 2,
    ),
  })
  .map(({ kind, at, other, fragment, name, number }) => (places, replace) => {
    const place = pick(places, at);
    const { parent } = place;
    const objects = objectsOf(places);
    const object = objects.length > 0 ? pick(objects, at) : undefined;
    const numbers = places.filter(({ tree }) => typeof tree === 'string' && /^-?\d/.test(tree));
    switch (kind) {
      case 'put':
        return replace(place, fragment);
      case 'number':
        if (numbers.length === 0) return replace(place, fragment);
        return replace(pick(numbers, at), String(number(Number(pick(numbers, at).tree))));
      case 'delete':
        if (!parent) return replace(place, '');
        return void (Array.isArray(parent.of) ? parent.of : parent.of.list).splice(parent.at, 1);
      case 'rename':
        if (object && object.list.length > 0) pick(object.list, other)[0] = name;
        return;
      case 'twice':
        if (object && object.list.length > 0) object.list.push([pick(object.list, other)[0], fragment]);
        return;
      case 'add':
        object?.list.splice(other % (object.list.length + 1), 0, [name, fragment]);
        return;
      case 'copy':
        if (object && object.list.length > 0) object.list.push([name, textOf(pick(object.list, other)[1])]);
        return;
      case 'swap':
        return replace(place, textOf(pick(places, other).tree));
      case 'wrap':
        return replace(place, other % 2 ? [place.tree] : new Entries([[name, place.tree]]));
      case 'repeat':
        if (parent && Array.isArray(parent.of)) parent.of.splice(parent.at, 0, ...parent.of);
        else replace(place, [textOf(place.tree), textOf(place.tree)]);
    }
  });

/** Texts like those of `valid` values, edited in one place to three: most are still JSON, of a wrong kind. */
export function mutatedJson(valid: readonly unknown[]): fc.Arbitrary<string> {
  const edits = fc.array(edit, { minLength: 1, maxLength: 3 });
  return fc.tuple(fc.constantFrom(...valid), edits).map(([value, list]) => {
    const root: [Tree] = [treeOf(value)];
    for (const apply of list) {
      apply(placesOf(root[0]), ({ parent }, by) => {
        if (!parent) root[0] = by;
        else if (Array.isArray(parent.of)) parent.of[parent.at] = by;
        else parent.of.list[parent.at][1] = by;
      });
    }
    return textOf(root[0]);
  });
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const joined = (...parts: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
};

const u64 = (value: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(value).buffer);

const BOM = Uint8Array.of(0xef, 0xbb, 0xbf);

/** What gets inserted: values, pieces of JSON's grammar, bytes that are no UTF-8, lengths. */
const INSERTS: readonly Uint8Array[] = [
  ...FRAGMENTS.map(utf8),
  ...NAMES.map((name) => utf8(JSON.stringify(name))),
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '\n', '\r\n', '\n\n', '\u2028', '//', '\t', ' '].map(utf8),
  ...[BOM, Uint8Array.of(0), Uint8Array.of(0xff), Uint8Array.of(0xc0, 0x80), Uint8Array.of(0xed, 0xa0, 0x80)],
  ...[0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n].map(u64),
];

/** Where a file's parts meet: after the 8 bytes of a length, at each sign of JSON and at each line's end. */
function boundaries(bytes: Uint8Array): number[] {
  const found = [0, Math.min(8, bytes.length), bytes.length];
  for (let i = 0; i < bytes.length; i++) if (SIGNS.has(bytes[i])) found.push(i, i + 1);
  return found;
}
const SIGNS = new Set(utf8('{}[],:"\n'));

/** Runs of digits: [from, to). */
function numbersIn(bytes: Uint8Array): [number, number][] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  return [...text.matchAll(/-?\d+(?:\.\d+)?/g)].map(({ 0: { length }, index }) => [index, index + length]);
}

/** One damage to a file: at any byte, or where parts meet. */
const damage: fc.Arbitrary<(bytes: Uint8Array) => Uint8Array> = fc
  .record({
    kind: fc.constantFrom(
      ...([
        'flip',
        'set',
        'cut',
        'cut',
        'drop',
        'insert',
        'insert',
        'repeat',
        'swap',
        'number',
        'number',
      ] as const),
      ...(['length', 'zeros', 'zeroed', 'bom', 'ends'] as const),
    ),
    at: fc.nat(),
    other: fc.nat(),
    anywhere: fc.boolean(),
    value: fc.nat(255),
    insert: fc.oneof(fc.constantFrom(...INSERTS), fc.uint8Array({ minLength: 1, maxLength: 16 })),
    header: fc.oneof(
      fc.constantFrom(0n, 1n, 7n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 64n - 1n),
      fc.bigInt(0n, 4096n),
    ),
  })
  .map(({ kind, at, other, anywhere, value, insert, header }) => (bytes) => {
    const spots = anywhere ? undefined : boundaries(bytes);
    const spot = (n: number): number => (spots ? pick(spots, n) : n % (bytes.length + 1));
    const [from, to] = [spot(at), spot(other)].sort((a, b) => a - b);
    const changed = bytes.slice();
    const numbers = kind === 'number' ? numbersIn(bytes) : [];
    switch (kind) {
      case 'flip':
        if (bytes.length > 0) changed[at % bytes.length] ^= 1 << (value % 8);
        return changed;
      case 'set':
        if (bytes.length > 0) changed[at % bytes.length] = value;
        return changed;
      case 'cut':
        return bytes.subarray(0, from);
      case 'drop':
        return joined(bytes.subarray(0, from), bytes.subarray(to));
      case 'insert':
        return joined(bytes.subarray(0, from), insert, bytes.subarray(from));
      case 'repeat':
        return joined(bytes.subarray(0, to), bytes.subarray(from));
      case 'swap': {
        const middle = from + ((to - from) >> 1);
        return joined(
          bytes.subarray(0, from),
          bytes.subarray(middle, to),
          bytes.subarray(from, middle),
          bytes.subarray(to),
        );
      }
      case 'number': {
        if (numbers.length === 0) return joined(bytes, insert);
        const [a, b] = pick(numbers, at);
        return joined(bytes.subarray(0, a), utf8(pick(FRAGMENTS, other)), bytes.subarray(b));
      }
      case 'length':
        return joined(u64(header), bytes.subarray(Math.min(8, bytes.length)));
      case 'zeros':
        return joined(bytes, new Uint8Array(1 + (other % 600)));
      case 'zeroed':
        return changed.fill(0, from, to);
      case 'bom':
        return joined(BOM, bytes);
      case 'ends':
        return joined(bytes, insert);
    }
  });

/** Files like the `valid` ones, damaged once to three times; at times they are whole. */
export function mutatedBytes(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(valid, fc.array(damage, { maxLength: 3 }))
    .map(([bytes, list]) => list.reduce((damaged, apply) => apply(damaged), bytes));
}

/** Files of JSON: edited as trees, as bytes, or both. */
export function mutatedJsonBytes(valid: readonly unknown[]): fc.Arbitrary<Uint8Array> {
  const whole = fc.constantFrom(...valid.map((value) => utf8(JSON.stringify(value, null, 2))));
  const edited = mutatedJson(valid).map(utf8);
  return fc.oneof(
    { weight: 5, arbitrary: edited },
    { weight: 3, arbitrary: mutatedBytes(whole) },
    { weight: 2, arbitrary: mutatedBytes(edited) },
  );
}

/** Files of JSON lines: lines edited as trees among whole ones, and damage to the bytes. */
export function mutatedJsonLines(valid: readonly unknown[]): fc.Arbitrary<Uint8Array> {
  const line = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...valid).map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: mutatedJson(valid) },
  );
  const file = fc.array(line, { maxLength: 4 }).map((list) => utf8(list.map((text) => `${text}\n`).join('')));
  return fc.oneof(file, mutatedBytes(file));
}
