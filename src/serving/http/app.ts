import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { chatAnswer, chatEvents, textAnswer, textEvents } from './bodies.ts';
import { Failure, failureOf } from './failure.ts';
import { checkKey } from './keys.ts';
import { Metrics } from './metrics.ts';
import { type CommonRequest, parseChat, parseCompletion } from './requests.ts';
import { ResponseFormats } from './response_format.ts';
import { type Answers, ask, chatPrompt, completionPrompts, type ServedModel } from './served_model.ts';

export interface AppOptions {
  readonly models: readonly ServedModel[];
  /** Requests must carry one of them (`Authorization: Bearer …`). Default: nobody is asked for a key. */
  readonly keys?: readonly string[];
  /** Of a request. Default: 1 MiB. */
  readonly maxBodyBytes?: number;
  /** An answer that takes longer is ended. Default: 600. */
  readonly maxSeconds?: number;
  /** Is told of what clients are not: errors that are the server's own. */
  readonly onError?: (error: unknown) => void;
}

export interface App {
  /** From a request to its answer: for any server that speaks the Fetch API, and for a service worker. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** New requests for answers are refused from here on; those at work go on. */
  drain(): void;
}

const JSON_TYPE = /^application\/json\b/i;

/** OpenAI's HTTP API over models that write for many at a time. */
export function createApp(options: AppOptions): App {
  const { models, keys = [], maxBodyBytes = 2 ** 20, maxSeconds = 600, onError } = options;
  const metrics = new Metrics(models);
  const formats = new ResponseFormats();
  const app = new Hono();
  let draining = false;

  app.use(secureHeaders({ strictTransportSecurity: false }));
  app.use(async (c, next) => {
    await next();
    metrics.request(c.req.path, c.res.status);
  });
  app.use('/v1/*', async (c, next) => {
    await checkKey(keys, c.req.header('authorization'));
    await next();
  });
  app.use('/v1/*', bodyLimit({ maxSize: maxBodyBytes, onError: () => tooLarge(maxBodyBytes) }));

  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/ready', (c) => c.json({ status: draining ? 'draining' : 'ready' }, draining ? 503 : 200));
  app.get('/metrics', (c) => c.body(metrics.text(), 200, { 'content-type': 'text/plain; version=0.0.4' }));
  app.get('/v1/models', (c) => c.json({ object: 'list', data: models.map(described) }));
  app.get('/v1/models/:name{.+}', (c) => c.json(described(find(models, c.req.param('name')))));

  app.post('/v1/completions', async (c) => {
    const request = parseCompletion(await jsonOf(c.req.raw));
    const model = find(models, request.model);
    const prompts = completionPrompts(model, request.prompt);
    const asked = { maxTokens: request.max_tokens ?? 16, logProbabilities: request.logprobs ?? undefined };
    return answer(c.req.raw, model, request, prompts, asked, {
      events: textEvents,
      whole: textAnswer,
    });
  });

  app.post('/v1/chat/completions', async (c) => {
    const request = parseChat(await jsonOf(c.req.raw));
    const model = find(models, request.model);
    const messages = request.messages.map(({ role, content }) => ({
      role,
      content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
    }));
    const prompts = [await chatPrompt(model, messages)];
    const asked = {
      maxTokens: request.max_completion_tokens ?? request.max_tokens ?? undefined,
      logProbabilities: request.logprobs ? (request.top_logprobs ?? 0) : undefined,
    };
    return answer(c.req.raw, model, request, prompts, asked, {
      events: chatEvents,
      whole: chatAnswer,
    });
  });

  app.notFound((c) => {
    const { body, status } = new Failure(404, `there is no ${c.req.method} ${c.req.path}`);
    return c.json(body, status);
  });
  app.onError((error, c) => {
    const failure = failureOf(error);
    if (failure.status >= 500) onError?.(error);
    if (failure.status === 429) c.header('Retry-After', '1');
    return c.json(failure.body, failure.status);
  });

  async function answer(
    raw: Request,
    model: ServedModel,
    request: CommonRequest,
    prompts: readonly ArrayLike<number>[],
    asked: { readonly maxTokens: number | undefined; readonly logProbabilities: number | undefined },
    form: {
      readonly events: (
        model: ServedModel,
        request: CommonRequest,
        answers: Answers,
      ) => AsyncIterable<string>;
      readonly whole: (model: ServedModel, answers: Answers) => Promise<object>;
    },
  ): Promise<Response> {
    if (draining) throw new Failure(503, 'the server is about to stop');
    const signal = AbortSignal.any([raw.signal, AbortSignal.timeout(1000 * maxSeconds)]);
    const grammar = formats.grammar(request.response_format);
    const answers = ask(model, prompts, request, { ...asked, grammar, signal });
    if (!request.stream) return Response.json(await form.whole(model, answers));
    return new Response(streamOf(form.events(model, request, answers), onError), {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
    });
  }

  return {
    fetch: async (request) => app.fetch(request),
    drain() {
      draining = true;
    },
  };
}

const described = ({ name, created }: ServedModel): object => ({
  id: name,
  object: 'model',
  created: Math.floor(created.getTime() / 1000),
  owned_by: 'xlstm',
});

function find(models: readonly ServedModel[], name: string): ServedModel {
  const model = models.find((one) => one.name === name);
  if (model) return model;
  const names = models.map((one) => one.name).join(', ');
  throw new Failure(404, `there is no model of this name; there is ${names}`, {
    param: 'model',
    code: 'model_not_found',
  });
}

async function jsonOf(request: Request): Promise<unknown> {
  if (!JSON_TYPE.test(request.headers.get('content-type') ?? '')) {
    throw new Failure(415, 'the content-type: expected application/json');
  }
  const text = await request.text();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Failure(400, 'the body: expected JSON');
  }
}

function tooLarge(most: number): never {
  throw new Failure(413, `the body: expected at most ${most} bytes`);
}

/** Server-sent events; what fails after the first of them is told as one. A client that leaves ends the answer. */
function streamOf(events: AsyncIterable<string>, onError: AppOptions['onError']): ReadableStream<Uint8Array> {
  const iterator = events[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(`data: ${value}\n\n`));
      } catch (error) {
        const failure = failureOf(error);
        if (failure.status >= 500) onError?.(error);
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(failure.body)}\n\n`));
        controller.close();
      }
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
