import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteTokenizer, DOCUMENT } from '../../data/tokenizer.ts';
import { Session } from '../session.ts';
import { AlphabetTokenizer, tinyModel } from '../testing/models.ts';
import { Automaton, DEAD } from './automaton.ts';
import { ranges } from './expression.ts';
import { Grammar } from './grammar.ts';
import { anyObjectExpression, schemaExpression } from './json_schema.ts';
import { parseRegularExpression } from './regular_expression.ts';
import { Vocabulary } from './vocabulary.ts';

function accepts(automaton: Automaton, text: string): boolean {
  let state = 0;
  for (const byte of new TextEncoder().encode(text)) {
    state = automaton.after(state, byte);
    if (state === DEAD) return false;
  }
  return automaton.ends(state);
}

const matches = (pattern: string, text: string): boolean =>
  accepts(new Automaton(parseRegularExpression(pattern)), text);

/** Patterns of a few characters, written in full. */
const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom('a', 'b', 'é', '€', '😀', '.', '[ab]', '[^a]', '[a-é]', '\\w', '\\d', '\\S', '\\.'),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => a + b),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(${a}|${b})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,2}', '{1,}'))
      .map(([a, b]) => `(?:${a})${b}`),
  ),
}));
const text = fc.string({ unit: fc.constantFrom('a', 'b', '1', 'é', '€', '😀', '.', ' '), maxLength: 6 });

