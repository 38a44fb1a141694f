import type { Region } from '../compute/program/region.ts';
import { MAX_REPETITION_WINDOW } from '../generation/sampling.ts';
import { decodeSession, encodeSession, type SequenceState } from '../generation/session_file.ts';
import { TokenWindow } from '../generation/token_window.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import type { Model } from '../nn/model.ts';

/** Texts of a model that are served, as the files that `Session.save` writes. */
export class SessionFiles {
  readonly #model: Model;
  readonly #region: Region;
  #fingerprint: Promise<string> | undefined;

  /** `region`: of the state of one text. */
  constructor(model: Model, region: Region) {
    this.#model = model;
    this.#region = region;
  }

  /** Numbers of a file, about: those of the state and the logits, whatever was read. */
  get numbers(): number {
    return this.#region.elements + this.#model.network.vocabSize;
  }

  /** A text that has read nothing. */
  empty(): SequenceState {
    return {
      state: new Float32Array(this.#region.elements),
      logits: new Float32Array(this.#model.network.vocabSize),
      recent: new TokenWindow(MAX_REPETITION_WINDOW),
      tokensSeen: 0,
    };
  }

  /** For `decode`, and for `Session.restore` of the same model. */
  async encode(state: SequenceState, notes: Readonly<Record<string, string>>): Promise<Uint8Array> {
    return encodeSession(state, this.#region, await this.#known(), notes);
  }

  /** Rejects with a checkpoint error, as `Session.restore` does. */
  async decode(bytes: Uint8Array, source: string): Promise<SequenceState> {
    const { vocabSize } = this.#model.network;
    return decodeSession(bytes, this.#region, vocabSize, await this.#known(), source);
  }

  /** Computed once: a model that is served does not change. */
  #known(): Promise<string> {
    this.#fingerprint ??= modelFingerprint(this.#model);
    return this.#fingerprint;
  }
}
