import { toJsonSchema } from '@valibot/to-json-schema';
import { bodies } from './requests.ts';

/** What a path takes and gives, by what can be asked of it. */
interface Operation {
  readonly summary: string;
  readonly body?: keyof typeof bodies | 'binary';
  /** Beside those of the path. */
  readonly query?: readonly string[];
  /** What a success is: its status and its content, by a name of `ANSWERS`; '' where it has none. */
  readonly success: readonly [status: number, content: string];
  /** What else may come of it beside 400, 401, 404 and 500. */
  readonly failures?: readonly number[];
  /** Whether a key is asked for, where the server has keys. */
  readonly open?: true;
}

const BUSY = [408, 413, 415, 429, 503, 504];
const JSON_TYPE = 'application/json';
const BINARY = 'application/octet-stream';

const OPERATIONS: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  '/health': { get: { summary: 'Whether it runs', success: [200, 'status'], open: true } },
  '/ready': {
    get: { summary: 'Whether it takes requests', success: [200, 'status'], failures: [503], open: true },
  },
  '/metrics': { get: { summary: 'Numbers for Prometheus', success: [200, 'text'], open: true } },
  '/openapi.json': { get: { summary: 'This document', success: [200, 'object'], open: true } },
  '/v1/models': { get: { summary: 'The models', success: [200, 'list'] } },
  '/v1/models/{name}': { get: { summary: 'A model', success: [200, 'model'] } },
  '/v1/completions': {
    post: { summary: 'Texts written on', body: 'completion', success: [200, 'texts'], failures: BUSY },
  },
  '/v1/chat/completions': {
    post: { summary: 'Answers in a chat', body: 'chat', success: [200, 'texts'], failures: BUSY },
  },
  '/v1/embeddings': {
    post: { summary: 'Vectors of texts', body: 'embedding', success: [200, 'list'], failures: BUSY },
  },
  '/v1/forecasts': {
    post: { summary: 'What comes after series', body: 'forecast', success: [200, 'list'], failures: BUSY },
  },
  '/v1/sessions': {
    post: { summary: 'A new session', body: 'session', success: [201, 'session'], failures: BUSY },
  },
  '/v1/sessions/import': {
    post: {
      summary: 'A session of a file',
      body: 'binary',
      query: ['model'],
      success: [201, 'session'],
      failures: BUSY,
    },
  },
  '/v1/sessions/{id}': {
    get: { summary: 'A session', success: [200, 'session'], failures: [503] },
    delete: { summary: 'Forgets a session', success: [204, ''], failures: [503] },
  },
  '/v1/sessions/{id}/export': {
    get: { summary: 'The file of a session', success: [200, 'binary'], failures: [503] },
  },
  '/v1/sessions/{id}/fork': {
    post: {
      summary: 'Another session that remembers the same',
      success: [201, 'session'],
      failures: [429, 503],
    },
  },
  '/v1/sessions/{id}/completions': {
    post: {
      summary: 'A session goes on with a text',
      body: 'sessionCompletion',
      success: [200, 'texts'],
      failures: [409, ...BUSY],
    },
  },
  '/v1/sessions/{id}/chat/completions': {
    post: {
      summary: 'A session goes on with messages',
      body: 'sessionChat',
      success: [200, 'texts'],
      failures: [409, ...BUSY],
    },
  },
};

type Schema = Readonly<Record<string, unknown>>;

const text = { type: 'string' };
const whole = { type: 'integer' };
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});

const ANSWERS: Readonly<Record<string, Readonly<Record<string, Schema>>>> = {
  status: { [JSON_TYPE]: object({ status: text }) },
  text: { 'text/plain': text },
  object: { [JSON_TYPE]: { type: 'object' } },
  binary: { [BINARY]: { type: 'string', format: 'binary' } },
  list: {
    [JSON_TYPE]: object({ object: { const: 'list' }, data: { type: 'array', items: { type: 'object' } } }),
  },
  model: { [JSON_TYPE]: object({ id: text, object: { const: 'model' }, created: whole, owned_by: text }) },
  session: {
    [JSON_TYPE]: object({ id: text, object: { const: 'session' }, model: text, tokens: whole, bytes: whole }),
  },
  texts: {
    [JSON_TYPE]: object({
      id: text,
      object: text,
      created: whole,
      model: text,
      choices: { type: 'array', items: { type: 'object' } },
      usage: { type: 'object' },
    }),
    // As before OpenAPI 3.2, the schema is that of an event.
    'text/event-stream': {
      ...object({ data: text }),
      description: 'The data is JSON with pieces of texts, or why it failed; of the last event it is [DONE].',
    },
  },
};

