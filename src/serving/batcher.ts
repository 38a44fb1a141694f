import { checkNames, checkRange, checkWhole } from '../checks.ts';
import type { Executable, Memory } from '../compute/engines/engine.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { turn } from '../event_loop.ts';
import { pieceLength } from '../generation/piece_length.ts';
import type { Piece } from '../generation/writing.ts';
import type { Model } from '../nn/model.ts';
import { SequencePrograms, SequenceRunner } from '../nn/sequence_runner.ts';
import { DecodeGroup, groupRows } from './decode_group.ts';
import { Histogram } from './histogram.ts';
import { promptPiece } from './prompt_piece.ts';
import { PromptStates } from './prompt_states.ts';
import { SessionFiles } from './session_files.ts';
import { type BatchRequest, Slot, type Text, type Written } from './slot.ts';

/** Texts that may wait where nothing else is said. */
export const DEFAULT_QUEUE = 64;

/** How many texts a model writes at a time. Everything has a default. */
export interface BatcherOptions {
  /** Texts that are written at a time. Default: 16. */
  readonly slots?: number;
  /** Texts that may wait for a slot. Default: 64. */
  readonly queue?: number;
  /** Bytes of states that are kept of prompts, so that what begins alike is read once. Default: 64 MiB. 0: none. */
  readonly prefixBytes?: number;
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
  /** Bytes of the states that are kept of prompts. */
  readonly cachedBytes: number;
  /** Steps in which texts were written, each a token for all of them. */
  readonly steps: number;
}

/**
 * Texts that many ask for, written together: a step moves all of them on by a token, and texts come and go between any two
 * steps. Between steps prompts are read, a piece of each by turns. A text gets the same tokens, to the bit of its logits, whoever
 * is written beside it.
 */
export class Batcher {
  readonly #model: Model;
  readonly #tokenizer: Tokenizer;
  readonly #slots: number;
  readonly #queue: number;
  readonly #groupRows: number;
  readonly #pieceLength: number;
  readonly #prompts: PromptStates;
  /** Its texts as files. */
  readonly files: SessionFiles;
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
  /** What the last step took. */
  #stepMs = 0;

