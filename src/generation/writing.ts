import { checkNumber, checkOption, checkWhole } from '../checks.ts';
import type { DraftOptions } from '../compute/engines/engine.ts';
import { startToken, type Tokenizer } from '../data/tokenizer.ts';
import type { Grammar, GrammarCursor } from './grammar/grammar.ts';
import { type LogProbability, logProbabilities } from './log_probabilities.ts';
import { Sampler, type SamplingOptions } from './sampling.ts';
import { StopFilter } from './stop_strings.ts';
import type { TokenWindow } from './token_window.ts';

/**
 * Why a text ended: after the tokens that were asked for, at a stop string or where its grammar lets nothing follow, or
 * because the model ended the document or began another.
 */
export type FinishReason = 'length' | 'stop' | 'document';

/** How a text is written on. */
export interface WritingOptions extends SamplingOptions {
  /** Default: goes on until something else ends it. */
  readonly maxTokens?: number;
  /** Ends before any of these texts; no part of it is given out. */
  readonly stop?: string | readonly string[];
  /** What may be written. Default: anything. */
  readonly grammar?: Grammar;
  /** Taken from the logit of each token that was chosen before. Default: 0. */
  readonly presencePenalty?: number;
  /** Taken from it for each time that it was. Default: 0. */
  readonly frequencyPenalty?: number;
  /** Of each token that is chosen, and of so many of the likeliest; undefined: none are asked for. */
  readonly logProbabilities?: number;
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

/** Chooses the tokens of one text: from the logits of the next token to the piece that it adds. */
export class Writing {
  readonly #tokenizer: Tokenizer;
  readonly #document: number | undefined;
  readonly #sampler: Sampler;
  readonly #filter: StopFilter;
  readonly #grammar: GrammarCursor | undefined;
  readonly #decoder;
  readonly #maxTokens: number;
  readonly #logProbabilities: number | undefined;
  readonly #penalties: { readonly presence: number; readonly frequency: number };
  /** How often each token was chosen. */
  readonly #counts = new Map<number, number>();
  #tokens = 0;
  #released: readonly number[] = [];

  /** Throws a usage error for an option that is not right. */
  constructor(tokenizer: Tokenizer, options: WritingOptions) {
    const {
      maxTokens = Number.POSITIVE_INFINITY,
      stop = [],
      grammar,
      logProbabilities,
      presencePenalty = 0,
      frequencyPenalty = 0,
      ...sampling
    } = options;
    const isGrammar = grammar === undefined || typeof grammar?.begin === 'function';
    checkOption(isGrammar, 'grammar', 'a Grammar', grammar);
    if (maxTokens !== Number.POSITIVE_INFINITY) checkWhole('maxTokens', maxTokens, 1);
    if (logProbabilities !== undefined)
      checkWhole('logProbabilities', logProbabilities, 0, tokenizer.vocabSize);
    checkNumber('presencePenalty', presencePenalty, 'a number', () => true);
    checkNumber('frequencyPenalty', frequencyPenalty, 'a number', () => true);
    this.#tokenizer = tokenizer;
    this.#document = startToken(tokenizer);
    this.#sampler = new Sampler(tokenizer.vocabSize, sampling);
    this.#filter = new StopFilter(stop);
    this.#grammar = grammar?.begin(tokenizer);
    this.#decoder = tokenizer.decoder();
    this.#maxTokens = maxTokens;
    this.#logProbabilities = logProbabilities;
    this.#penalties = { presence: presencePenalty, frequency: frequencyPenalty };
  }

  /** Tokens that were chosen. */
  get tokens(): number {
    return this.#tokens;
  }

  /** Tokens whose text is not all out: none at the end of a text, unless a stop string ended it. */
  get held(): readonly number[] {
    return this.#filter.held;
  }

  /** Of the tokens that were held, and the last one, those whose text the last piece let out to the end. */
  get released(): readonly number[] {
    return this.#released;
  }

  /** Whether a stop string ended the text. */
  get stopped(): boolean {
    return this.#filter.stopped;
  }

  /**
   * Chooses the next token, `recent` being those that were read last: what a repetition penalty looks at. Throws a diverged
   * error where logits are no finite numbers.
   */
  next(logits: Float32Array | Float64Array, recent: TokenWindow): Piece {
    this.#released = [];
    if (this.#grammar?.complete) return this.#end({ text: '' }, 'stop');
    const id = this.#sampler.sample(this.#penalised(this.#grammar?.masked(logits) ?? logits), recent);
    if (id === this.#document || this.#tokenizer.ends?.has(id)) return this.#end({ text: '' }, 'document');
    this.#tokens++;
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    this.#grammar?.push(id);
    const text = this.#filter.push(id, this.#decoder.push(id));
    this.#released = this.#filter.released;
    const piece =
      this.#logProbabilities === undefined
        ? { text, id }
        : {
            text,
            id,
            logProbability: logProbabilities(logits, this.#tokenizer.vocabSize, id, this.#logProbabilities),
          };
    if (this.#filter.stopped) return { ...piece, finishReason: 'stop' };
    if (this.#grammar?.complete) return this.#end(piece, 'stop');
    return this.#tokens === this.#maxTokens ? this.#end(piece, 'length') : piece;
  }

  /** What the next tokens, at most `count`, will be drawn by, where that is known: not under a grammar or penalties. */
  ahead(count: number): Omit<DraftOptions, 'input' | 'output'> | undefined {
    const { presence, frequency } = this.#penalties;
    if (this.#grammar || presence !== 0 || frequency !== 0) return undefined;
    const draws = Math.min(count, this.#maxTokens - this.#tokens);
    const rule = draws > 0 ? this.#sampler.ahead(draws) : undefined;
    return rule && { ...rule, vocabSize: this.#tokenizer.vocabSize };
  }

  #penalised(logits: Float32Array | Float64Array): Float32Array | Float64Array {
    const { presence, frequency } = this.#penalties;
    if (presence === 0 && frequency === 0) return logits;
    const scores = logits.slice();
    for (const [id, count] of this.#counts) scores[id] -= presence + frequency * count;
    return scores;
  }

  /** The last piece, with what was held back. */
  #end(piece: Piece, reason: FinishReason): Piece {
    const rest = this.#filter.flush(this.#decoder.flush());
    this.#released = [...this.#released, ...this.#filter.released];
    return { ...piece, text: piece.text + rest, finishReason: this.#filter.stopped ? 'stop' : reason };
  }
}
