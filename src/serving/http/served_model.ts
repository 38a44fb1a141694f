import { type ChatMessage, encodeChat } from '../../data/subword/chat.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import type { Grammar } from '../../generation/grammar/grammar.ts';
import { promptTokens } from '../../generation/prompt.ts';
import type { Batcher } from '../batcher.ts';
import type { BatchRequest, Text } from '../slot.ts';
import { Failure } from './failure.ts';
import type { CommonRequest } from './requests.ts';

/** A model under the name that requests call it by. */
export interface ServedModel {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  readonly batcher: Batcher;
  /** Tokens of an answer at most, and of one that does not say how many. */
  readonly maxTokens: number;
  /** Tokens of a prompt at most. */
  readonly maxPromptTokens: number;
  /** When it was loaded. */
  readonly created: Date;
}

/** An answer on its way. */
export interface Choice {
  readonly index: number;
  readonly text: Text;
}

/** Answers to prompts, `n` to each: those of the first prompt first. */
export interface Answers {
  readonly choices: readonly Choice[];
  readonly promptTokens: number;
  /** Tokens of the prompts that were not read, since the state that follows them was there. */
  cachedTokens(): number;
}

/** The tokens of the prompts of a completion: texts, or tokens as they are. */
export function completionPrompts(
  { tokenizer }: ServedModel,
  prompt: string | readonly string[] | readonly number[] | readonly (readonly number[])[],
): ArrayLike<number>[] {
  const of = (one: string | readonly number[]): ArrayLike<number> =>
    typeof one === 'string' ? promptTokens(tokenizer, one, true) : one;
  if (typeof prompt === 'string') return [of(prompt)];
  if (typeof prompt[0] === 'number') return [prompt as readonly number[]];
  return (prompt as readonly (string | readonly number[])[]).map(of);
}

/** The tokens of a conversation up to where the model is to answer. */
export const chatPrompt = (
  model: ServedModel,
  messages: readonly ChatMessage[],
): Promise<ArrayLike<number>> => encodeChat(model.tokenizer, messages);

/** Asks for the answers. Throws a Failure where a prompt is too long, and where no more can wait. */
export function ask(
  { batcher, maxTokens: most, maxPromptTokens }: ServedModel,
  prompts: readonly ArrayLike<number>[],
  request: CommonRequest,
  { maxTokens, known = 0, ...asking }: Asking,
): Answers {
  for (const { length } of prompts) {
    if (length <= maxPromptTokens && (length > 0 || asking.from)) continue;
    throw new Failure(400, `the prompt has ${length} tokens: expected from 1 to ${maxPromptTokens}`, {
      param: 'prompt',
      code: 'context_length_exceeded',
    });
  }
  const { n, stop } = request;
  const texts: Text[] = [];
  try {
    for (const tokens of prompts) {
      for (let i = 0; i < n; i++) {
        if (batcher.full) throw busy();
        const text = batcher.write({
          tokens,
          maxTokens: Math.min(maxTokens ?? most, most),
          temperature: request.temperature,
          topP: request.top_p,
          stop: stop ?? [],
          presencePenalty: request.presence_penalty,
          frequencyPenalty: request.frequency_penalty,
          ...(typeof request.seed === 'number' ? { seed: request.seed + i } : {}),
          ...asking,
        });
        texts.push(text);
      }
    }
  } catch (error) {
    for (const text of texts) void text.return();
    throw error;
  }
  return {
    choices: texts.map((text, index) => ({ index, text })),
    promptTokens: known + prompts.reduce((sum, { length }) => sum + length, 0),
    cachedTokens: () => known + texts.reduce((sum, { cachedTokens }) => sum + cachedTokens, 0),
  };
}

export interface Asking extends Pick<BatchRequest, 'from' | 'keep' | 'onEnd'> {
  readonly maxTokens: number | undefined;
  /** Tokens of the prompt that are not to be read, since the text goes on behind them. */
  readonly known?: number;
  readonly logProbabilities: number | undefined;
  readonly grammar: Grammar | undefined;
  readonly signal: AbortSignal;
}

/** The model of this name. Throws a Failure that names those there are. */
export function find(models: readonly ServedModel[], name: string): ServedModel {
  const model = models.find((one) => one.name === name);
  if (model) return model;
  const names = models.map((one) => one.name).join(', ');
  throw new Failure(404, `there is no model of this name; there is ${names}`, {
    param: 'model',
    code: 'model_not_found',
  });
}

const busy = (): Failure =>
  new Failure(429, 'as many texts wait as may: try again later', {
    type: 'rate_limit_error',
    code: 'queue_full',
  });