  /** The model is in use until `close`. Throws a usage error for an option that is not right. */
  constructor(model: Model, tokenizer: Tokenizer, options: BatcherOptions = {}) {
    checkNames('Batcher', options, ['slots', 'queue', 'prefixBytes']);
    const { slots = 16, queue = DEFAULT_QUEUE, prefixBytes = 64 * 2 ** 20 } = options;
    checkWhole('slots', slots, 1, 4096);
    checkWhole('queue', queue, 0);
    checkWhole('prefixBytes', prefixBytes, 0);
    model.use.enter('Batcher');
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#slots = slots;
    this.#queue = queue;
    this.#groupRows = groupRows(model);
    this.#pieceLength = promptPiece(model);
    this.#prompts = new PromptStates(model.engine, this.#pieceLength, prefixBytes);
    this.#reader = new SequenceRunner(model, SequencePrograms.of(model.network, model.engine.limits));
    this.files = new SessionFiles(model, this.#reader.state.region);
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
      cachedBytes: this.#prompts.bytes,
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
  write(request: BatchRequest): Text {
    if (this.#closed) throw new XlstmError('usage', 'write: the batcher was closed');
    const { tokens, maxTokens, from } = request;
    checkRange('tokens', tokens, { ids: this.#model.network.vocabSize });
    checkWhole('tokens: length', tokens.length, from && from.tokensSeen > 0 ? 0 : 1);
    checkWhole('maxTokens', maxTokens, 1);
    if (this.full) {
      throw new XlstmError(
        'usage',
        `write: ${this.#slots} texts are written and ${this.#queue} wait, as many as may`,
        'Try again later, or give the batcher more slots or a longer queue.',
      );
    }
    const slot = new Slot(this.#tokenizer, request);
    this.#waiting.push(slot);
    this.#work ??= this.#run();
    return slot.text;
  }

  /** Refuses further texts, ends those that are written when they are at their end, and gives the memory back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#work;
    this.#reader.free();
    this.#prompts.free();
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
      // What was written last goes out before the step: beside it, it would take a core from threads that wait for each other.
      await turn();
      await this.#readPieces();
      const start = performance.now();
      await this.#step();
      this.#stepMs = performance.now() - start;
    }
    this.#work = undefined;
  }

  /** Texts whose readers have left, before they cost a step. */
  #dropEnded(): void {
    for (const list of [this.#waiting, this.#reading]) {
      for (const slot of list.filter(({ left }) => left)) {
        list.splice(list.indexOf(slot), 1);
        this.#end(slot);
      }
    }
    for (const group of this.#groups) {
      for (const slot of group.sequences.filter(({ left }) => left)) {
        group.remove(slot);
        this.#end(slot);
      }
    }
  }

  /**
   * Reads a piece of a prompt, and further ones of the same or other prompts while they take no more than half as long as a step: where
   * many are written more than one ends with each step, and their slots would stay empty.
   */
  async #readPieces(): Promise<void> {
    const until = performance.now() + this.#stepMs / 2;
    do await this.#readPiece();
    while (this.#reading.length > 0 && performance.now() < until);
  }

  /** Reads a piece of what the text whose turn it is has to read; a prompt at its end is written on from the next step. */
  async #readPiece(): Promise<void> {
    const slot = this.#reading.shift();
    if (!slot) return;
    try {
      this.#turnTo(slot);
      let { logits } = slot;
      if (slot.read < slot.tokens.length) {
        const executable = await this.#read(slot);
        if (slot.read < slot.tokens.length) {
          this.#reading.push(slot);
          return;
        }
        logits = await executable.io.read('logits');
      }
      if (slot.last) {
        const state = await this.#reader.state.readAll();
        this.#keep(slot, slot.last, slot.final(state, logits as Float32Array));
        return;
      }
      if (this.#choose(slot, logits as Float32Array, (target) => target.copyFrom(this.#reader.state))) {
        this.#groupWithRoom().add(slot, this.#reader.state);
        this.#leaveReader(slot);
        return;
      } else if (slot.last) {
        this.#readOn(slot);
        return;
      }
    } catch (error) {
      slot.text.fail(error);
    }
    this.#end(slot);
  }

  async #read(slot: Slot): Promise<Executable> {
    const fromStart = slot.from === undefined && slot.last === undefined;
    if (fromStart && slot.read === 0) {
      slot.read = this.#prompts.skip(slot.tokens, this.#reader.state);
      slot.text.cachedTokens = slot.read;
      this.#cachedTokens += slot.read;
    }
    const length = pieceLength(slot.tokens.length - slot.read, this.#pieceLength);
    const executable = this.#reader.executable(length);
    executable.io.write('tokens', slot.tokens.subarray(slot.read, slot.read + length));
    await executable.run();
    slot.read += length;
    if (!slot.last) this.#promptTokens += length;
    if (fromStart) this.#prompts.keep(slot.tokens, slot.read, this.#reader.state);
    return executable;
  }

  /** Gives the reader the state of a text; whose turn it was keeps its own. */
  #turnTo(slot: Slot): void {
    const before = this.#readerOf;
    if (before === slot) return;
    const { state } = this.#reader;
    if (before) {
      before.state ??= this.#model.engine.allocate(state.region);
      before.state.copyFrom(state);
    }
    if (slot.state) state.copyFrom(slot.state);
    else if (slot.from) state.writeAll(slot.from.state);
    else state.clear();
    this.#readerOf = slot;
  }

  #groupWithRoom(): DecodeGroup<Slot> {
    let group = this.#groups.find(({ sequences }) => sequences.length < this.#groupRows);
    if (!group) {
      group = new DecodeGroup(this.#model);
      this.#groups.push(group);
    }
    return group;
  }

  /** A token for all that are written; those of a group are chosen while the next group's are computed. */
  async #step(): Promise<void> {
    let choose = (): void => {};
    for (const group of this.#groups) {
      const slots = [...group.sequences];
      if (slots.length === 0) continue;
      const step = group.step(slots.map(({ next }) => next));
      choose();
      try {
        const logits = await step;
        choose = () => this.#chooseAll(group, slots, logits);
      } catch (error) {
        choose = () => this.#fail(group, slots, error);
      }
    }
    choose();
  }

  #chooseAll(group: DecodeGroup<Slot>, slots: readonly Slot[], logits: Float32Array | Float64Array): void {
    const { vocabSize } = this.#model.network;
    this.#steps++;
    try {
      slots.forEach((slot, row) => {
        const own = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
        if (this.#choose(slot, own, (target) => group.copyState(slot, target))) return;
        group.remove(slot);
        if (slot.last) this.#readOn(slot);
        else this.#end(slot);
      });
    } catch (error) {
      this.#fail(group, slots, error);
    }
  }

  #fail(group: DecodeGroup<Slot>, slots: readonly Slot[], error: unknown): void {
    for (const slot of slots) {
      slot.text.fail(error);
      if (group.sequences.includes(slot)) group.remove(slot);
      this.#end(slot);
    }
  }

  /** Chooses the next token of a text; false where the text is at its end, or has failed. */
  #choose(slot: Slot, logits: Float32Array | Float64Array, copyTo: (target: Memory) => void): boolean {
    let piece: Piece;
    try {
      piece = slot.choose(logits, () => {
        const copy = this.#model.engine.allocate(this.#reader.state.region);
        copyTo(copy);
        return copy;
      });
    } catch (error) {
      slot.text.fail(error);
      return false;
    }
    if (piece.id !== undefined) {
      this.#completionTokens++;
      const now = performance.now();
      const times = slot.writing.tokens === 1 ? this.times.toFirstToken : this.times.betweenTokens;
      times.observe((now - slot.lastMs) / 1000);
      slot.lastMs = now;
    }
    if (piece.finishReason === undefined) slot.next = piece.id as number;
    if (!slot.last) this.#give(slot, piece);
    return piece.finishReason === undefined;
  }

  /** The others are not kept waiting for it. */
  #keep(slot: Slot, last: Piece, written: Written): void {
    const { keep } = slot;
    (async () => keep?.(written))()
      .then(
        () => this.#give(slot, last),
        (error) => slot.text.fail(error),
      )
      .finally(() => this.#end(slot));
    this.#leaveReader(slot);
  }

  #give(slot: Slot, piece: Piece): void {
    slot.text.push(piece);
    if (piece.finishReason !== undefined) slot.text.end(piece.finishReason);
  }

  /** What a text gave out and has not read is read before its last piece comes. */
  #readOn(slot: Slot): void {
    if (this.#readerOf === slot) this.#readerOf = undefined;
    this.#reading.push(slot);
  }

  #leaveReader(slot: Slot): void {
    if (this.#readerOf === slot) this.#readerOf = undefined;
    slot.state?.free();
    slot.state = undefined;
  }

  #end(slot: Slot): void {
    if (this.#readerOf === slot) this.#readerOf = undefined;
    slot.free();
    slot.onEnd?.();
    if (slot.signal?.aborted) slot.text.fail(slot.signal.reason);
  }
}
