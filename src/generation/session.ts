import { DOCUMENT, type Tokenizer } from '../data/tokenizer.ts';
import type { Executable, Memory } from '../engine/engine.ts';
import { XlstmError } from '../errors.ts';
import type { Model } from '../nn/model.ts';
import { shareEventLoop } from './event_loop.ts';
import { pieceLength, SequencePrograms } from './programs.ts';
import { MAX_REPETITION_WINDOW, Sampler, type SamplingOptions } from './sampling.ts';
import { decodeSession, encodeSession, modelFingerprint, type SequenceState } from './session_file.ts';
import { StopFilter } from './stop_strings.ts';
import { TokenWindow } from './token_window.ts';

export interface GenerateOptions extends SamplingOptions {
  /** Ends after so many tokens. Default: goes on until something else ends it. */
  readonly maxTokens?: number;
  /** Ends before any of these texts; no part of it is given out. */
  readonly stop?: string | readonly string[];
  /** When it aborts, the iterator throws its reason. */
  readonly signal?: AbortSignal;
}

/**
 * One sequence that a model reads and writes. All it remembers is a state of constant size in the engine's memory and
 * the logits of the next token, so a token costs the same however many came before it.
 *
 * Between two calls, and at each piece of text that `generate` gives, the session has read exactly the text that was
 * appended and the text that was given out.
 */
export class Session {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly #programs: SequencePrograms;
  readonly #state: Memory;
  readonly #executables = new Map<number, Executable>();
  readonly #single = new Int32Array(1);
  #logits: Float32Array | Float64Array;
  #recent = new TokenWindow(MAX_REPETITION_WINDOW);
  #tokensSeen = 0;
  /** The call that is at work, if any. */
  #busy: string | undefined;
  #generating = false;

  /** A session that has read nothing. */
  constructor(model: Model, tokenizer: Tokenizer) {
    const { vocabSize } = model.network;
    if (tokenizer.vocabSize > vocabSize) {
      throw new XlstmError(
        'usage',
        `the tokenizer makes ${tokenizer.vocabSize} tokens, the model knows ${vocabSize}`,
        'Use the tokenizer that the model was trained with.',
      );
    }
    this.model = model;
    this.tokenizer = tokenizer;
    this.#programs = SequencePrograms.of(model.network);
    this.#state = model.engine.allocate(this.#programs.state);
    this.#logits = new Float32Array(vocabSize);
  }

  /** Tokens read since the session began. */
  get tokensSeen(): number {
    return this.#tokensSeen;
  }

  /** Bytes of the recurrent state in float32; the same for any number of tokens. */
  get stateBytes(): number {
    return 4 * this.#programs.state.elements;
  }

  /** A copy of the logits of the next token: [V], all 0 before the first token. */
  get logits(): Float32Array | Float64Array {
    return this.#logits.slice();
  }

  /**
   * Reads a text, or tokens as they are. A text that begins the session follows the token that starts a document, if
   * the tokenizer has one: so it was in training.
   */
  async append(prompt: string | ArrayLike<number>): Promise<void> {
    const tokens = typeof prompt === 'string' ? this.#encode(prompt) : this.#checked(prompt);
    if (tokens.length === 0) throw emptyPrompt();
    this.#claim('append', true);
    try {
      await this.#read(tokens);
    } finally {
      this.#busy = undefined;
    }
  }

