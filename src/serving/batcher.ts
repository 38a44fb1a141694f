import { checkNames, checkRange, checkWhole } from '../checks.ts';
import type { Memory } from '../compute/engines/engine.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { shareEventLoop } from '../event_loop.ts';
import { pieceLength } from '../generation/piece_length.ts';
import { PrefixCache } from '../generation/prefix_cache.ts';
import { MAX_REPETITION_WINDOW } from '../generation/sampling.ts';
import { TokenWindow } from '../generation/token_window.ts';
import { type FinishReason, type Piece, Writing, type WritingOptions } from '../generation/writing.ts';
import type { Model } from '../nn/model.ts';
import { SequencePrograms, SequenceRunner } from '../nn/sequence_runner.ts';
import { DecodeGroup, groupRows } from './decode_group.ts';
import { Histogram } from './histogram.ts';
import { Output } from './output.ts';

export interface BatcherOptions {
  /** Texts that are written at a time. Default: 16. */
  readonly slots?: number;
  /** Texts that may wait for a slot. Default: 64. */
  readonly queue?: number;
  /** Bytes of states that are kept of prompts, so that what begins alike is read once. Default: 64 MiB. 0: none. */
  readonly prefixBytes?: number;
}

/** A text to be read, and how it is written on. */
export interface BatchRequest extends WritingOptions {
  readonly maxTokens: number;
  /** The tokens of the prompt, the one that starts a document among them: one at least. */
  readonly tokens: ArrayLike<number>;
  /** When it aborts, the text leaves its slot before the next step, and the loop over it throws its reason. */
  readonly signal?: AbortSignal;
}

/** What a batcher does at the moment, and has done. */
export interface BatcherStatus {
  readonly slots: number;
  readonly reading: number;
  readonly writing: number;
  readonly waiting: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Tokens of prompts that were not read, since the state that follows them was there. */
  readonly cachedTokens: number;
  /** Steps in which texts were written, each a token for all of them. */
  readonly steps: number;
}

/** A text in a slot or on its way there. */
interface Slot {
  readonly writing: Writing;
  readonly output: Output<Piece, FinishReason>;
  readonly signal: AbortSignal | undefined;
  readonly tokens: Int32Array;
  /** The last tokens of the prompt and those that were chosen. */
  readonly recent: TokenWindow;
  /** Tokens of the prompt that were read. */
  read: number;
  /** While the prompt is read by turns with others: the state so far. */
  state: Memory | undefined;
  /** The token that was chosen last, which is read in the next step. */
  next: number;
  /** When it was chosen; before the first one, when the text was asked for. */
  lastMs: number;
}

/** Operations of a piece of a prompt: what is written on waits for it. Some 50 ms on two cores. */
const PIECE_FLOPS = 8e9;

/** States of prompts are kept at multiples of so many tokens, or of a piece where it is longer. */
const PREFIX_TOKENS = 64;

/**
 * Texts that many ask for, written together: a step moves all of them on by a token, and texts come and go between any two
 * steps. Between steps a piece of one prompt is read, by turns. A text gets the same tokens, to the bit of its logits, whoever
 * is written beside it.
 */
export class Batcher {
  readonly #model: Model;
  readonly #tokenizer: Tokenizer;
  readonly #slots: number;
  readonly #queue: number;
  readonly #groupRows: number;
  readonly #pieceLength: number;
  /**
   * States at places where every prompt that goes on from there is cut into pieces: what follows has the same bits as if
   * all were read.
   */
  readonly #prefixes: PrefixCache<Memory>;
  readonly #reader: SequenceRunner;
  /** Whose state the reader has. */
  #readerOf: Slot | undefined;
  readonly #reading: Slot[] = [];
  readonly #groups: DecodeGroup<Slot>[] = [];
  readonly #waiting: Slot[] = [];
  #work: Promise<void> | undefined;
  #closed = false;
  /** Of all texts so far. */
  readonly times = { toFirstToken: new Histogram(), betweenTokens: new Histogram() };
  #promptTokens = 0;
  #completionTokens = 0;
  #cachedTokens = 0;
  #steps = 0;

