import type { Memory } from '../compute/engines/engine.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { MAX_REPETITION_WINDOW } from '../generation/sampling.ts';
import type { SequenceState } from '../generation/session_file.ts';
import { TokenWindow } from '../generation/token_window.ts';
import { type FinishReason, type Piece, Writing, type WritingOptions } from '../generation/writing.ts';
import { Output } from './output.ts';

/** A text to be read, and how it is written on. */
export interface BatchRequest extends WritingOptions {
  /** The tokens of the prompt, the one that starts a document among them: one at least, where it does not go on from a state. */
  readonly tokens: ArrayLike<number>;
  readonly maxTokens: number;
  /** Goes on from here. Default: from nothing. */
  readonly from?: SequenceState;
  /**
   * Is given what the text is in the end; its last piece comes when that is kept, and where it cannot be, the loop throws why. Of
   * a text that is left or fails it hears nothing.
   */
  readonly keep?: (written: Written) => Promise<void>;
  /** Is called when the text has left its slot, and is kept if it was to be. */
  readonly onEnd?: () => void;
  /** When it aborts, the text leaves its slot before the next step, and the loop over it throws its reason. */
  readonly signal?: AbortSignal;
}

/** A text that is at its end: all that was given out is read, and nothing else. */
export interface Written {
  readonly state: SequenceState;
  /** The tokens that were chosen and given out. */
  readonly ids: readonly number[];
  readonly text: string;
}

/** The pieces of a text as they come. */
export class Text extends Output<Piece, FinishReason> {
  /** Tokens of the prompt that were not read, since the state that follows them was there; known with the first piece. */
  cachedTokens = 0;
}

type Logits = Float32Array | Float64Array;

/** Where a text was before the tokens that are held back, which a stop string may take back. */
interface Settled {
  readonly state: Memory;
  readonly logits: Logits;
  /** Tokens that were chosen until there. */
  readonly chosen: number;
}

/** A text in a slot or on its way there. */
export class Slot {
  readonly writing: Writing;
  readonly text = new Text();
  readonly signal: AbortSignal | undefined;
  readonly from: SequenceState | undefined;
  readonly keep: BatchRequest['keep'];
  readonly onEnd: BatchRequest['onEnd'];
  /** What it has to read: the prompt; in the end what it gave out and has not read. */
  tokens: Int32Array;
  /** How many of them it has. */
  read = 0;
  /** The last tokens of the prompt and those that were chosen. */
  readonly recent: TokenWindow;
  /** While what it has to read is read by turns with others: the state so far. */
  state: Memory | undefined;
  /** Those that follow the state, where there is nothing to read. */
  logits: Logits | undefined;
  /** The token that was chosen last, which is read in the next step. */
  next = 0;
  /** When it was chosen; before the first one, when the text was asked for. */
  lastMs = performance.now();
  /** The last piece, until what it gave out is read. */
  last: Piece | undefined;
  readonly #chosen: number[] = [];
  readonly #prompt: { readonly recent: TokenWindow; readonly seen: number };
  #written = '';
  #settled: Settled | undefined;

  /** Throws a usage error for an option that is not right. */
  constructor(tokenizer: Tokenizer, { tokens, from, keep, onEnd, signal, ...options }: BatchRequest) {
    this.writing = new Writing(tokenizer, options);
    this.signal = signal;
    this.from = from;
    this.keep = keep;
    this.onEnd = onEnd;
    this.tokens = Int32Array.from(tokens);
    this.logits = from?.logits;
    this.recent = from?.recent.copy() ?? new TokenWindow(MAX_REPETITION_WINDOW);
    for (const id of this.tokens.subarray(-MAX_REPETITION_WINDOW)) this.recent.push(id);
    this.#prompt = {
      recent: this.recent.copy(),
      seen: (from?.tokensSeen ?? 0) + this.tokens.length,
    };
  }

  /** Whether nobody reads what would still come. */
  get left(): boolean {
    return this.text.ended || this.signal?.aborted === true;
  }

  /** Chooses the next token; `copy` gives the state that the logits follow. */
  choose(logits: Logits, copy: () => Memory): Piece {
    const piece = this.writing.next(logits, this.recent);
    if (piece.id !== undefined) this.recent.push(piece.id);
    if (!this.keep) return piece;
    this.#written += piece.text;
    if (piece.id !== undefined) this.#chosen.push(piece.id);
    if (piece.finishReason !== undefined) this.#finish(piece, logits, copy);
    else if (this.writing.held.length === 0) this.#forget();
    else if (!this.#settled) {
      this.#settled = { state: copy(), logits: logits.slice(), chosen: this.#chosen.length - 1 };
    }
    return piece;
  }

  /** The text in the end; `state` and `logits` are those behind all that it had to read. */
  final(state: Float32Array | Float64Array, logits: Logits): Written {
    const ids = this.#chosen.slice(0, this.#chosen.length - this.writing.held.length);
    const recent = this.#prompt.recent.copy();
    for (const id of ids) recent.push(id);
    const tokensSeen = this.#prompt.seen + ids.length;
    return { state: { state, logits, recent, tokensSeen }, ids, text: this.#written };
  }

  /** Gives the memory back. */
  free(): void {
    this.#forget();
    this.state?.free();
    this.state = undefined;
  }

  /** What is left to be read: of the tokens that were chosen those that were given out. */
  #finish(piece: Piece, logits: Logits, copy: () => Memory): void {
    const out = this.#chosen.length - this.writing.held.length;
    const read = this.#chosen.length - (piece.id === undefined ? 0 : 1);
    const back = out < read ? this.#settled : undefined;
    this.state?.free();
    this.state = back?.state ?? copy();
    this.logits = back?.logits ?? logits.slice();
    this.tokens = Int32Array.from(this.#chosen.slice(back?.chosen ?? read, out));
    this.read = 0;
    this.last = piece;
    if (back) this.#settled = undefined;
    else this.#forget();
  }

  #forget(): void {
    this.#settled?.state.free();
    this.#settled = undefined;
  }
}
