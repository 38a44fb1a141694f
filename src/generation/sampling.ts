import { checkNames, checkNumber, checkWhole } from '../checks.ts';
import type { DraftOptions } from '../compute/engines/engine.ts';
import { XlstmError } from '../errors.ts';
import { Random } from '../random.ts';
import { exponential } from './exponential.ts';
import type { TokenWindow } from './token_window.ts';

/** How many tokens back a repetition penalty can look. */
export const MAX_REPETITION_WINDOW = 1024;

/** A penalty outside of 1 / this … this takes logits to where their order is lost, or out of all numbers. */
const MOST_PENALTY = 1e6;

/**
 * How the next token is drawn. The steps, in this order: the repetition penalty and the temperature change the logits;
 * top-k, then top-p (of what top-k left), then min-p take tokens away; one of the rest is drawn by its probability.
 */
export interface SamplingOptions {
  /** Divides the logits. 0: always the likeliest token (of equal ones that with the lowest id). Default 1. */
  readonly temperature?: number;
  /** Keeps the k likeliest tokens. Default: all. */
  readonly topK?: number;
  /** Keeps the fewest of the likeliest tokens whose probabilities reach this sum. Default 1: all. */
  readonly topP?: number;
  /** Keeps tokens at least this times as probable as the likeliest. Default 0: all. */
  readonly minP?: number;
  /** Divides the logits above 0 and multiplies those below of tokens that came lately. Default 1: none. */
  readonly repetitionPenalty?: number;
  /** The tokens back, the prompt's among them, that the repetition penalty counts. Default 64; 0: none. */
  readonly repetitionWindow?: number;
  /** The same seed draws the same tokens. Default: another one each time. */
  readonly seed?: number;
}

export const SAMPLING_OPTIONS: readonly (keyof SamplingOptions)[] = [
  'temperature',
  'topK',
  'topP',
  'minP',
  'repetitionPenalty',
  'repetitionWindow',
  'seed',
];

/** Draws tokens from logits. */
export class Sampler {
  readonly #vocabSize: number;
  readonly #temperature: number;
  readonly #topK: number;
  readonly #topP: number;
  readonly #minP: number;
  readonly #penalty: number;
  readonly #window: number;
  readonly #random: Random;
  /** The tokens that can be drawn: #ids[#first … #end), with weights in proportion to their probabilities. */
  readonly #ids: Int32Array;
  readonly #weights: Float64Array;
  #first = 0;
  #end = 0;
  readonly #penalised: Float64Array;

  /**
   * Tokens are 0 … vocabSize − 1, whatever further logits a model has. Throws a usage error for an option that is not
   * right.
   */
  constructor(vocabSize: number, options: SamplingOptions = {}) {
    checkNames('Sampler', options, SAMPLING_OPTIONS);
    const { temperature = 1, topK = vocabSize, topP = 1, minP = 0 } = options;
    const { repetitionPenalty = 1, repetitionWindow = 64 } = options;
    const { seed = Math.floor(Math.random() * 2 ** 32) } = options;
    checkWhole('vocabSize', vocabSize, 1);
    checkNumber('temperature', temperature, 'a number of at least 0', (value) => value >= 0);
    checkWhole('topK', topK, 1);
    checkNumber('topP', topP, 'a number above 0 and at most 1', (value) => value > 0 && value <= 1);
    checkNumber('minP', minP, 'a number from 0 to 1', (value) => value >= 0 && value <= 1);
    checkNumber(
      'repetitionPenalty',
      repetitionPenalty,
      'a number from 1e-6 to 1e6',
      (value) => value >= 1 / MOST_PENALTY && value <= MOST_PENALTY,
    );
    checkWhole('repetitionWindow', repetitionWindow, 0, MAX_REPETITION_WINDOW);
    checkWhole('seed', seed, 0);
    this.#vocabSize = vocabSize;
    this.#temperature = temperature;
    this.#topK = Math.min(topK, vocabSize);
    this.#topP = topP;
    this.#minP = minP;
    this.#penalty = repetitionPenalty;
    this.#window = repetitionWindow;
    this.#random = new Random(seed);
    this.#ids = new Int32Array(vocabSize);
    this.#weights = new Float64Array(vocabSize);
    this.#penalised = new Float64Array(repetitionPenalty === 1 ? 0 : vocabSize);
  }

