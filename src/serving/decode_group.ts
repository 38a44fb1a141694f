import type { Memory } from '../compute/engines/engine.ts';
import { PACKED_FEW_ROWS } from '../compute/program/constants.ts';
import type { Model } from '../nn/model.ts';
import { SequenceRunner } from '../nn/sequence_runner.ts';
import { copyStateRow } from '../nn/state_rows.ts';

/** Steps for which a smaller batch was enough before the group takes it. */
const PATIENCE = 16;

/**
 * Sequences of a group: so few that the products of all batches add in the same order, and a sequence gets the same bits
 * with whomever it shares a step.
 */
export const groupRows = (model: Model): number =>
  model.parameters.list.some(({ format }) => format !== undefined)
    ? 2 ** Math.floor(Math.log2(PACKED_FEW_ROWS))
    : 16;

/**
 * Sequences that read a token each at a time. Row i of the state is that of the i-th sequence: who leaves is replaced by the
 * last one. The Program is the smallest that has rows for all.
 */
export class DecodeGroup<S> implements Disposable {
  readonly #model: Model;
  readonly #runners = new Map<number, SequenceRunner>();
  readonly #sequences: S[] = [];
  #batch = 1;
  #spareSteps = 0;

  constructor(model: Model) {
    this.#model = model;
  }

  get sequences(): readonly S[] {
    return this.#sequences;
  }

  /** Adds a sequence whose state is that of a memory of one. */
  add(sequence: S, state: Memory): void {
    const row = this.#sequences.length;
    if (row === 0) this.#resize(1); // nothing is copied
    if (row === this.#batch) this.#resize(2 * this.#batch);
    copyStateRow(this.#runner(this.#batch).state, row, state, 0);
    this.#sequences.push(sequence);
  }

  remove(sequence: S): void {
    const row = this.#sequences.indexOf(sequence);
    const last = this.#sequences.length - 1;
    const { state } = this.#runner(this.#batch);
    if (row < last) copyStateRow(state, row, state, last);
    this.#sequences[row] = this.#sequences[last];
    this.#sequences.pop();
  }

  /** Copies the state of a sequence into a memory of one. */
  copyState(sequence: S, target: Memory): void {
    copyStateRow(target, 0, this.#runner(this.#batch).state, this.#sequences.indexOf(sequence));
  }

  /** Each sequence reads its token; the logits that follow, [batch, V] in order of the sequences. */
  async step(tokens: readonly number[]): Promise<Float32Array | Float64Array> {
    this.#shrink();
    const executable = this.#runner(this.#batch).executable(1);
    executable.io.write('tokens', tokens);
    await executable.run();
    return executable.io.read('logits');
  }

  free(): void {
    for (const runner of this.#runners.values()) runner.free();
    this.#runners.clear();
  }

  [Symbol.dispose](): void {
    this.free();
  }

  /** Not at once: sequences that come and go would be copied with each of them. */
  #shrink(): void {
    const enough = 2 ** Math.ceil(Math.log2(this.#sequences.length));
    this.#spareSteps = enough < this.#batch ? this.#spareSteps + 1 : 0;
    if (this.#spareSteps > PATIENCE) this.#resize(enough);
  }

  #resize(batch: number): void {
    const { state } = this.#runner(this.#batch);
    const target = this.#runner(batch).state;
    this.#sequences.forEach((_, row) => {
      copyStateRow(target, row, state, row);
    });
    this.#batch = batch;
    this.#spareSteps = 0;
  }

  #runner(batch: number): SequenceRunner {
    let runner = this.#runners.get(batch);
    if (!runner) {
      runner = SequenceRunner.of(this.#model, batch, 'last');
      this.#runners.set(batch, runner);
    }
    return runner;
  }
}