const FAILURE = object({
  error: object({
    message: text,
    type: text,
    param: { type: ['string', 'null'] },
    code: { type: ['string', 'null'] },
  }),
});

/** What the document says of one server. */
export interface Served {
  readonly models: readonly string[];
  readonly forecasters: readonly string[];
  /** Whether it asks for a key. */
  readonly keys: boolean;
}

/** What the server answers, as an OpenAPI document; the schemas of bodies are those that it checks with. */
export function openApi(served: Served): object {
  const paths = Object.fromEntries(
    Object.entries(OPERATIONS).map(([path, methods]) => [
      path,
      Object.fromEntries(
        Object.entries(methods).map(([method, operation]) => [
          method,
          described(path, method, operation, served),
        ]),
      ),
    ]),
  );
  return {
    openapi: '3.1.0',
    info: { title: 'xlstm', version: '1', description: "OpenAI's HTTP API, and sessions and forecasts." },
    paths,
    components: {
      schemas: { Failure: FAILURE },
      ...(served.keys ? { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } } : {}),
    },
  };
}

/** The methods that a path takes; undefined for one that there is not. */
export function methodsOf(path: string): readonly string[] | undefined {
  const found = Object.entries(OPERATIONS).find(([pattern]) =>
    new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
  );
  return found && Object.keys(found[1]).map((method) => method.toUpperCase());
}

const operationId = (method: string, path: string): string => `${method}${path.replaceAll(/\W+/g, '_')}`;

const parameter = (name: string, at: 'path' | 'query', names: readonly string[] | undefined): object => ({
  name,
  in: at,
  required: true,
  schema: names ? { ...text, enum: names } : text,
});

function described(path: string, method: string, operation: Operation, served: Served): object {
  const { summary, body, query = [], success, failures = [], open } = operation;
  const { models, forecasters, keys } = served;
  const [status, content] = success;
  const given = ANSWERS[content] ?? {};
  const answer = (description: string, by: Readonly<Record<string, Schema>>): object => ({
    description,
    ...(Object.keys(by).length > 0
      ? { content: Object.fromEntries(Object.entries(by).map(([type, schema]) => [type, { schema }])) }
      : {}),
  });
  const failed = open ? given : { [JSON_TYPE]: { $ref: '#/components/schemas/Failure' } };
  const statuses = open ? failures : [400, 401, 404, 500, ...failures];
  return {
    summary,
    operationId: operationId(method, path),
    parameters: [
      ...(path.includes('{name}') ? [parameter('name', 'path', [...models, ...forecasters])] : []),
      ...(path.includes('{id}') ? [parameter('id', 'path', undefined)] : []),
      ...query.map((name) => parameter(name, 'query', models)),
    ],
    ...(body ? { requestBody: { required: true, content: bodyOf(body, served) } } : {}),
    responses: {
      [status]: { ...answer(summary, given), ...(content === 'session' ? { links: sessionLinks() } : {}) },
      ...Object.fromEntries(statuses.map((each) => [each, answer('Why not', failed)])),
    },
    ...(keys && !open ? { security: [{ key: [] }] } : {}),
  };
}

/** Where the id of a session leads to. */
const sessionLinks = (): object =>
  Object.fromEntries(
    Object.entries(OPERATIONS)
      .filter(([path]) => path.includes('{id}'))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => operationId(method, path)))
      .map((id) => [id, { operationId: id, parameters: { id: '$response.body#/id' } }]),
  );

function bodyOf(body: keyof typeof bodies | 'binary', { models, forecasters }: Served): object {
  if (body === 'binary') return { [BINARY]: { schema: { type: 'string', format: 'binary' } } };
  const { $schema: _, ...schema } = toJsonSchema(bodies[body], { typeMode: 'input', errorMode: 'throw' });
  const names = body === 'forecast' ? forecasters : models;
  const { model, ...properties } = schema.properties ?? {};
  const one = { ...text, enum: names };
  const named = 'anyOf' in Object(model) ? { anyOf: [one, { type: 'null' }] } : one;
  return {
    [JSON_TYPE]: {
      schema: { ...schema, properties: { model: names.length > 0 ? named : model, ...properties } },
    },
  };
}