  /** The model is in use until `close`. Throws a usage error for an option that is not right. */
  constructor(model: Model, tokenizer: Tokenizer, options: BatcherOptions = {}) {
    checkNames('Batcher', options, ['slots', 'queue', 'prefixBytes']);
    const { slots = 16, queue = 64, prefixBytes = 64 * 2 ** 20 } = options;
    checkWhole('slots', slots, 1, 4096);
    checkWhole('queue', queue, 0);
    checkWhole('prefixBytes', prefixBytes, 0);
    model.use.enter('Batcher');
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#slots = slots;
    this.#queue = queue;
    this.#groupRows = groupRows(model);
    const most = Math.floor(PIECE_FLOPS / (2 * model.parameters.count));
    this.#pieceLength = pieceLength(Number.POSITIVE_INFINITY, most);
    this.#prefixes = new PrefixCache(prefixBytes, (state) => state.free());
    this.#reader = new SequenceRunner(model, SequencePrograms.of(model.network, model.engine.limits));
  }

  get status(): BatcherStatus {
    return {
      slots: this.#slots,
      reading: this.#reading.length,
      writing: this.#writing,
      waiting: this.#waiting.length,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
      cachedTokens: this.#cachedTokens,
      steps: this.#steps,
    };
  }

  /** Whether another text would be refused. */
  get full(): boolean {
    return this.#waiting.length - this.#free >= this.#queue;
  }

