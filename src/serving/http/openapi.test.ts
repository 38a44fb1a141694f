import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../compute/engines/engine.ts';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { ByteTokenizer, DOCUMENT } from '../../data/tokenizer.ts';
import { tinyModel } from '../../generation/testing/models.ts';
import { type App, createApp } from './app.ts';
import { ServedModel } from './served_model.ts';

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly additionalProperties?: unknown;
  readonly $ref?: string;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

let engine: Engine;
let served: ServedModel;
let app: App;
let paths: Document['paths'];
let schemas: Document['components']['schemas'];

beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
  const tokenizer = new ByteTokenizer([DOCUMENT]);
  served = new ServedModel(tinyModel(257, 5, engine), tokenizer, { name: 'tiny', maxTokens: 3 });
  app = createApp({ models: [served] });
  const document = await app.fetch(new Request('http://server/openapi.json'));
  ({
    paths,
    components: { schemas },
  } = (await document.json()) as Document);
});
afterAll(async () => {
  await served.close();
  await engine.close();
});

/** Values of a schema, small ones. */
function valid(schema: Schema): fc.Arbitrary<unknown> {
  const { type, minimum = -5, maximum = 5, minItems = 0, minLength = 0 } = schema;
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return fc.oneof(...either.map(valid));
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (type) {
    case 'object':
      return fc.record(
        Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, each]) => [key, valid(each)])),
        { requiredKeys: [...(schema.required ?? [])] },
      );
    case 'array':
      return fc.array(valid(schema.items as Schema), { minLength: minItems, maxLength: minItems + 2 });
    case 'string':
      return fc.string({ minLength, maxLength: minLength + 8 });
    case 'integer':
      return fc.integer({ min: minimum, max: Math.min(maximum, Math.max(minimum, 0) + 20) });
    case 'number':
      return fc.double({ min: minimum, max: maximum, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      return fc.jsonValue({ maxDepth: 1 });
  }
}

/** A value with something wrong in it, or something else in its place. */
const spoiled = (schema: Schema): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc
      .tuple(
        valid(schema),
        fc.constantFrom(...Object.keys(schema.properties ?? {}), 'unknown', '__proto__', 'constructor'),
        fc.oneof(
          fc.jsonValue({ maxDepth: 2 }),
          fc.constantFrom<unknown>(-1, 0.5, 1e308, '', [], {}, [[]], 2 ** 53, '\u0000', '\ud800'),
        ),
      )
      .map(([value, key, wrong]) => ({ ...(value as object), [key]: wrong })),
  );

/** Where an answer is not what its schema says; undefined where it is. */
function unlike(schema: Schema, value: unknown, at = 'answer'): string | undefined {
  if (schema.$ref) return unlike(schemas[schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)], value, at);
  const found = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const types = [schema.type ?? []].flat().map((type) => (type === 'integer' ? 'number' : type));
  if (types.length > 0 && !types.includes(found)) return `${at}: ${types} expected, found ${found}`;
  if (schema.type === 'integer' && !Number.isInteger(value)) return `${at}: found ${value}`;
  if ('const' in schema && value !== schema.const) return `${at}: found ${value}`;
  if (found === 'array' && schema.items)
    return (value as unknown[])
      .map((each, i) => unlike(schema.items as Schema, each, `${at}[${i}]`))
      .find((problem) => problem !== undefined);
  if (found !== 'object') return undefined;
  const members = value as Record<string, unknown>;
  const missing = schema.required?.find((key) => !(key in members));
  if (missing) return `${at}: no ${missing}`;
  return Object.entries(schema.properties ?? {})
    .map(([key, each]) => (key in members ? unlike(each, members[key], `${at}.${key}`) : undefined))
    .find((problem) => problem !== undefined);
}

/** The events of a stream, of which each has data. */
const eventsOf = (text: string): object[] =>
  text
    .split('\n\n')
    .slice(0, -1)
    .map((event) => ({ [event.slice(0, event.indexOf(': '))]: event.slice(event.indexOf(': ') + 2) }));

const bodies = [
  'completions',
  'chat/completions',
  'embeddings',
  'forecasts',
  'sessions',
  'sessions/{id}/completions',
  'sessions/{id}/chat/completions',
];

describe.each(bodies)('/v1/%s answers as its own document says', (path) => {
  it('to bodies that are right and to bodies that are not', { timeout: 60_000 }, async () => {
    const { requestBody, responses } = paths[`/v1/${path}`].post;
    const { schema } = (requestBody as NonNullable<Operation['requestBody']>).content['application/json'];
    const ask = (to: string, body: unknown): Promise<Response> =>
      app.fetch(
        new Request(`http://server/v1/${to}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      );
    const { id } = (await (await ask('sessions', { model: 'tiny' })).json()) as { id: string };
    await fc.assert(
      fc.asyncProperty(fc.oneof(valid(schema), spoiled(schema)), async (body) => {
        const response = await ask(path.replace('{id}', id), body);
        const documented = responses[response.status];
        expect(Object.keys(responses)).toContain(String(response.status));
        expect(response.status).toBeLessThan(500);
        const [type] = (response.headers.get('content-type') ?? '').split(';');
        expect(Object.keys(documented.content ?? {})).toContain(type);
        const text = await response.text();
        const promised = documented.content?.[type].schema as Schema;
        for (const answer of type === 'text/event-stream' ? eventsOf(text) : [JSON.parse(text)])
          expect(unlike(promised, answer)).toBe(undefined);
        if (response.status >= 400) expect(JSON.parse(text).error.message).toMatch(/\w/);
        if (path === 'sessions' && response.status === 201) {
          const made = JSON.parse(text).id;
          await app.fetch(new Request(`http://server/v1/sessions/${made}`, { method: 'DELETE' }));
        }
      }),
      { numRuns: 120 },
    );
    expect(served.batcher.status).toMatchObject({ writing: 0, reading: 0, waiting: 0 });
  });
});

it('finds no model of a name with a line break', async () => {
  const response = await app.fetch(new Request('http://server/v1/models/a%0Ab'));
  expect([response.status, await response.json()]).toEqual([404, { error: expect.anything() }]);
});

it('has every path that the server answers, and other methods are refused by name', async () => {
  for (const path of Object.keys(paths)) {
    const at = `http://server${path.replace('{id}', crypto.randomUUID()).replace('{name}', 'tiny')}`;
    const refused = await app.fetch(new Request(at, { method: 'PATCH' }));
    expect([path, refused.status]).toEqual([path, 405]);
    const methods = Object.keys(paths[path]).map((method) => method.toUpperCase());
    expect(refused.headers.get('allow')).toBe(methods.join(', '));
    for (const method of methods) {
      const response = await app.fetch(new Request(at, { method }));
      expect([path, method, response.status === 405]).toEqual([path, method, false]);
    }
  }
});