describe('regular expressions', () => {
  it('match what those of JavaScript match', () => {
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 10, maxLength: 10 }), (pattern, texts) => {
        const automaton = new Automaton(parseRegularExpression(pattern));
        const expected = new RegExp(`^(?:${pattern})$`, 'u');
        for (const text of texts)
          expect([pattern, text, accepts(automaton, text)]).toEqual([pattern, text, expected.test(text)]);
      }),
      { numRuns: 300 },
    );
  });

  it('have exactly the characters of a range, as UTF-8', () => {
    const code = fc.integer({ min: 0, max: 0x10ffff }).filter((value) => value < 0xd800 || value > 0xdfff);
    fc.assert(
      fc.property(code, code, fc.array(code, { minLength: 5, maxLength: 5 }), (a, b, codes) => {
        const [first, last] = a < b ? [a, b] : [b, a];
        const automaton = new Automaton(ranges([first, last]));
        for (const each of [...codes, first, last, first - 1, last + 1]) {
          if (each < 0 || each > 0x10ffff || (each >= 0xd800 && each <= 0xdfff)) continue;
          expect(accepts(automaton, String.fromCodePoint(each))).toBe(each >= first && each <= last);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('may have ^ and $ around', () => {
    expect([matches('^ab$', 'ab'), matches('a\\$', 'a$'), matches('^a\\\\$', 'a\\')]).toEqual([
      true,
      true,
      true,
    ]);
  });

  it.each([
    '(',
    ')',
    'a)',
    '[',
    '[]',
    '[b-a]',
    'a**',
    '*',
    '(?=a)',
    '\\1',
    '\\b',
    '\\pL',
    'a{2,1}',
    'a{1001}',
    'a{x}',
    'a^b',
    '\\',
  ])('refuse %s', (pattern) => {
    expect(() => Grammar.regex(pattern)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it('refuse more states than there may be', () => {
    expect(() => Grammar.regex('((a{1000}){1000})')).toThrow('grammar: has more than 100000 states');
    expect(() => Grammar.regex('a'.repeat(1e6))).toThrow('grammar: has more than 100000 states');
    expect(() => Grammar.jsonSchema({ enum: ['a'.repeat(1e6)] })).toThrow('has more than 100000 states');
    const enumeration = Array.from({ length: 300_000 }, (_, i) => i);
    expect(() => Grammar.jsonSchema({ enum: enumeration })).toThrow('has more than 100000 states');
  });

  it('refuse groups and values of any depth', () => {
    expect(() => Grammar.regex(`${'('.repeat(100)}a${')'.repeat(100)}`)).not.toThrow();
    expect(() => Grammar.regex('(a)'.repeat(200))).not.toThrow();
    const deep = '('.repeat(50_000) + ')'.repeat(50_000);
    expect(() => Grammar.regex(deep)).toThrow('more than 100 groups within each other');
    let value: unknown = 1;
    for (let i = 0; i < 50_000; i++) value = [value];
    expect(() => Grammar.jsonSchema({ const: value })).toThrow(
      'schema.const: expected a value that JSON has',
    );
  });
});

const PERSON = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 8, description: 'What they are called.' },
    age: { type: 'integer' },
    tags: { type: 'array', items: { enum: ['a', 'b', 3, null] }, maxItems: 2 },
    pet: {
      anyOf: [
        { type: 'null' },
        { type: 'object', properties: { kind: { const: 'cat' } }, required: ['kind'] },
      ],
    },
    ok: { type: ['boolean', 'null'] },
  },
  required: ['name', 'pet'],
  additionalProperties: false,
};

describe('JSON schemas', () => {
  const person = new Automaton(schemaExpression(PERSON));

  it.each([
    [{ name: 'Ada', pet: null }, true],
    [{ name: 'Ada', age: -12, tags: ['a', null], pet: { kind: 'cat' }, ok: false }, true],
    [{ name: 'é"\\\n', tags: [], pet: null, ok: null }, true],
    [{ name: '', pet: null }, false],
    [{ name: '123456789', pet: null }, false],
    [{ name: 'Ada' }, false],
    [{ pet: null, name: 'Ada' }, false],
    [{ name: 'Ada', age: 1.5, pet: null }, false],
    [{ name: 'Ada', tags: ['a', 'a', 'a'], pet: null }, false],
    [{ name: 'Ada', pet: null, more: 1 }, false],
    [{ name: 'Ada', pet: {} }, false],
  ])('%j: %s', (value, expected) => {
    expect(accepts(person, JSON.stringify(value))).toBe(expected);
  });

  it('objects whose properties may all be left out, numbers, patterns', () => {
    const loose = new Automaton(
      schemaExpression({
        type: 'object',
        properties: { a: { type: 'number' }, b: { type: 'string', pattern: '^\\d{4}-\\d\\d$' } },
      }),
    );
    for (const text of ['{}', '{"a":-0.5e-9}', '{"b":"2026-11"}', '{"a":12,"b":"2026-11"}']) {
      expect([text, accepts(loose, text)]).toEqual([text, true]);
    }
    for (const text of ['{"a":01}', '{"b":"2026"}', '{"b":"2026-11","a":1}', '{"a":1,}', '{"a":1}x']) {
      expect([text, accepts(loose, text)]).toEqual([text, false]);
    }
  });

  it('take any of the properties that may be left out, in their order', () => {
    const member = fc.record({ optional: fc.boolean(), there: fc.boolean() });
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), (members) => {
        const name = (i: number): string => `p${i}`;
        const properties = Object.fromEntries(members.map((_, i) => [name(i), { const: i }]));
        const required = members.flatMap(({ optional }, i) => (optional ? [] : [name(i)]));
        const automaton = new Automaton(schemaExpression({ type: 'object', properties, required }));
        const given = members.flatMap(({ there }, i) => (there ? [[name(i), i] as const] : []));
        const complete = members.every(({ optional, there }) => optional || there);
        const write = (from: typeof given): string => JSON.stringify(Object.fromEntries(from));
        expect(accepts(automaton, write(given))).toBe(complete);
        expect(accepts(automaton, write(given).replace('}', ',}'))).toBe(false);
        if (given.length > 1) expect(accepts(automaton, write([...given].reverse()))).toBe(false);
      }),
    );
  });

  it('may have many properties that may be left out, in memory that grows with their number', () => {
    const properties = Object.fromEntries(
      Array.from({ length: 2000 }, (_, i) => [`p${i}`, { type: 'boolean' }]),
    );
    const automaton = new Automaton(schemaExpression({ type: 'object', properties }));
    expect(accepts(automaton, '{"p0":true,"p17":false,"p1999":true}')).toBe(true);
    expect(accepts(automaton, '{"p17":true,"p0":false}')).toBe(false);
  });

  it('name a keyword that they do not know where there is no type', () => {
    expect(() => schemaExpression({ $ref: '#/$defs/a' })).toThrow('schema: "$ref" cannot be kept to here');
  });

  it('write what a pattern matches as JSON does', () => {
    const unit = fc.constantFrom('a', 'b', '"', '\\', '\n', '\u0001', '.', 'é');
    const part = fc.constantFrom('.', '[^a]', '[a".]', '"', '\\\\', '\\.', '\\s', '\\W', '(?:ab|")', 'é');
    const repeated = fc.tuple(part, fc.constantFrom('', '*', '{1,2}')).map((both) => both.join(''));
    fc.assert(
      fc.property(
        fc.array(repeated, { minLength: 1, maxLength: 4 }).map((parts) => `^${parts.join('')}$`),
        fc.array(fc.string({ unit, maxLength: 4 }), { minLength: 10, maxLength: 10 }),
        (pattern, texts) => {
          const automaton = new Automaton(schemaExpression({ type: 'string', pattern }));
          const expected = new RegExp(pattern, 'u');
          for (const text of texts) {
            expect([pattern, text, accepts(automaton, JSON.stringify(text))]).toEqual([
              pattern,
              text,
              expected.test(text),
            ]);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('keep integers between their bounds', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: -3000, max: 3000 }), fc.nat(3000)),
        fc.integer({ min: -7000, max: 7000 }),
        ([minimum, more], value) => {
          const maximum = minimum + more;
          const automaton = new Automaton(schemaExpression({ type: 'integer', minimum, maximum }));
          for (const each of [value, minimum, maximum, minimum - 1, maximum + 1]) {
            expect(accepts(automaton, String(each))).toBe(minimum <= each && each <= maximum);
          }
          expect(accepts(automaton, `0${value}`)).toBe(false);
        },
      ),
      { numRuns: 100 },
    );
    const natural = new Automaton(schemaExpression({ type: 'integer', exclusiveMinimum: -1 }));
    expect(['0', '-1', '999999999999999'].map((text) => accepts(natural, text))).toEqual([true, false, true]);
  });

  it.each([
    [1, 'schema: expected an object, found 1'],
    [{}, 'schema.type: expected'],
    [{ type: 'date' }, 'schema.type: expected'],
    [{ type: 'number', minimum: 3 }, 'schema: "minimum" cannot be kept to here'],
    [{ type: 'integer', minimum: '3' }, 'schema.minimum: expected a number'],
    [{ type: 'integer', minimum: 3, exclusiveMaximum: 4, maximum: 2 }, 'schema: expected bounds with'],
    [
      { type: 'object', properties: { a: { $ref: '#' } } },
      'schema.properties.a: "$ref" cannot be kept to here',
    ],
    [
      { type: 'object', properties: {}, required: ['a'] },
      'schema.required: expected names of its properties',
    ],
    [{ type: 'object', additionalProperties: true }, 'schema.additionalProperties: expected false'],
    [{ type: 'array' }, 'schema.items: expected an object'],
    [{ type: 'array', items: { type: 'null' }, minItems: 2, maxItems: 1 }, 'schema.maxItems: expected'],
    [{ type: 'string', pattern: '.*' }, 'schema.pattern: expected a pattern between ^ and $'],
    [{ enum: [] }, 'schema.enum: expected a list that is not empty'],
  ])('refuse what they would not keep to: %j', (schema, message) => {
    expect(() => Grammar.jsonSchema(schema)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) }),
    );
  });
});

