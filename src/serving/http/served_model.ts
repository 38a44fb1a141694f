import { type ChatMessage, encodeChat } from '../../data/subword/chat.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import type { Grammar } from '../../generation/grammar/grammar.ts';
import { promptTokens } from '../../generation/prompt.ts';
import type { FinishReason, Piece } from '../../generation/writing.ts';
import type { Batcher } from '../batcher.ts';
import type { Output } from '../output.ts';
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
  readonly output: Output<Piece, FinishReason>;
}

/** Answers to prompts, `n` to each: those of the first prompt first. */
export interface Answers {
  readonly choices: readonly Choice[];
  readonly promptTokens: number;
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
  { maxTokens, logProbabilities, grammar, signal }: Asking,
): Answers {
  for (const { length } of prompts) {
    if (length <= maxPromptTokens && length > 0) continue;
    throw new Failure(400, `the prompt has ${length} tokens: expected from 1 to ${maxPromptTokens}`, {
      param: 'prompt',
      code: 'context_length_exceeded',
    });
  }
  const { n, stop } = request;
  const outputs: Output<Piece, FinishReason>[] = [];
  try {
    for (const tokens of prompts) {
      for (let i = 0; i < n; i++) {
        if (batcher.full) throw busy();
        const output = batcher.write({
          tokens,
          maxTokens: Math.min(maxTokens ?? most, most),
          temperature: request.temperature,
          topP: request.top_p,
          stop: typeof stop === 'string' ? [stop] : (stop ?? []),
          presencePenalty: request.presence_penalty,
          frequencyPenalty: request.frequency_penalty,
          ...(typeof request.seed === 'number' ? { seed: request.seed + i } : {}),
          logProbabilities,
          grammar,
          signal,
        });
        outputs.push(output);
      }
    }
  } catch (error) {
    for (const output of outputs) void output.return();
    throw error;
  }
  return {
    choices: outputs.map((output, index) => ({ index, output })),
    promptTokens: prompts.reduce((sum, { length }) => sum + length, 0),
  };
}

interface Asking {
  readonly maxTokens: number | undefined;
  readonly logProbabilities: number | undefined;
  readonly grammar: Grammar | undefined;
  readonly signal: AbortSignal;
}

const busy = (): Failure =>
  new Failure(429, 'as many texts wait as may: try again later', {
    type: 'rate_limit_error',
    code: 'queue_full',
  });
