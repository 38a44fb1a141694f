import { checkOption, checkWhole } from '../../checks.ts';
import { type ChatMessage, encodeChat } from '../../data/subword/chat.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import type { Grammar } from '../../generation/grammar/grammar.ts';
import { promptTokens } from '../../generation/prompt.ts';
import type { Model } from '../../nn/model.ts';
import { Batcher, type BatcherOptions, DEFAULT_QUEUE } from '../batcher.ts';
import { Embedder } from '../embedder.ts';
import { OneByOne } from '../one_by_one.ts';
import type { BatchRequest, Text } from '../slot.ts';
import { Failure } from './failure.ts';
import type { CommonRequest } from './requests.ts';

/** What a model is served with. Everything but the name has a default. */
export interface ServedModelOptions extends BatcherOptions {
  /** What requests call it. */
  readonly name: string;
  /** Tokens of an answer at most, and of one that does not say how many. Default: 4096. */
  readonly maxTokens?: number;
  /** Tokens of a prompt at most. Default: 65536. */
  readonly maxPromptTokens?: number;
}

/** A language model under the name that requests call it by. */
export class ServedModel {
  /** What requests call it. */
  readonly name: string;
  /** Between texts and its tokens. */
  readonly tokenizer: Tokenizer;
  /** @internal Writes. */
  readonly batcher: Batcher;
  /** @internal Makes vectors of texts. */
  readonly embedder: Embedder;
  /** @internal The requests that wait for it. */
  readonly embeddings: OneByOne;
  /** Tokens of an answer at most. */
  readonly maxTokens: number;
  /** Tokens of a prompt at most. */
  readonly maxPromptTokens: number;
  /** When it was made. */
  readonly created = new Date();

  /** The model is in use until `close`. Throws a usage error for an option that is not right. */
  constructor(model: Model, tokenizer: Tokenizer, options: ServedModelOptions) {
    const { name, maxTokens = 4096, maxPromptTokens = 65_536, ...batching } = options;
    checkOption(typeof name === 'string' && name !== '', 'name', 'a text that is not empty', name);
    checkWhole('maxTokens', maxTokens, 1);
    checkWhole('maxPromptTokens', maxPromptTokens, 1);
    this.name = name;
    this.tokenizer = tokenizer;
    this.batcher = new Batcher(model, tokenizer, batching);
    this.embedder = new Embedder(model);
    this.embeddings = new OneByOne(batching.queue ?? DEFAULT_QUEUE);
    this.maxTokens = maxTokens;
    this.maxPromptTokens = maxPromptTokens;
  }

  /** Refuses further requests, ends those at work when they are at their end, and gives the memory back. */
  async close(): Promise<void> {
    await Promise.all([this.batcher.close(), this.embeddings.done()]);
    this.embedder.free();
  }
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
  model: ServedModel,
  prompts: readonly ArrayLike<number>[],
  request: CommonRequest,
  { maxTokens, known = 0, ...asking }: Asking,
): Answers {
  const { batcher, maxTokens: most } = model;
  for (const prompt of prompts) checkPrompt(model, prompt, 'prompt', asking.from ? 0 : 1);
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

/** Throws a Failure where a prompt has too many tokens, or too few, or one that there is not. */
export function checkPrompt(
  { maxPromptTokens: most, tokenizer: { vocabSize } }: ServedModel,
  prompt: ArrayLike<number>,
  param: string,
  least = 1,
): void {
  const { length } = prompt;
  if (length < least || length > most) {
    throw new Failure(400, `the ${param} has ${length} tokens: expected from ${least} to ${most}`, {
      param,
      ...(length > most ? { code: 'context_length_exceeded' } : {}),
    });
  }
  const at = Array.prototype.findIndex.call(prompt, (id: number) => id >= vocabSize);
  if (at < 0) return;
  throw new Failure(400, `${param}: expected tokens below ${vocabSize}, found ${prompt[at]}`, { param });
}

export interface Asking extends Pick<BatchRequest, 'from' | 'keep' | 'onEnd'> {
  readonly maxTokens: number | undefined;
  /** Tokens of the prompt that are not to be read, since the text goes on behind them. */
  readonly known?: number;
  readonly logProbabilities: number | undefined;
  readonly grammar: Grammar | undefined;
  readonly signal: AbortSignal;
}

/** The one of this name. Throws a Failure that names those there are. */
export function find<M extends { readonly name: string }>(models: readonly M[], name: string): M {
  const model = models.find((one) => one.name === name);
  if (model) return model;
  const names = models.map((one) => one.name).join(', ');
  throw new Failure(404, `there is no such model here; there is ${names || 'none'}`, {
    param: 'model',
    code: 'model_not_found',
  });
}

export const busy = (): Failure =>
  new Failure(429, 'as many texts wait as may: try again later', {
    type: 'rate_limit_error',
    code: 'queue_full',
  });