  /**
   * Draws a token from logits, of which the first vocabSize count; `recent` are the tokens that the repetition penalty
   * looks at. Throws a diverged error where a logit is NaN or infinite.
   */
  sample(logits: Float32Array | Float64Array, recent: TokenWindow): number {
    const scores = this.#penalise(logits, recent);
    const best = likeliest(scores, this.#vocabSize);
    if (this.#temperature === 0) return best;
    let rest = this.#random.uniform() * this.#choose(scores, scores[best]);
    for (let i = this.#first; i < this.#end; i++) {
      rest -= this.#weights[i];
      if (rest < 0) return this.#ids[i];
    }
    return best; // the sum was rounded up
  }

  /** The probability of each token to be drawn next: [vocabSize], 0 for those taken away. Throws as `sample` does. */
  probabilities(logits: Float32Array | Float64Array, recent: TokenWindow): Float64Array {
    const probabilities = new Float64Array(this.#vocabSize);
    const scores = this.#penalise(logits, recent);
    const best = likeliest(scores, this.#vocabSize);
    if (this.#temperature === 0) {
      probabilities[best] = 1;
      return probabilities;
    }
    const total = this.#choose(scores, scores[best]);
    for (let i = this.#first; i < this.#end; i++) probabilities[this.#ids[i]] = this.#weights[i] / total;
    return probabilities;
  }

  /**
   * What the next `count` draws follow besides the logits, for an engine that draws by itself. Undefined with a penalty, which
   * looks at the tokens before, and with top-k, whose tokens lie in the order of a heap.
   */
  ahead(count: number): Pick<DraftOptions, 'temperature' | 'topP' | 'minP' | 'uniforms'> | undefined {
    const temperature = this.#temperature;
    if (this.#penalty !== 1 || (temperature > 0 && this.#topK < this.#vocabSize)) return undefined;
    const random = Random.restore(this.#random.state());
    const uniforms = Array.from({ length: count }, () => random.uniform());
    return { temperature, topP: this.#topP, minP: this.#minP, uniforms };
  }

  #penalise(logits: Float32Array | Float64Array, recent: TokenWindow): Float32Array | Float64Array {
    if (this.#penalty === 1) return logits;
    const scores = this.#penalised;
    for (let id = 0; id < scores.length; id++) scores[id] = logits[id];
    const count = Math.min(this.#window, recent.length);
    for (let back = 0; back < count; back++) {
      const id = recent.back(back);
      // From the logit, not from the score: a token that came twice is penalised once.
      if (id < scores.length)
        scores[id] = logits[id] > 0 ? logits[id] / this.#penalty : logits[id] * this.#penalty;
    }
    return scores;
  }

  /** Fills ids and weights, the likeliest token's weight being 1; returns the sum of the weights. */
  #choose(scores: Float32Array | Float64Array, best: number): number {
    const ids = this.#ids;
    const weights = this.#weights;
    let count = this.#topK;
    if (count < this.#vocabSize) this.#keepTop(scores);
    else for (let id = 0; id < count; id++) ids[id] = id;
    let total = 0;
    for (let i = 0; i < count; i++) {
      weights[i] = exponential((scores[ids[i]] - best) / this.#temperature);
      total += weights[i];
    }
    this.#first = 0;
    this.#end = count;
    if (this.#topP === 1 && this.#minP === 0) return total;

    // Tokens rarer than this make less than 1 − top-p together, so top-p leaves none of them.
    const rare = ((1 - this.#topP) * total) / count;
    const least = Math.max(this.#minP, rare);
    const all = count;
    count = 0;
    for (let i = 0; i < all; i++) {
      if (weights[i] < least) continue;
      weights[count] = weights[i];
      ids[count++] = ids[i];
    }
    this.#end = count;
    if (this.#topP < 1) this.#first = this.#keepNucleus(this.#topP * total);
    let kept = 0;
    for (let i = this.#first; i < count; i++) kept += weights[i];
    return kept;
  }

  /** ids[0 … topK) become those of the highest scores: the worst of them is on top of a heap. */
  #keepTop(scores: Float32Array | Float64Array): void {
    const ids = this.#ids;
    const values = this.#weights;
    const size = this.#topK;
    for (let i = 0; i < size; i++) {
      ids[i] = i;
      values[i] = scores[i];
    }
    for (let i = (size >> 1) - 1; i >= 0; i--) sink(values, ids, i, size, worse);
    for (let id = size; id < this.#vocabSize; id++) {
      if (scores[id] <= values[0]) continue;
      ids[0] = id;
      values[0] = scores[id];
      sink(values, ids, 0, size, worse);
    }
  }

  /**
   * Takes the heaviest tokens from a heap, one by one to the back of the arrays, until they weigh `enough`: the few that
   * are kept get sorted, not the vocabulary. Returns where they begin.
   */
  #keepNucleus(enough: number): number {
    const ids = this.#ids;
    const weights = this.#weights;
    let size = this.#end;
    for (let i = (size >> 1) - 1; i >= 0; i--) sink(weights, ids, i, size, better);
    let sum = 0;
    while (size > 0 && sum < enough) {
      size--;
      const [weight, id] = [weights[0], ids[0]];
      weights[0] = weights[size];
      ids[0] = ids[size];
      weights[size] = weight;
      ids[size] = id;
      sum += weight;
      sink(weights, ids, 0, size, better);
    }
    return size;
  }
}

function likeliest(scores: Float32Array | Float64Array, count: number): number {
  let best = 0;
  let difference = 0; // NaN as soon as a score is NaN or infinite
  for (let id = 0; id < count; id++) {
    const score = scores[id];
    difference += score - score;
    if (score > scores[best]) best = id;
  }
  if (difference !== 0) {
    throw new XlstmError(
      'diverged',
      'the model gave logits that are no finite numbers',
      'Its weights or its state are damaged: load the checkpoint again.',
    );
  }
  return best;
}

type Order = (value: number, id: number, otherValue: number, otherId: number) => boolean;

/** Of equal values that of the lower id is the better. */
const better: Order = (value, id, otherValue, otherId) =>
  value > otherValue || (value === otherValue && id < otherId);
const worse: Order = (value, id, otherValue, otherId) =>
  value < otherValue || (value === otherValue && id > otherId);

/** Lets the entry at `at` of a heap sink below those that come before it. */
function sink(values: Float64Array, ids: Int32Array, at: number, size: number, before: Order): void {
  const value = values[at];
  const id = ids[at];
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && before(values[child + 1], ids[child + 1], values[child], ids[child])) child++;
    if (!before(values[child], ids[child], value, id)) break;
    values[at] = values[child];
    ids[at] = ids[child];
    at = child;
  }
  values[at] = value;
  ids[at] = id;
}