  /**
   * Reads a prompt and writes on, a piece for each token. Ending the loop over it early frees the slot. Throws a usage error
   * for options that are not right, tokens that the model does not know, and where as many wait as may.
   */
  write(request: BatchRequest): Output<Piece, FinishReason> {
    if (this.#closed) throw new XlstmError('usage', 'write: the batcher was closed');
    const { tokens, signal, ...options } = request;
    checkRange('tokens', tokens, { ids: this.#model.network.vocabSize });
    checkWhole('tokens: length', tokens.length, 1);
    checkWhole('maxTokens', options.maxTokens, 1);
    if (this.full) {
      throw new XlstmError(
        'usage',
        `write: ${this.#slots} texts are written and ${this.#queue} wait, as many as may`,
        'Try again later, or give the batcher more slots or a longer queue.',
      );
    }
    const slot: Slot = {
      writing: new Writing(this.#tokenizer, options),
      output: new Output(),
      signal,
      tokens: Int32Array.from(tokens),
      recent: new TokenWindow(MAX_REPETITION_WINDOW),
      read: 0,
      state: undefined,
      next: 0,
      lastMs: performance.now(),
    };
    for (const id of slot.tokens.subarray(-MAX_REPETITION_WINDOW)) slot.recent.push(id);
    this.#waiting.push(slot);
    this.#work ??= this.#run();
    return slot.output;
  }

  /** Refuses further texts, ends those that are written when they are at their end, and gives the memory back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#work;
    this.#reader.free();
    this.#prefixes.clear();
    for (const group of this.#groups) group.free();
    this.#model.use.leave();
  }

  get #writing(): number {
    return this.#groups.reduce((sum, { sequences }) => sum + sequences.length, 0);
  }

  get #free(): number {
    return this.#slots - this.#writing - this.#reading.length;
  }

  async #run(): Promise<void> {
    // Who asks in the same turn of the event loop shares the first step.
    await Promise.resolve();
    for (;;) {
      this.#dropEnded();
      while (this.#free > 0 && this.#waiting.length > 0) this.#reading.push(this.#waiting.shift() as Slot);
      if (this.#reading.length === 0 && this.#writing === 0) break;
      await this.#readPiece();
      for (const group of this.#groups) await this.#step(group);
      await shareEventLoop();
    }
    this.#work = undefined;
  }

  /** Texts whose readers have left, before they cost a step. */
  #dropEnded(): void {
    const gone = ({ output, signal }: Slot): boolean => output.ended || signal?.aborted === true;
    for (const list of [this.#waiting, this.#reading]) {
      for (const slot of list.filter(gone)) {
        list.splice(list.indexOf(slot), 1);
        this.#end(slot);
      }
    }
    for (const group of this.#groups) {
      for (const slot of group.sequences.filter(gone)) {
        group.remove(slot);
        this.#end(slot);
      }
    }
  }

  /** Reads a piece of the prompt whose turn it is; one that is read to its end is written on from the next step. */
  async #readPiece(): Promise<void> {
    const [slot] = this.#reading;
    if (!slot) return;
    let writes = false;
    try {
      this.#turnTo(slot);
      if (slot.read === 0) this.#skipKnown(slot);
      const length = pieceLength(slot.tokens.length - slot.read, this.#pieceLength);
      const executable = this.#reader.executable(length);
      executable.io.write('tokens', slot.tokens.subarray(slot.read, slot.read + length));
      await executable.run();
      slot.read += length;
      this.#promptTokens += length;
      this.#keepPrefix(slot);
      this.#reading.shift();
      if (slot.read < slot.tokens.length) {
        this.#reading.push(slot);
        return;
      }
      const logits = await executable.io.read('logits');
      writes = this.#choose(slot, logits);
      if (writes) this.#groupWithRoom().add(slot, this.#reader.state);
    } catch (error) {
      if (this.#reading[0] === slot) this.#reading.shift();
      slot.output.fail(error);
    }
    if (writes) this.#leaveReader(slot);
    else this.#end(slot);
  }

  /** Gives the reader the state of a prompt; whose turn it was keeps its own. */
  #turnTo(slot: Slot): void {
    const before = this.#readerOf;
    if (before === slot) return;
    const { state } = this.#reader;
    if (before) {
      before.state ??= this.#model.engine.allocate(state.region);
      before.state.copyFrom(state);
    }
    if (slot.state) state.copyFrom(slot.state);
    else state.clear();
    this.#readerOf = slot;
  }

  /** Begins a prompt behind what was read for another one; a token is left, for the logits that follow it. */
  #skipKnown(slot: Slot): void {
    const known = this.#prefixes.longest(slot.tokens, slot.tokens.length - 1);
    if (!known) return;
    this.#reader.state.copyFrom(known.value);
    slot.read = known.length;
    this.#cachedTokens += known.length;
  }

  #keepPrefix({ tokens, read }: Slot): void {
    if (read % Math.max(this.#pieceLength, PREFIX_TOKENS) !== 0) return;
    const { state } = this.#reader;
    if (
      state.region.bytes > this.#prefixes.mostBytes ||
      this.#prefixes.longest(tokens, read)?.length === read
    ) {
      return;
    }
    const copy = this.#model.engine.allocate(state.region);
    copy.copyFrom(state);
    this.#prefixes.put(tokens.subarray(0, read), copy, state.region.bytes);
  }

  #groupWithRoom(): DecodeGroup<Slot> {
    let group = this.#groups.find(({ sequences }) => sequences.length < this.#groupRows);
    if (!group) {
      group = new DecodeGroup(this.#model);
      this.#groups.push(group);
    }
    return group;
  }

  async #step(group: DecodeGroup<Slot>): Promise<void> {
    const slots = [...group.sequences];
    if (slots.length === 0) return;
    const { vocabSize } = this.#model.network;
    try {
      const logits = await group.step(slots.map(({ next }) => next));
      this.#steps++;
      slots.forEach((slot, row) => {
        if (this.#choose(slot, logits.subarray(row * vocabSize, (row + 1) * vocabSize))) return;
        group.remove(slot);
        this.#end(slot);
      });
    } catch (error) {
      for (const slot of slots) {
        slot.output.fail(error);
        if (group.sequences.includes(slot)) group.remove(slot);
        this.#end(slot);
      }
    }
  }

  /** Chooses the next token of a text; false where the text is at its end. */
  #choose(slot: Slot, logits: Float32Array | Float64Array): boolean {
    let piece: Piece;
    try {
      piece = slot.writing.next(logits, slot.recent);
    } catch (error) {
      slot.output.fail(error);
      return false;
    }
    if (piece.id !== undefined) {
      slot.recent.push(piece.id);
      this.#completionTokens++;
      const now = performance.now();
      const times = slot.writing.tokens === 1 ? this.times.toFirstToken : this.times.betweenTokens;
      times.observe((now - slot.lastMs) / 1000);
      slot.lastMs = now;
    }
    slot.output.push(piece);
    if (piece.finishReason !== undefined) slot.output.end(piece.finishReason);
    else slot.next = piece.id as number;
    return piece.finishReason === undefined;
  }

  #leaveReader(slot: Slot): void {
    if (this.#readerOf === slot) this.#readerOf = undefined;
    slot.state?.free();
    slot.state = undefined;
  }

  #end(slot: Slot): void {
    this.#leaveReader(slot);
    if (slot.signal?.aborted) slot.output.fail(slot.signal.reason);
  }
}
