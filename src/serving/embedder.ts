import { checkRange, checkWhole } from '../checks.ts';
import type { Values } from '../compute/engines/engine.ts';
import { XlstmError } from '../errors.ts';
import { shareEventLoop } from '../event_loop.ts';
import { pieceLength } from '../generation/piece_length.ts';
import type { Model } from '../nn/model.ts';
import { SequenceRunner } from '../nn/sequence_runner.ts';
import { promptPiece } from './prompt_piece.ts';

/** `hidden`: the vector of which the logits behind the last token are made; `state`: all that the model remembers of the text. */
export type EmbeddingKind = 'hidden' | 'state';

/** Makes vectors of texts, one text at a time. */
export class Embedder {
  readonly #model: Model;
  readonly #pieceLength: number;
  readonly #runner: SequenceRunner;

  /** The model is in use until `free`. */
  constructor(model: Model) {
    model.use.enter('Embedder');
    this.#model = model;
    this.#pieceLength = promptPiece(model);
    this.#runner = SequenceRunner.of(model, 1, 'hidden');
  }

  /** Numbers of a state. */
  get stateNumbers(): number {
    return this.#runner.state.region.elements;
  }

  /** Reads a text from its beginning. Rejects with the reason of a signal that aborts, and with a diverged error where numbers are not finite. */
  async embed(tokens: ArrayLike<number>, kind: EmbeddingKind, signal: AbortSignal): Promise<Values> {
    checkRange('tokens', tokens, { ids: this.#model.network.vocabSize });
    checkWhole('tokens: length', tokens.length, 1);
    const all = Int32Array.from(tokens);
    const { state } = this.#runner;
    state.clear();
    let vector: Values | undefined;
    for (let at = 0; at < all.length; ) {
      signal.throwIfAborted();
      const length = pieceLength(all.length - at, this.#pieceLength);
      const executable = this.#runner.executable(length);
      executable.io.write('tokens', all.subarray(at, at + length));
      await executable.run();
      await shareEventLoop();
      at += length;
      if (at === all.length)
        vector = await (kind === 'state' ? state.readAll() : executable.io.read('hidden'));
    }
    const found = vector as Values;
    if (found.every((value) => Number.isFinite(value))) return found;
    throw new XlstmError('diverged', 'embed: expected finite numbers');
  }

  free(): void {
    this.#runner.free();
    this.#model.use.leave();
  }
}
