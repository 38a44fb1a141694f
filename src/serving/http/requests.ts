import * as v from 'valibot';
import type { ChatMessage } from '../../data/subword/chat.ts';
import { Failure } from './failure.ts';
import { issueText } from './issue_text.ts';

/** Texts that a request may ask for at once, and of stop strings and likeliest tokens: as many as OpenAI's API has. */
const MOST_CHOICES = 16;
const MOST_STOPS = 4;
const MOST_LIKELIEST = 20;
/** Series of a request, and steps that are forecast of each. */
const MOST_SERIES = 256;
const MOST_STEPS = 4096;

const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
const between = (least: number, most: number) => v.pipe(v.number(), v.minValue(least), v.maxValue(most));
const token = whole(0, 2 ** 31 - 1);
const text = v.pipe(v.string(), v.minLength(1));

const responseFormat = v.variant('type', [
  v.strictObject({ type: v.literal('text') }),
  v.strictObject({ type: v.literal('json_object') }),
  v.strictObject({
    type: v.literal('json_schema'),
    json_schema: v.strictObject({
      name: v.string(),
      schema: v.record(v.string(), v.unknown()),
      description: v.nullish(v.string()),
      /** What is written always keeps to the schema: of no effect. */
      strict: v.nullish(v.boolean()),
    }),
  }),
]);

const common = {
  model: v.string(),
  temperature: v.nullish(between(0, 2), 1),
  top_p: v.nullish(between(Number.MIN_VALUE, 1), 1),
  n: v.nullish(whole(1, MOST_CHOICES), 1),
  stream: v.nullish(v.boolean(), false),
  stream_options: v.nullish(v.strictObject({ include_usage: v.nullish(v.boolean(), false) })),
  stop: v.nullish(v.union([text, v.pipe(v.array(text), v.maxLength(MOST_STOPS))])),
  seed: v.nullish(whole(0, Number.MAX_SAFE_INTEGER)),
  presence_penalty: v.nullish(between(-2, 2), 0),
  frequency_penalty: v.nullish(between(-2, 2), 0),
  max_tokens: v.nullish(whole(1, 2 ** 31 - 1)),
  response_format: v.nullish(responseFormat),
  /** Whose request it is: of no effect. */
  user: v.nullish(v.string()),
};

const prompts = v.union([
  v.string(),
  v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(MOST_CHOICES)),
  v.pipe(v.array(token), v.minLength(1)),
  v.pipe(v.array(v.pipe(v.array(token), v.minLength(1))), v.minLength(1), v.maxLength(MOST_CHOICES)),
]);

const completion = v.strictObject({ ...common, prompt: prompts, logprobs: v.nullish(whole(0, 5)) });

const part = v.strictObject({ type: v.literal('text'), text: v.string() });

const chat = v.strictObject({
  ...common,
  messages: v.pipe(
    v.array(
      v.strictObject({
        role: v.string(),
        content: v.union([v.string(), v.array(part)]),
      }),
    ),
    v.minLength(1),
  ),
  max_completion_tokens: v.nullish(whole(1, 2 ** 31 - 1)),
  logprobs: v.nullish(v.boolean(), false),
  top_logprobs: v.nullish(whole(0, MOST_LIKELIEST)),
});

const embedding = v.strictObject({
  model: v.string(),
  input: prompts,
  encoding_format: v.nullish(v.picklist(['float', 'base64']), 'float'),
  /** Which vector of a text. */
  of: v.nullish(v.picklist(['hidden', 'state']), 'hidden'),
  user: v.nullish(v.string()),
});

const variate = v.pipe(v.array(v.nullable(v.number())), v.minLength(1));
const variates = v.record(v.string(), variate);

const forecast = v.strictObject({
  model: v.string(),
  series: v.pipe(
    v.array(
      v.union([
        variate,
        v.strictObject({ targets: variates, past: v.nullish(variates), known: v.nullish(variates) }),
      ]),
    ),
    v.minLength(1),
    v.maxLength(MOST_SERIES),
  ),
  horizon: whole(1, MOST_STEPS),
  /** Quantiles. */
  levels: v.nullish(v.pipe(v.array(between(0, 1)), v.minLength(1), v.maxLength(99))),
});

const session = v.strictObject({ model: v.string() });

const inSession = { model: v.nullish(v.string()), n: v.nullish(v.literal(1), 1) };

const sessionCompletion = v.strictObject({
  ...completion.entries,
  ...inSession,
  /** What comes next in the text. */
  prompt: v.nullish(v.union([v.string(), v.array(token)])),
});

const sessionChat = v.strictObject({ ...chat.entries, ...inSession });

/** The schemas of bodies, by what they ask for. */
export const bodies = { completion, chat, embedding, forecast, session, sessionCompletion, sessionChat };

/** A body of one of the schemas. Throws a Failure that names the key: one of no use is refused, since it would have no effect. */
export function parse<K extends keyof typeof bodies>(
  kind: K,
  body: unknown,
): v.InferOutput<(typeof bodies)[K]> {
  const result = v.safeParse(bodies[kind], body);
  if (result.success) {
    checkPairs(result.output);
    return result.output as v.InferOutput<(typeof bodies)[K]>;
  }
  const { param, text } = issueText(result.issues[0]);
  throw new Failure(400, `${param ?? 'the body'}: ${text}`, { param });
}

/** Keys that are of effect beside another one alone, or in its absence. Throws a Failure for one that has none. */
function checkPairs(body: Readonly<Record<string, unknown>>): void {
  const given = (key: string): boolean => body[key] !== undefined && body[key] !== null;
  const refuse = (param: string, problem: string): never => {
    throw new Failure(400, `${param}: ${problem}`, { param });
  };
  if (given('stream_options') && body.stream !== true) refuse('stream_options', 'expected with stream alone');
  if (given('top_logprobs') && body.logprobs !== true) refuse('top_logprobs', 'expected with logprobs alone');
  if (given('max_tokens') && given('max_completion_tokens'))
    refuse('max_tokens', 'expected this or max_completion_tokens, found both');
}

export type ResponseFormat = v.InferOutput<typeof responseFormat>;
export type EmbeddingRequest = v.InferOutput<typeof embedding>;
export type ForecastRequest = v.InferOutput<typeof forecast>;
export type ChatRequest = v.InferOutput<typeof chat>;
/** What all that ask for texts have. */
export type CommonRequest = Omit<v.InferOutput<typeof completion>, 'model' | 'prompt' | 'logprobs'>;

/** The messages of a chat, each with its text as a whole. */
export const messagesOf = ({ messages }: Pick<ChatRequest, 'messages'>): ChatMessage[] =>
  messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
  }));

/** What a chat says in other words than a completion. */
export const chatAsking = (
  request: Pick<ChatRequest, 'max_completion_tokens' | 'max_tokens' | 'logprobs' | 'top_logprobs'>,
): { readonly maxTokens: number | undefined; readonly logProbabilities: number | undefined } => ({
  maxTokens: request.max_completion_tokens ?? request.max_tokens ?? undefined,
  logProbabilities: request.logprobs ? (request.top_logprobs ?? 0) : undefined,
});
