import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import {
  complement,
  type Expression,
  either,
  eitherOf,
  listOf,
  literal,
  ranges,
  repeat,
  sequence,
  within,
} from './expression.ts';
import { integersBetween } from './integer_range.ts';
import { parseRegularExpression } from './regular_expression.ts';

/** What says nothing of what a value is. */
const ANNOTATIONS = [
  'title',
  'description',
  'default',
  'examples',
  '$schema',
  '$id',
  '$comment',
  'deprecated',
];

/** Keywords by the type that they belong to. */
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  string: ['minLength', 'maxLength', 'pattern'],
  number: [],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [],
  null: [],
  array: ['items', 'minItems', 'maxItems'],
  object: ['properties', 'required', 'additionalProperties'],
};

const KNOWN = new Set(Object.values(KEYWORDS).flat());

/** Schemas within schemas. */
const MOST_DEPTH = 32;

const DIGIT = ranges([0x30, 0x39]);
const HEX = ranges([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);
const CHARACTER = either(
  ranges(
    ...complement([
      [0, 0x1f],
      [0x22, 0x22],
      [0x5c, 0x5c],
      [0x7f, 0x9f],
    ]),
  ),
  sequence(
    literal('\\'),
    either(...Array.from('"\\/bfnrt', literal), sequence(literal('u'), repeat(HEX, 4, 4))),
  ),
);
/** Code points that JSON writes as they are, and those for which it has other words. */
const ESCAPED = [...Array.from({ length: 0x20 }, (_, code) => code), 0x22, 0x5c];
const PLAIN = complement(ESCAPED.map((code) => [code, code]));
/** All of its digits are kept by a number of JavaScript. */
const MOST_INTEGER = 1e15 - 1;
const NUMBER = sequence(
  repeat(literal('-'), 0, 1),
  either(literal('0'), sequence(ranges([0x31, 0x39]), repeat(DIGIT, 0, 14))),
  repeat(sequence(literal('.'), repeat(DIGIT, 1, 15)), 0, 1),
  repeat(sequence(literal('e'), repeat(either(literal('+'), literal('-')), 0, 1), repeat(DIGIT, 1, 2)), 0, 1),
);

const COMMA = literal(',');

/** Objects within an object, of one that no schema describes. */
const MOST_NESTED = 6;

/** JSON without blanks: an object of any names and values. */
export const anyObjectExpression = (): Expression => objectOf(valueExpression(MOST_NESTED - 1));

function valueExpression(nested: number): Expression {
  const scalars = either(literal('true'), literal('false'), literal('null'), NUMBER, text({}, ''));
  if (nested === 0) return scalars;
  const value = valueExpression(nested - 1);
  const items = either(sequence(), listOf(value, COMMA));
  return either(scalars, sequence(literal('['), items, literal(']')), objectOf(value));
}

function objectOf(value: Expression): Expression {
  const members = listOf(sequence(text({}, ''), literal(':'), value), COMMA);
  return sequence(literal('{'), either(sequence(), members), literal('}'));
}

type Schema = Readonly<Record<string, unknown>>;

/**
 * JSON without blanks that a schema describes; the properties of objects come in its order, and no others. Throws a usage
 * error that names the place for a keyword that it would not keep to.
 */
export const schemaExpression = (schema: unknown): Expression => expressionOf(schema, 'schema', 0);

function expressionOf(schema: unknown, at: string, depth: number): Expression {
  if (depth > MOST_DEPTH) throw refused(at, `at most ${MOST_DEPTH} schemas within each other`, 'more');
  if (!isObject(schema)) throw refused(at, 'an object', quote(schema));
  const given = Object.keys(schema).filter((key) => !ANNOTATIONS.includes(key));
  const alone = (key: string, also: readonly string[] = []): void => {
    const other = given.find((each) => each !== key && !also.includes(each));
    if (other !== undefined) throw unknownKeyword(at, other);
  };
  if ('const' in schema) {
    alone('const', ['type']);
    return literal(json(schema.const, `${at}.const`));
  }
  if ('enum' in schema) {
    alone('enum', ['type']);
    const values = list(schema.enum, `${at}.enum`);
    return eitherOf(values.map((value, i) => literal(json(value, `${at}.enum[${i}]`))));
  }
  for (const key of ['anyOf', 'oneOf'] as const) {
    if (!(key in schema)) continue;
    alone(key);
    return eitherOf(
      list(schema[key], `${at}.${key}`).map((each, i) => expressionOf(each, `${at}.${key}[${i}]`, depth + 1)),
    );
  }
  const foreign = given.find((key) => key !== 'type' && !KNOWN.has(key));
  if (foreign !== undefined) throw unknownKeyword(at, foreign);
  const types = Array.isArray(schema.type) ? list(schema.type, `${at}.type`) : [schema.type];
  const known = types.every((type) => typeof type === 'string' && Object.hasOwn(KEYWORDS, type));
  if (!known) throw refused(`${at}.type`, Object.keys(KEYWORDS).join(', '), quote(schema.type));
  const names = types as readonly string[];
  alone(
    'type',
    names.flatMap((type) => KEYWORDS[type]),
  );
  const parts = names.map((type) => typed(type, schema, at, depth));
  return parts.length === 1 ? parts[0] : eitherOf(parts);
}

function typed(type: string, schema: Schema, at: string, depth: number): Expression {
  switch (type) {
    case 'string':
      return text(schema, at);
    case 'integer':
      return integer(schema, at);
    case 'number':
      return NUMBER;
    case 'boolean':
      return either(literal('true'), literal('false'));
    case 'null':
      return literal('null');
    case 'array': {
      const [least, most] = bounds(schema, 'minItems', 'maxItems', at);
      const item = expressionOf(schema.items, `${at}.items`, depth + 1);
      const more = (count: number): Expression =>
        repeat(sequence(literal(','), item), Math.max(0, count), most - 1);
      const filled = most === 0 ? [] : [sequence(item, more(least - 1))];
      const inside = least === 0 ? either(sequence(), ...filled) : filled[0];
      return sequence(literal('['), inside, literal(']'));
    }
    default:
      return object(schema, at, depth);
  }
}

function integer(schema: Schema, at: string): Expression {
  const bound = (key: string, none: number): number => {
    const { [key]: value = none } = schema;
    if (typeof value === 'number') return value;
    throw refused(`${at}.${key}`, 'a number', quote(value));
  };
  const least = Math.max(
    Math.ceil(bound('minimum', -MOST_INTEGER)),
    Math.floor(bound('exclusiveMinimum', -MOST_INTEGER - 1)) + 1,
    -MOST_INTEGER,
  );
  const most = Math.min(
    Math.floor(bound('maximum', MOST_INTEGER)),
    Math.ceil(bound('exclusiveMaximum', MOST_INTEGER + 1)) - 1,
    MOST_INTEGER,
  );
  if (least > most) throw refused(at, 'bounds with a whole number between them', `${least} to ${most}`);
  return integersBetween(least, most);
}

function text(schema: Schema, at: string): Expression {
  if (schema.pattern === undefined) {
    return sequence(
      literal('"'),
      repeat(CHARACTER, ...bounds(schema, 'minLength', 'maxLength', at)),
      literal('"'),
    );
  }
  if ('minLength' in schema || 'maxLength' in schema)
    throw unknownKeyword(at, 'minLength and maxLength beside pattern');
  const { pattern } = schema;
  if (typeof pattern !== 'string' || !/^\^.*\$$/s.test(pattern))
    throw refused(`${at}.pattern`, 'a pattern between ^ and $', quote(pattern));
  return sequence(literal('"'), inJson(parseRegularExpression(pattern)), literal('"'));
}

/** Texts as they stand between the quotes of JSON. */
function inJson(expression: Expression): Expression {
  switch (expression.kind) {
    case 'ranges': {
      const plain = expression.ranges.flatMap(([first, last]) => within(PLAIN, first, last));
      const escaped = ESCAPED.filter((code) =>
        expression.ranges.some(([first, last]) => first <= code && code <= last),
      );
      const spelled = escaped.map((code) => literal(JSON.stringify(String.fromCodePoint(code)).slice(1, -1)));
      return either(...(plain.length > 0 ? [ranges(...plain)] : []), ...spelled);
    }
    case 'sequence':
    case 'either':
      return { ...expression, parts: expression.parts.map(inJson) };
    case 'repeat':
      return { ...expression, part: inJson(expression.part) };
    case 'list':
      return { ...expression, part: inJson(expression.part), separator: inJson(expression.separator) };
    case 'members':
      return {
        ...expression,
        members: expression.members.map(({ part, optional }) => ({ part: inJson(part), optional })),
        separator: inJson(expression.separator),
      };
  }
}

function object(schema: Schema, at: string, depth: number): Expression {
  const { properties = {}, required = [], additionalProperties = false } = schema;
  if (!isObject(properties)) throw refused(`${at}.properties`, 'an object', quote(properties));
  if (additionalProperties !== false)
    throw refused(`${at}.additionalProperties`, 'false', quote(additionalProperties));
  const names = Object.keys(properties);
  const needed = Array.isArray(required) ? required : [required];
  const missing = needed.find((name) => !names.includes(name));
  if (missing !== undefined) throw refused(`${at}.required`, 'names of its properties', quote(missing));
  const members = names.map((name) => ({
    optional: !needed.includes(name),
    part: sequence(
      literal(`${JSON.stringify(name)}:`),
      expressionOf(properties[name], `${at}.properties.${name}`, depth + 1),
    ),
  }));
  return sequence(literal('{'), { kind: 'members', members, separator: COMMA }, literal('}'));
}

function bounds(schema: Schema, low: string, high: string, at: string): [least: number, most: number] {
  const { [low]: least = 0, [high]: most = Number.POSITIVE_INFINITY } = schema;
  const whole = (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 1000;
  if (!whole(least)) throw refused(`${at}.${low}`, 'a whole number from 0 to 1000', quote(least));
  if (most !== Number.POSITIVE_INFINITY && !(whole(most) && (most as number) >= (least as number))) {
    throw refused(`${at}.${high}`, `a whole number from ${low} to 1000`, quote(most));
  }
  return [least as number, most as number];
}

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function list(value: unknown, at: string): readonly unknown[] {
  if (Array.isArray(value) && value.length > 0) return value;
  throw refused(at, 'a list that is not empty', quote(value));
}

function json(value: unknown, at: string): string {
  try {
    const written = JSON.stringify(value);
    if (written !== undefined) return written;
  } catch {
    // it holds itself, a bigint, or too many lists within each other
  }
  throw refused(at, 'a value that JSON has', quote(value));
}

const refused = (at: string, expected: string, found: string): XlstmError =>
  new XlstmError('usage', `${at}: expected ${expected}, found ${found}`);

const unknownKeyword = (at: string, key: string): XlstmError =>
  new XlstmError(
    'usage',
    `${at}: "${key}" cannot be kept to here`,
    'Taken are type, properties, required, items, enum, const, anyOf, lengths, numbers of items, bounds of integers and patterns.',
  );
