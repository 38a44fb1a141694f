import { checkNumber } from '../checks.ts';
import { startToken, type Tokenizer } from '../data/tokenizer.ts';
import { type LogProbability, logProbabilities } from '../generation/log_probabilities.ts';
import { MAX_REPETITION_WINDOW, Sampler, type SamplingOptions } from '../generation/sampling.ts';
import type { FinishReason } from '../generation/session.ts';
import { StopFilter } from '../generation/stop_strings.ts';
import { TokenWindow } from '../generation/token_window.ts';

/** How a text is written on. */
export interface WritingOptions extends SamplingOptions {
  readonly maxTokens: number;
  readonly stop: readonly string[];
  /** Taken from the logit of each token that was chosen before. Default: 0. */
  readonly presencePenalty?: number;
  /** Taken from it for each time that it was. Default: 0. */
  readonly frequencyPenalty?: number;
  /** Of each token that is chosen, and of so many of the likeliest; undefined: none are asked for. */
  readonly logProbabilities: number | undefined;
}

/** What a token adds to a text. */
export interface Piece {
  /** '' where the token ends in the middle of a character, or of what may become a stop string. */
  readonly text: string;
  /** The token that was chosen; undefined in the piece that ends a text without one. */
  readonly id?: number;
  readonly logProbability?: LogProbability;
  /** In the last piece: why the text ends. */
  readonly finishReason?: FinishReason;
}

/** Chooses the tokens of one text, as `Session.generate` does: from the logits of the next token to the piece that it adds. */
export class Writing {
  readonly #tokenizer: Tokenizer;
  readonly #document: number | undefined;
  readonly #sampler: Sampler;
  readonly #filter: StopFilter;
  readonly #decoder;
  readonly #recent = new TokenWindow(MAX_REPETITION_WINDOW);
  readonly #maxTokens: number;
  readonly #logProbabilities: number | undefined;
  readonly #penalties: { readonly presence: number; readonly frequency: number };
  /** How often each token was chosen. */
  readonly #counts = new Map<number, number>();
  #tokens = 0;

  /** Throws a usage error for an option that is not right. */
  constructor(tokenizer: Tokenizer, options: WritingOptions) {
    const {
      maxTokens,
      stop,
      logProbabilities,
      presencePenalty = 0,
      frequencyPenalty = 0,
      ...sampling
    } = options;
    checkNumber('presencePenalty', presencePenalty, 'a number', () => true);
    checkNumber('frequencyPenalty', frequencyPenalty, 'a number', () => true);
    this.#tokenizer = tokenizer;
    this.#document = startToken(tokenizer);
    this.#sampler = new Sampler(tokenizer.vocabSize, sampling);
    this.#filter = new StopFilter(stop);
    this.#decoder = tokenizer.decoder();
    this.#maxTokens = maxTokens;
    this.#logProbabilities = logProbabilities;
    this.#penalties = { presence: presencePenalty, frequency: frequencyPenalty };
  }

  /** Tokens that were chosen. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Tokens that were read: what a repetition penalty looks at. */
  read(ids: ArrayLike<number>): void {
    for (let i = Math.max(0, ids.length - MAX_REPETITION_WINDOW); i < ids.length; i++)
      this.#recent.push(ids[i]);
  }

  /** Chooses the next token. Throws a diverged error where logits are no finite numbers. */
  next(logits: Float32Array | Float64Array): Piece {
    const id = this.#sampler.sample(this.#penalised(logits), this.#recent);
    if (id === this.#document || this.#tokenizer.ends?.has(id)) return this.#end('', {}, 'document');
    this.#tokens++;
    this.#recent.push(id);
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    const text = this.#filter.push(id, this.#decoder.push(id));
    const chosen =
      this.#logProbabilities === undefined
        ? { id }
        : {
            id,
            logProbability: logProbabilities(logits, this.#tokenizer.vocabSize, id, this.#logProbabilities),
          };
    if (this.#filter.stopped) return { text, ...chosen, finishReason: 'stop' };
    if (this.#tokens === this.#maxTokens) return this.#end(text, chosen, 'length');
    return { text, ...chosen };
  }

  #penalised(logits: Float32Array | Float64Array): Float32Array | Float64Array {
    const { presence, frequency } = this.#penalties;
    if (presence === 0 && frequency === 0) return logits;
    const scores = logits.slice();
    for (const [id, count] of this.#counts) scores[id] -= presence + frequency * count;
    return scores;
  }

  #end(text: string, chosen: Omit<Piece, 'text'>, ending: FinishReason): Piece {
    const rest = this.#filter.flush(this.#decoder.flush());
    return { text: text + rest, ...chosen, finishReason: this.#filter.stopped ? 'stop' : ending };
  }
}