  /**
   * Writes on: text as it comes, in whole characters, token after token. It ends after `maxTokens`, before a stop
   * string, where the model starts another document, or when the loop over it ends. A session that has read nothing
   * begins with the token that starts a document; without such a token it needs a prompt.
   */
  generate(options: GenerateOptions = {}): AsyncGenerator<string, void, undefined> {
    const { maxTokens = Number.POSITIVE_INFINITY, stop = [], signal } = options;
    if (maxTokens !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(maxTokens) && maxTokens >= 1)) {
      throw new XlstmError('usage', `maxTokens: expected a whole number of at least 1, found ${maxTokens}`);
    }
    const sampler = new Sampler(this.tokenizer.vocabSize, options);
    return this.#generate(sampler, new StopFilter(stop), maxTokens, signal);
  }

  async *#generate(
    sampler: Sampler,
    filter: StopFilter,
    maxTokens: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<string, void, undefined> {
    this.#claim('generate', true);
    this.#generating = true;
    const document = this.tokenizer.specials.get(DOCUMENT);
    const decoder = this.tokenizer.decoder();
    // Where to go back to while the session has read tokens (the filter's held ones) whose text is not out.
    let settled: SequenceState | undefined;
    try {
      if (this.#tokensSeen === 0) {
        if (document === undefined) throw emptyPrompt();
        await this.#readOne(document);
      }
      for (let count = 0; count < maxTokens; count++) {
        signal?.throwIfAborted();
        const id = sampler.sample(this.#logits, this.#recent);
        if (id === document) break;
        const text = filter.push(id, decoder.push(id));
        const { stopped, held } = filter;
        if (held.length === 0) {
          await this.#readOne(id);
          settled = undefined;
        } else if (settled && (text !== '' || stopped)) {
          // Of what was read since then only the tokens that were let out count; a single held one is not read yet.
          if (held.length > 1) await this.#rewind(settled, filter.released);
          settled = undefined;
        }
        if (text !== '') {
          this.#busy = undefined;
          yield text;
          this.#claim('generate', false);
        }
        if (stopped) return;
        if (held.length > 0) {
          const ahead = settled ? [id] : held;
          settled ??= await this.#copy();
          for (const token of ahead) await this.#readOne(token);
        }
      }
      const rest = filter.flush(decoder.flush());
      if (settled && filter.stopped) await this.#rewind(settled, filter.released);
      settled = undefined;
      if (rest !== '') {
        this.#busy = undefined;
        yield rest;
        this.#claim('generate', false);
      }
    } finally {
      if (settled) this.#load(settled);
      if (this.#busy === 'generate') this.#busy = undefined;
      this.#generating = false;
    }
  }

  /** The session as a safetensors file, in float32, for `restore` on the same model. */
  async save(): Promise<Uint8Array> {
    this.#claim('save', false);
    try {
      const fingerprint = await modelFingerprint(this.model);
      return encodeSession(await this.#copy(), this.#programs.state, fingerprint);
    } finally {
      this.#busy = undefined;
    }
  }

  /** Takes the place of what the session has read with what a saved one had; `source` names the file in errors. */
  async restore(bytes: Uint8Array, source = 'the saved session'): Promise<void> {
    this.#claim('restore', true);
    try {
      const fingerprint = await modelFingerprint(this.model);
      const { vocabSize } = this.model.network;
      this.#load(decodeSession(bytes, this.#programs.state, vocabSize, fingerprint, source));
    } finally {
      this.#busy = undefined;
    }
  }

  /** An independent session that has read the same. */
  async fork(): Promise<Session> {
    this.#claim('fork', false);
    try {
      const fork = new Session(this.model, this.tokenizer);
      fork.#load(await this.#copy());
      return fork;
    } finally {
      this.#busy = undefined;
    }
  }

  #encode(text: string): Int32Array {
    const ids = this.tokenizer.encode(text);
    const document = this.tokenizer.specials.get(DOCUMENT);
    if (document === undefined || this.#tokensSeen > 0) return ids;
    const started = new Int32Array(ids.length + 1);
    started[0] = document;
    started.set(ids, 1);
    return started;
  }

  #checked(tokens: ArrayLike<number>): Int32Array {
    const { vocabSize } = this.model.network;
    for (let i = 0; i < tokens.length; i++) {
      if (!Number.isInteger(tokens[i]) || tokens[i] < 0 || tokens[i] >= vocabSize) {
        throw new XlstmError(
          'usage',
          `token ${i} of the prompt: expected a token id from 0 to ${vocabSize - 1}, found ${tokens[i]}`,
        );
      }
    }
    return Int32Array.from(tokens);
  }

  /** Moves the state past tokens, piece by piece, and takes the logits that follow the last of them. */
  async #read(tokens: Int32Array): Promise<void> {
    let at = 0;
    while (at < tokens.length) {
      const length = pieceLength(tokens.length - at);
      const executable = this.#executable(length);
      executable.io.write('tokens', tokens.subarray(at, at + length));
      await executable.run();
      await shareEventLoop();
      at += length;
      if (at === tokens.length) this.#logits = await executable.io.read('logits');
    }
    this.#tokensSeen += tokens.length;
    for (const id of tokens.subarray(-MAX_REPETITION_WINDOW)) this.#recent.push(id);
  }

  #readOne(id: number): Promise<void> {
    this.#single[0] = id;
    return this.#read(this.#single);
  }

  async #rewind(to: SequenceState, tokens: readonly number[]): Promise<void> {
    this.#load(to);
    await this.#read(Int32Array.from(tokens));
  }

  #executable(length: number): Executable {
    let executable = this.#executables.get(length);
    if (!executable) {
      const memories = [...this.model.memories, this.#state];
      executable = this.model.engine.bind(this.#programs.get(length), memories);
      this.#executables.set(length, executable);
    }
    return executable;
  }

  async #copy(): Promise<SequenceState> {
    return {
      state: await this.#state.readAll(),
      logits: this.#logits.slice(),
      recent: this.#recent.copy(),
      tokensSeen: this.#tokensSeen,
    };
  }

  /** The copy is the session's from here on. */
  #load(copy: SequenceState): void {
    this.#state.writeAll(copy.state);
    this.#logits = copy.logits;
    this.#recent = copy.recent;
    this.#tokensSeen = copy.tokensSeen;
  }

  /** Calls that move the sequence on must not meet a loop over `generate`, nor any call another one. */
  #claim(call: string, moves: boolean): void {
    if (this.#busy !== undefined) {
      throw new XlstmError(
        'usage',
        `${call}: the session is still at work for ${this.#busy}`,
        `Await ${this.#busy} first, or work on a fork.`,
      );
    }
    if (moves && this.#generating) {
      throw new XlstmError(
        'usage',
        `${call}: a loop over generate is not at its end`,
        'End it first (break, or return() of its iterator), or work on a fork.',
      );
    }
    this.#busy = call;
  }
}

const emptyPrompt = (): XlstmError =>
  new XlstmError(
    'usage',
    'a prompt must hold at least one token, found none',
    'Give some text to start from.',
  );
