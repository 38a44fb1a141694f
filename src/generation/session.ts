import { checkNames, checkOption, checkRange, checkWhole } from '../checks.ts';
import { startToken, type Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { shareEventLoop } from '../event_loop.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import type { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';
import { SequencePrograms, SequenceRunner } from '../nn/sequence_runner.ts';
import type { Grammar } from './grammar/grammar.ts';
import type { LogProbability } from './log_probabilities.ts';
import { Lookahead } from './lookahead.ts';
import { pieceLength } from './piece_length.ts';
import { promptTokens } from './prompt.ts';
import { MAX_REPETITION_WINDOW, SAMPLING_OPTIONS, type SamplingOptions } from './sampling.ts';
import { decodeSession, encodeSession, type SequenceState } from './session_file.ts';
import { TokenWindow } from './token_window.ts';
import { type FinishReason, type Piece, Writing } from './writing.ts';

/** How the next token is drawn, and where a text ends. Everything has a default. */
export interface GenerateOptions extends SamplingOptions {
  /** Ends after so many tokens. Default: goes on until something else ends it. */
  readonly maxTokens?: number;
  /** Ends before any of these texts; no part of it is given out. */
  readonly stop?: string | readonly string[];
  /** What may be written: the text ends, as by a stop string, where nothing can follow. Default: anything. */
  readonly grammar?: Grammar;
  /** When it aborts, the iterator throws its reason. */
  readonly signal?: AbortSignal;
  /** Is told of each token as it is chosen; what it throws ends the text. */
  readonly onToken?: (id: number) => void;
}

/** How `complete` draws tokens, where the text ends, and what is told of it. */
export interface CompleteOptions extends GenerateOptions {
  /** Tells ln p of each token that is chosen, and of so many of the likeliest ones beside it. Default: nothing is told. */
  readonly logProbabilities?: number;
}

/** What `complete` gives. */
export interface Completion {
  /** What the model wrote, without the prompt. */
  readonly text: string;
  /** The tokens that the model chose; those of a stop string too, although no part of it is in the text. */
  readonly ids: readonly number[];
  /** With `length` it may end in the middle of a sentence, and another call goes on from there. */
  readonly finishReason: FinishReason;
  /** What the call took. */
  readonly usage: {
    /** Tokens read of the prompt, the one that starts a document among them. */
    readonly promptTokens: number;
    /** Tokens that the model chose: as many as there are `ids`. */
    readonly completionTokens: number;
  };
  /** Of each of the ids, where they were asked for. */
  readonly logProbabilities?: readonly LogProbability[];
}

/**
 * One sequence that a model reads and writes. All it remembers is a state of constant size in the engine's memory and
 * the logits of the next token, so a token costs the same however many came before it.
 *
 * Between two calls, and at each piece of text that `generate` gives, the session has read exactly the text that was
 * appended and the text that was given out.
 */
export class Session implements Disposable {
  /** What reads and writes. It is not freed with the session. */
  readonly model: Model;
  /** Between texts and the model's tokens. */
  readonly tokenizer: Tokenizer;
  readonly #runner: SequenceRunner;
  readonly #ahead: Lookahead;
  #logits: Float32Array | Float64Array;
  #recent = new TokenWindow(MAX_REPETITION_WINDOW);
  #tokensSeen = 0;
  readonly #calls: OneCall;
  #generating = false;

  /** A session that has read nothing. Throws a usage error where the tokenizer makes more tokens than the model knows. */
  constructor(model: Model, tokenizer: Tokenizer) {
    const { vocabSize } = model.network;
    checkWhole('the tokenizer: vocabSize', tokenizer.vocabSize, 1);
    if (tokenizer.vocabSize > vocabSize) {
      throw new XlstmError(
        'usage',
        `the tokenizer makes ${tokenizer.vocabSize} tokens, the model knows ${vocabSize}`,
        'Use the tokenizer that the model was trained with.',
      );
    }
    this.#calls = new OneCall('the session', model.use);
    this.model = model;
    this.tokenizer = tokenizer;
    this.#runner = new SequenceRunner(model, SequencePrograms.of(model.network, model.engine.limits));
    this.#ahead = new Lookahead(this.#runner, model.engine);
    this.#logits = new Float32Array(vocabSize);
  }

  /** Tokens read since the session began. */
  get tokensSeen(): number {
    return this.#tokensSeen;
  }

  /** Bytes of the recurrent state in float32; the same for any number of tokens. */
  get stateBytes(): number {
    return this.#runner.state.region.bytes;
  }

  /** A copy of the logits of the next token: [V], all 0 before the first token. */
  get logits(): Float32Array | Float64Array {
    return this.#logits.slice();
  }

  /**
   * Reads a text, or tokens as they are. A text that begins the session follows the token that starts a document, if
   * the tokenizer has one: so it was in training. Rejects with a usage error for a prompt without a token, and for tokens
   * that the model does not know.
   */
  async append(prompt: string | ArrayLike<number>): Promise<void> {
    const tokens = this.#checked(
      typeof prompt === 'string' ? promptTokens(this.tokenizer, prompt, this.#tokensSeen === 0) : prompt,
    );
    if (tokens.length === 0) throw emptyPrompt();
    this.#claim('append', true);
    try {
      await this.#read(tokens);
    } finally {
      this.#calls.release();
    }
  }

  /**
   * Writes on: text as it comes, in whole characters, token after token. It ends after `maxTokens`, before a stop
   * string, where the model ends the document or starts another, or when the loop over it ends. A session that has
   * read nothing begins with the token that starts a document; without such a token it needs a prompt. The iterator
   * returns why it ended. Throws a usage error for an option that is not right; the iterator throws a diverged error where logits are no
   * finite numbers.
   */
  generate(options: GenerateOptions = {}): AsyncGenerator<string, FinishReason, undefined> {
    checkGenerateOptions('generate', options);
    return this.#begin(options);
  }

  /** The options are checked before the iterator is there. */
  #begin(
    options: CompleteOptions,
    told?: (piece: Piece) => void,
  ): AsyncGenerator<string, FinishReason, undefined> {
    const { signal, onToken, ...writing } = options;
    const canAbort = signal === undefined || typeof signal?.throwIfAborted === 'function';
    checkOption(canAbort, 'signal', 'an AbortSignal', signal);
    checkOption(onToken === undefined || typeof onToken === 'function', 'onToken', 'a function', onToken);
    return this.#generate(new Writing(this.tokenizer, writing), signal, (piece) => {
      told?.(piece);
      if (piece.id !== undefined) onToken?.(piece.id);
    });
  }

  /**
   * Reads a prompt, if there is one, and writes on: the text as a whole, why it ended, and how many tokens it took. Rejects
   * as `append` and `generate` do, and with the reason of a `signal` that aborts.
   */
  async complete(
    prompt: string | ArrayLike<number> | undefined,
    options: CompleteOptions = {},
  ): Promise<Completion> {
    checkOption(typeof options === 'object' && options !== null, 'complete', 'an object of options', options);
    const { logProbabilities: likeliest, ...generation } = options;
    checkGenerateOptions('complete', generation);
    const ids: number[] = [];
    const told: LogProbability[] = [];
    const pieces = this.#begin(options, ({ id, logProbability }) => {
      if (id !== undefined) ids.push(id);
      if (logProbability) told.push(logProbability);
    });
    const before = this.#tokensSeen;
    if (prompt !== undefined) await this.append(prompt);
    const promptTokens = this.#tokensSeen - before;
    let text = '';
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) {
        const usage = { promptTokens, completionTokens: ids.length };
        const completion = { text, ids, finishReason: value, usage };
        return likeliest === undefined ? completion : { ...completion, logProbabilities: told };
      }
      text += value;
    }
  }

  async *#generate(
    writing: Writing,
    signal: AbortSignal | undefined,
    onPiece: (piece: Piece) => void,
  ): AsyncGenerator<string, FinishReason, undefined> {
    this.#claim('generate', true);
    this.#generating = true;
    const document = startToken(this.tokenizer);
    // Where to go back to while the session has read tokens (those that are held) whose text is not out.
    let settled: SequenceState | undefined;
    try {
      if (this.#tokensSeen === 0) {
        if (document === undefined) throw emptyPrompt();
        await this.#readOne(document, writing);
      }
      for (;;) {
        signal?.throwIfAborted();
        const piece = writing.next(this.#logits, this.#recent);
        onPiece(piece);
        const { id, text, finishReason } = piece;
        const { held, released, stopped } = writing;
        // Whether the state is the one before the token, which alone is not out: then there is nothing to take back.
        const before = held.length === 1 && id !== undefined;
        if (stopped) {
          if (!settled) await this.#read(Int32Array.from(released));
          else if (!before) await this.#rewind(settled, released);
          settled = undefined;
        } else if (held.length === 0) {
          if (id !== undefined) await this.#readOne(id, writing);
          settled = undefined;
        } else if (settled && text !== '') {
          if (!before) await this.#rewind(settled, released);
          settled = undefined;
        }
        if (text !== '') {
          this.#calls.release();
          yield text;
          this.#claim('generate', false);
        }
        if (finishReason !== undefined) return finishReason;
        if (held.length > 0) {
          const ahead = settled ? [id as number] : held;
          settled ??= await this.#copy();
          for (const token of ahead) await this.#readOne(token, writing);
        }
      }
    } finally {
      try {
        if (settled) this.#load(settled);
        await this.#ahead.settle();
      } finally {
        if (this.#calls.busy === 'generate') this.#calls.release();
        this.#generating = false;
      }
    }
  }

  /**
   * The session as a safetensors file, in the engine's precision, for `restore` on the same model.
   *
   * @param notes What else the metadata of the file tells, by names of one's own; `restore` does not look at it.
   */
  async save(notes: Readonly<Record<string, string>> = {}): Promise<Uint8Array> {
    this.#claim('save', false);
    try {
      const fingerprint = await modelFingerprint(this.model);
      return encodeSession(await this.#copy(), this.#runner.state.region, fingerprint, notes);
    } finally {
      this.#calls.release();
    }
  }

  /**
   * Takes the place of what the session has read with what a saved one had. Rejects with a checkpoint error, in which
   * `source` names the file, for a damaged one and for that of another model; the session then stays as it was.
   */
  async restore(bytes: Uint8Array, source = 'the saved session'): Promise<void> {
    checkOption(bytes instanceof Uint8Array, 'restore', 'a Uint8Array', bytes);
    this.#claim('restore', true);
    try {
      const fingerprint = await modelFingerprint(this.model);
      const { vocabSize } = this.model.network;
      this.#load(decodeSession(bytes, this.#runner.state.region, vocabSize, fingerprint, source));
    } finally {
      this.#calls.release();
    }
  }

  /** An independent session that has read the same: one copy of the state, in the engine's memory. */
  async fork(): Promise<Session> {
    this.#claim('fork', false);
    try {
      const fork = new Session(this.model, this.tokenizer);
      await this.#ahead.settle();
      fork.#runner.state.copyFrom(this.#runner.state);
      fork.#logits = this.#logits.slice();
      fork.#recent = this.#recent.copy();
      fork.#tokensSeen = this.#tokensSeen;
      return fork;
    } finally {
      this.#calls.release();
    }
  }

  /**
   * Gives its memory back; no call is allowed from here on. Throws a usage error while a call is at work or a loop over
   * `generate` is not at its end.
   */
  free(): void {
    this.#refuseInLoop('free');
    this.#calls.free(() => {
      this.#ahead.free();
      this.#runner.free();
    });
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  #checked(tokens: ArrayLike<number>): Int32Array {
    const isList = typeof tokens === 'object' && typeof tokens?.length === 'number';
    checkOption(isList, 'prompt', 'a text or a list of tokens', tokens);
    checkRange('prompt', tokens, { ids: this.model.network.vocabSize });
    return Int32Array.from(tokens);
  }

  /** Moves the state past tokens, piece by piece, and takes the logits that follow the last of them. */
  async #read(tokens: Int32Array): Promise<void> {
    await this.#ahead.settle();
    let at = 0;
    while (at < tokens.length) {
      const length = pieceLength(tokens.length - at);
      const executable = this.#runner.executable(length);
      executable.io.write('tokens', tokens.subarray(at, at + length));
      await executable.run();
      await shareEventLoop();
      at += length;
      if (at === tokens.length) this.#logits = await executable.io.read('logits');
    }
    this.#count(tokens);
  }

  /** Reads a token that was written, and with it, where the engine can, those that will probably be. */
  async #readOne(id: number, writing: Writing): Promise<void> {
    const logits = await this.#ahead.read(id, writing);
    if (!logits) return this.#read(Int32Array.of(id));
    this.#logits = logits;
    this.#count(Int32Array.of(id));
  }

  #count(tokens: Int32Array): void {
    this.#tokensSeen += tokens.length;
    for (const id of tokens.subarray(-MAX_REPETITION_WINDOW)) this.#recent.push(id);
  }

  async #rewind(to: SequenceState, tokens: readonly number[]): Promise<void> {
    this.#load(to);
    await this.#read(Int32Array.from(tokens));
  }

  async #copy(): Promise<SequenceState> {
    await this.#ahead.settle();
    return {
      state: await this.#runner.state.readAll(),
      logits: this.#logits.slice(),
      recent: this.#recent.copy(),
      tokensSeen: this.#tokensSeen,
    };
  }

  /** The copy is the session's from here on. */
  #load(copy: SequenceState): void {
    this.#ahead.drop();
    this.#runner.state.writeAll(copy.state);
    this.#logits = copy.logits;
    this.#recent = copy.recent;
    this.#tokensSeen = copy.tokensSeen;
  }

  /** Calls that move the sequence on must not meet a loop over `generate`, nor any call another one. */
  #claim(call: string, moves: boolean): void {
    if (moves) this.#refuseInLoop(call);
    this.#calls.claim(call);
  }

  #refuseInLoop(call: string): void {
    if (!this.#generating || this.#calls.busy !== undefined) return;
    throw new XlstmError(
      'usage',
      `${call}: a loop over generate is not at its end`,
      'End it first (break, or return() of its iterator), or work on a fork.',
    );
  }
}

const checkGenerateOptions = (what: string, options: GenerateOptions): void =>
  checkNames(what, options, ['maxTokens', 'stop', 'signal', 'onToken', 'grammar', ...SAMPLING_OPTIONS]);

const emptyPrompt = (): XlstmError =>
  new XlstmError(
    'usage',
    'a prompt must hold at least one token, found none',
    'Give some text to start from.',
  );