describe('the tokens that a grammar takes', () => {
  const tokens = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', '1', 'é', '.'), maxLength: 4 }), {
    minLength: 1,
    maxLength: 30,
  });

  it('are those after which a text can go on, whatever stands beside them', () => {
    fc.assert(
      fc.property(pattern, tokens, text, (pattern, tokens, before) => {
        const automaton = new Automaton(parseRegularExpression(pattern));
        const reached = (from: number, text: string): number =>
          new TextEncoder()
            .encode(text)
            .reduce((state, byte) => (state === DEAD ? DEAD : automaton.after(state, byte)), from);
        const state = reached(0, before);
        fc.pre(state !== DEAD);
        const taken = Vocabulary.of(new AlphabetTokenizer(tokens)).taken(automaton, state);
        expect([...taken]).toEqual(
          tokens.map((token) => (token !== '' && reached(state, token) !== DEAD ? 1 : 0)),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('texts with a grammar', () => {
  const tokenizer = new ByteTokenizer([DOCUMENT]);
  const model = tinyModel(257, 5);
  const complete = async (grammar: Grammar, seed: number, maxTokens = 400) => {
    const session = new Session(model, tokenizer);
    return session.complete('Who?', { grammar, seed, maxTokens, temperature: 1.5, repetitionPenalty: 1.2 });
  };

  it('are JSON of the schema, whatever the model would write', { timeout: 60_000 }, async () => {
    const schema = {
      type: 'object',
      properties: {
        id: { type: 'integer' },
        kind: { enum: ['cat', 'dog', 'whale'] },
        list: { type: 'array', items: { type: 'boolean' }, minItems: 1, maxItems: 3 },
      },
      required: ['id', 'kind', 'list'],
    };
    const grammar = Grammar.jsonSchema(schema);
    const kinds = new Set<string>();
    for (let seed = 0; seed < 8; seed++) {
      const { text, finishReason } = await complete(grammar, seed);
      const value = JSON.parse(text);
      expect(finishReason).toBe('stop');
      expect(Object.keys(value)).toEqual(['id', 'kind', 'list']);
      expect([Number.isInteger(value.id), Array.isArray(value.list)]).toEqual([true, true]);
      kinds.add(value.kind);
    }
    expect(kinds.size).toBeGreaterThan(1);
  });

  it('are any object of JSON', { timeout: 60_000 }, async () => {
    const grammar = Grammar.jsonObject();
    const automaton = new Automaton(anyObjectExpression());
    expect(accepts(automaton, '{}')).toBe(true);
    expect(accepts(automaton, '{"a":{"b":[[],{"c":-1.5e3}],"d":"e"},"f":null}')).toBe(true);
    for (const wrong of ['', '1', '[]', '{"a"}', '{"a":1,}', '{a:1}']) {
      expect([wrong, accepts(automaton, wrong)]).toEqual([wrong, false]);
    }
    for (let seed = 0; seed < 4; seed++) {
      const { text, finishReason } = await complete(grammar, seed);
      expect(text[0]).toBe('{');
      if (finishReason === 'stop') expect(JSON.parse(text)).toBeTypeOf('object');
    }
  });

  it('may end where the grammar may, and have whole characters', async () => {
    const grammar = Grammar.regex('[é€😀]{3}(ab)*');
    for (let seed = 0; seed < 6; seed++) {
      const { text, finishReason } = await complete(grammar, seed, 60);
      expect(text).toMatch(/^[é€😀]{3}(ab)*a?$/u);
      if (finishReason === 'document') expect(text).toMatch(/^[é€😀]{3}(ab)*$/u);
      else expect(finishReason).toBe('length');
    }
  });

  it('are refused where the tokenizer has no token for what must follow', async () => {
    const session = new Session(tinyModel(2, 5), new AlphabetTokenizer('ab'));
    await session.append('a');
    await expect(session.complete(undefined, { grammar: Grammar.regex('ac') })).rejects.toMatchObject({
      code: 'data',
      message: 'grammar: the tokenizer has no token for what must follow',
    });
    await expect(session.complete(undefined, { grammar: /a/ as never })).rejects.toMatchObject({
      code: 'usage',
    });
    expect(await session.complete(undefined, { grammar: Grammar.regex('ab|ba'), seed: 1 })).toMatchObject({
      finishReason: 'stop',
      text: expect.stringMatching(/^(ab|ba)$/),
    });
  });
});
