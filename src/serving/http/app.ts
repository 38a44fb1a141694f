import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { MemoryStore } from '../sessions/memory_store.ts';
import { DEFAULT_SESSIONS, type SessionStore } from '../sessions/session_store.ts';
import { Answering } from './answering.ts';
import { chats, completions } from './bodies.ts';
import { embeddings } from './embeddings.ts';
import { Failure, failureOf } from './failure.ts';
import { forecasts, type ServedForecaster } from './forecasts.ts';
import { jsonOf, tooLarge } from './json_body.ts';
import { checkKey } from './keys.ts';
import { Metrics } from './metrics.ts';
import { methodsOf, openApi } from './openapi.ts';
import { chatAsking, messagesOf, parse } from './requests.ts';
import { chatPrompt, completionPrompts, find, type ServedModel } from './served_model.ts';
import { ServedSessions } from './served_sessions.ts';
import { addSessionRoutes } from './session_routes.ts';

/** What is served, and how much of it. Everything but the models has a default. */
export interface AppOptions {
  /** Models of text. */
  readonly models: readonly ServedModel[];
  /** Models of series of numbers. Default: none. */
  readonly forecasters?: readonly ServedForecaster[];
  /** Where sessions are between two requests. Default: in memory, 256 of them, a week. */
  readonly sessions?: SessionStore;
  /** Requests must carry one of them (`Authorization: Bearer …`). Default: nobody is asked for a key. */
  readonly keys?: readonly string[];
  /** Of a request, but for that of a session that is imported. Default: 1 MiB. */
  readonly maxBodyBytes?: number;
  /** An answer that takes longer is ended. Default: 600. */
  readonly maxSeconds?: number;
  /** Is told of what clients are not: errors that are the server's own. */
  readonly onError?: (error: unknown) => void;
}

/** What answers requests. */
export interface App {
  /** From a request to its answer: for any server that speaks the Fetch API, and for a service worker. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** New requests for answers are refused from here on; those at work go on. */
  drain(): void;
}

const IMPORT = '/v1/sessions/import';

/** OpenAI's HTTP API over models that write for many at a time. */
export function createApp(options: AppOptions): App {
  const {
    models,
    forecasters = [],
    keys = [],
    maxBodyBytes = 2 ** 20,
    maxSeconds = 600,
    onError = () => {},
  } = options;
  const sessions = new ServedSessions(models, options.sessions ?? new MemoryStore(DEFAULT_SESSIONS));
  const answering = new Answering({ maxSeconds, onError });
  const all = [...models, ...forecasters];
  const document = openApi({
    models: models.map(({ name }) => name),
    forecasters: forecasters.map(({ name }) => name),
    keys: keys.length > 0,
  });
  const metrics = new Metrics(models, sessions);
  const app = new Hono();

  app.use(secureHeaders({ strictTransportSecurity: false }));
  app.use(async (c, next) => {
    await next();
    metrics.request(c.req.path, c.res.status);
  });
  app.use('/v1/*', async (c, next) => {
    await checkKey(keys, c.req.header('authorization'));
    await next();
  });
  const limited = bodyLimit({ maxSize: maxBodyBytes, onError: () => tooLarge(maxBodyBytes) });
  app.use('/v1/*', async (c, next) => (c.req.path === IMPORT ? next() : limited(c, next)));

  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/ready', (c) => {
    const { draining } = answering;
    return c.json({ status: draining ? 'draining' : 'ready' }, draining ? 503 : 200);
  });
  app.get('/metrics', (c) => c.body(metrics.text(), 200, { 'content-type': 'text/plain; version=0.0.4' }));
  app.get('/openapi.json', (c) => c.json(document));
  app.get('/v1/models', (c) => c.json({ object: 'list', data: all.map(described) }));
  app.get('/v1/models/:name{[^]+}', (c) => c.json(described(find(all, c.req.param('name')))));

  app.post('/v1/completions', async (c) => {
    const request = parse('completion', await jsonOf(c.req.raw));
    const model = find(models, request.model);
    const prompts = completionPrompts(model, request.prompt);
    const asked = { maxTokens: request.max_tokens ?? 16, logProbabilities: request.logprobs ?? undefined };
    return answering.answer(c.req.raw, model, request, prompts, asked, completions);
  });
  app.post('/v1/chat/completions', async (c) => {
    const request = parse('chat', await jsonOf(c.req.raw));
    const model = find(models, request.model);
    const prompts = [await chatPrompt(model, messagesOf(request))];
    return answering.answer(c.req.raw, model, request, prompts, chatAsking(request), chats);
  });
  app.post('/v1/embeddings', async (c) => {
    const request = parse('embedding', await jsonOf(c.req.raw));
    return c.json(await embeddings(c.req.raw, find(models, request.model), request, answering));
  });
  app.post('/v1/forecasts', async (c) => {
    const request = parse('forecast', await jsonOf(c.req.raw));
    return c.json(await forecasts(c.req.raw, find(forecasters, request.model), request, answering));
  });
  addSessionRoutes(app, models, sessions, answering);

  app.notFound((c) => {
    const { method, path } = c.req;
    const methods = methodsOf(path);
    const other = methods && !methods.includes(method);
    const { body, status } = other
      ? new Failure(405, `${path} takes ${methods.join(' and ')}, not ${method}`)
      : new Failure(404, `there is no ${path}`);
    if (other) c.header('Allow', methods.join(', '));
    return c.json(body, status);
  });
  app.onError((error, c) => {
    const failure = failureOf(error);
    // Who has left reads no answer; that a request came to no end is not the server's doing.
    if (failure.isFault && !c.req.raw.signal.aborted) onError(error);
    if (failure.status === 429) c.header('Retry-After', '1');
    return c.json(failure.body, failure.status);
  });

  return { fetch: async (request) => app.fetch(request), drain: () => answering.drain() };
}

const described = ({ name, created }: ServedModel | ServedForecaster): object => ({
  id: name,
  object: 'model',
  created: Math.floor(created.getTime() / 1000),
  owned_by: 'xlstm',
});
