import type { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { DTYPES } from '../../checkpoints/stored_tensor.ts';
import type { Answering } from './answering.ts';
import { chats, completions } from './bodies.ts';
import { Failure } from './failure.ts';
import { jsonOf, tooLarge } from './json_body.ts';
import { chatAsking, messagesOf, parse } from './requests.ts';
import { find, type ServedModel } from './served_model.ts';
import type { Continuation, ServedSessions } from './served_sessions.ts';

const BINARY = 'application/octet-stream';

/** Beside its numbers a session's file has what was said, and names and shapes. */
const MOST_NOTES = 8 * 2 ** 20;

/** Texts that the server remembers: `/v1/sessions`. A client of OpenAI's API goes on with one whose address is its base. */
export function addSessionRoutes(
  app: Hono,
  models: readonly ServedModel[],
  sessions: ServedSessions,
  answering: Answering,
): void {
  app.post('/v1/sessions', async (c) => {
    answering.checkOpen();
    const { model } = parse('session', await jsonOf(c.req.raw));
    return c.json(await sessions.create(find(models, model)), 201);
  });
  const mostBytes = Math.max(...models.map(({ batcher }) => DTYPES.F64 * batcher.files.numbers)) + MOST_NOTES;
  app.post(
    '/v1/sessions/import',
    bodyLimit({ maxSize: mostBytes, onError: () => tooLarge(mostBytes) }),
    async (c) => {
      answering.checkOpen();
      if (c.req.header('content-type') !== BINARY)
        throw new Failure(415, `the content-type: expected ${BINARY}`);
      const name = c.req.query('model');
      if (name === undefined) throw new Failure(400, 'model: expected ?model=NAME', { param: 'model' });
      const model = find(models, name);
      return c.json(await sessions.import(model, new Uint8Array(await c.req.arrayBuffer())), 201);
    },
  );
  app.get('/v1/sessions/:id', async (c) => c.json(await sessions.describe(c.req.param('id'))));
  app.get('/v1/sessions/:id/export', async (c) => {
    const bytes = await sessions.export(c.req.param('id'));
    return c.body(Uint8Array.from(bytes), 200, { 'content-type': BINARY });
  });
  app.post('/v1/sessions/:id/fork', async (c) => c.json(await sessions.fork(c.req.param('id')), 201));
  app.delete('/v1/sessions/:id', async (c) => {
    await sessions.delete(c.req.param('id'));
    return c.body(null, 204);
  });

  app.post('/v1/sessions/:id/completions', async (c) => {
    const request = parse('sessionCompletion', await jsonOf(c.req.raw));
    answering.checkOpen();
    const prompt = request.prompt ?? undefined;
    const text = await sessions.continueText(c.req.param('id'), request.model ?? undefined, prompt);
    return goOn(text, ({ model, tokens, ...state }) =>
      answering.answer(
        c.req.raw,
        model,
        request,
        [tokens],
        { ...state, maxTokens: request.max_tokens ?? 16, logProbabilities: request.logprobs ?? undefined },
        completions,
      ),
    );
  });
  app.post('/v1/sessions/:id/chat/completions', async (c) => {
    const request = parse('sessionChat', await jsonOf(c.req.raw));
    answering.checkOpen();
    const said = messagesOf(request);
    const text = await sessions.continueChat(c.req.param('id'), request.model ?? undefined, said);
    return goOn(text, ({ model, tokens, ...state }) =>
      answering.answer(c.req.raw, model, request, [tokens], { ...state, ...chatAsking(request) }, chats),
    );
  });
}

/** A text that was refused before it began leaves the session to others. */
async function goOn(
  text: Continuation,
  answer: (text: Continuation) => Promise<Response>,
): Promise<Response> {
  try {
    return await answer(text);
  } catch (error) {
    text.onEnd();
    throw error;
  }
}
