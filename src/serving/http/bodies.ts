import type { FinishReason, Piece } from '../../generation/writing.ts';
import type { Form } from './answering.ts';
import { CompletionLogProbabilities, chatLogProbability, finishReason, merged } from './answers.ts';
import type { CommonRequest } from './requests.ts';
import type { Answers, ServedModel } from './served_model.ts';

const DONE = '[DONE]';

interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

const headOf = (prefix: string, { name }: ServedModel): Head => ({
  id: `${prefix}-${crypto.randomUUID()}`,
  created: Math.floor(Date.now() / 1000),
  model: name,
});

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

const usageOf = ({ promptTokens, cachedTokens }: Answers, completionTokens: number): Usage => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
  prompt_tokens_details: { cached_tokens: cachedTokens() },
});

interface Whole {
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly reason: FinishReason | undefined;
}

/** All answers to their ends, and the tokens that were chosen. */
async function wholeOf({ choices }: Answers): Promise<{ whole: readonly Whole[]; tokens: number }> {
  const pieces: Piece[][] = choices.map(() => []);
  for await (const { index, piece } of merged(choices)) pieces[index].push(piece);
  const whole = pieces.map((all) => ({
    text: all.map(({ text }) => text).join(''),
    pieces: all,
    reason: all.at(-1)?.finishReason,
  }));
  return { whole, tokens: pieces.flat().filter(({ id }) => id !== undefined).length };
}

async function textAnswer(model: ServedModel, answers: Answers): Promise<object> {
  const { whole, tokens } = await wholeOf(answers);
  return {
    ...headOf('cmpl', model),
    object: 'text_completion',
    choices: whole.map(({ text, pieces, reason }, index) => ({
      index,
      text,
      logprobs: new CompletionLogProbabilities(model.tokenizer).tell(pieces),
      finish_reason: finishReason(reason),
    })),
    usage: usageOf(answers, tokens),
  };
}

async function chatAnswer(model: ServedModel, answers: Answers): Promise<object> {
  const { whole, tokens } = await wholeOf(answers);
  return {
    ...headOf('chatcmpl', model),
    object: 'chat.completion',
    choices: whole.map(({ text, pieces, reason }, index) => {
      const told = pieces.flatMap((piece) => chatLogProbability(model.tokenizer, piece) ?? []);
      return {
        index,
        message: { role: 'assistant', content: text, refusal: null },
        logprobs: told.length > 0 ? { content: told, refusal: null } : null,
        finish_reason: finishReason(reason),
      };
    }),
    usage: usageOf(answers, tokens),
  };
}

function textEvents(model: ServedModel, request: CommonRequest, answers: Answers): AsyncIterable<string> {
  const told = answers.choices.map(() => new CompletionLogProbabilities(model.tokenizer));
  return events(
    request,
    answers,
    { ...headOf('cmpl', model), object: 'text_completion' },
    (index, piece) => ({
      index,
      text: piece.text,
      logprobs: told[index].tell([piece]),
      finish_reason: finishReason(piece.finishReason),
    }),
  );
}

function chatEvents(model: ServedModel, request: CommonRequest, answers: Answers): AsyncIterable<string> {
  const begun = new Set<number>();
  const head = { ...headOf('chatcmpl', model), object: 'chat.completion.chunk' };
  return events(request, answers, head, (index, piece) => {
    const role = begun.has(index) ? {} : { role: 'assistant' };
    begun.add(index);
    const told = chatLogProbability(model.tokenizer, piece);
    return {
      index,
      delta: { ...role, content: piece.text },
      logprobs: told ? { content: [told], refusal: null } : null,
      finish_reason: finishReason(piece.finishReason),
    };
  });
}

/** An event for each piece that has something to tell; the usage, where it is asked for, comes last. */
async function* events(
  request: CommonRequest,
  answers: Answers,
  head: object,
  choiceOf: (index: number, piece: Piece) => object,
): AsyncGenerator<string, void, undefined> {
  const wantsUsage = request.stream_options?.include_usage === true;
  let tokens = 0;
  for await (const { index, piece } of merged(answers.choices)) {
    if (piece.id !== undefined) tokens++;
    if (piece.text === '' && piece.finishReason === undefined && !piece.logProbability) continue;
    const usage = wantsUsage ? { usage: null } : {};
    yield JSON.stringify({ ...head, choices: [choiceOf(index, piece)], ...usage });
  }
  if (wantsUsage) yield JSON.stringify({ ...head, choices: [], usage: usageOf(answers, tokens) });
  yield DONE;
}

/** Texts as completions. */
export const completions: Form = { events: textEvents, whole: textAnswer };

/** Texts as what is said in a chat. */
export const chats: Form = { events: chatEvents, whole: chatAnswer };
