import type { Draft, Engine, Memory, Values } from '../compute/engines/engine.ts';
import { shareEventLoop } from '../event_loop.ts';
import type { SequenceRunner } from '../nn/sequence_runner.ts';
import type { Writing } from './writing.ts';

/** Tokens that are read at once, at most: what a stop leaves over is read in vain. */
const MOST = 16;

/**
 * Tokens read before they are chosen, where an engine draws tokens by itself since reading back costs a wait. It
 * guesses: the Writing chooses each token from the logits, as ever, and what was read counts as long as it chooses the
 * same. So texts are the same on all engines, to the token.
 */
export class Lookahead {
  readonly #runner: SequenceRunner;
  readonly #engine: Engine;
  /** The state before the first token of the draft. */
  #before: Memory | undefined;
  /** What the engine has read, and how much of it was asked for. */
  #draft: { readonly ids: readonly number[]; readonly logits: Draft['logits']; read: number } | undefined;
  /** Tokens of the next draft: twice as many each time that all were chosen. */
  #steps = 2;

  constructor(runner: SequenceRunner, engine: Engine) {
    this.#runner = runner;
    this.#engine = engine;
  }

  /** The logits behind a token, which is read; undefined where nothing can be guessed, and it is not. */
  async read(id: number, writing: Writing): Promise<Values | undefined> {
    const known = this.#next(id);
    if (known) return known;
    const executable = this.#runner.executable(1);
    if (!executable.draft) return undefined;
    await this.settle();
    const options = writing.ahead(this.#steps - 1);
    if (!options) return undefined;
    this.#before ??= this.#engine.allocate(this.#runner.state.region);
    this.#before.copyFrom(this.#runner.state);
    executable.io.write('tokens', [id]);
    const { tokens, logits } = await executable.draft({ input: 'tokens', output: 'logits', ...options });
    await shareEventLoop();
    this.#draft = { ids: [id, ...tokens], logits, read: 1 };
    return logits[0];
  }

  /** Takes back what was read and not asked for: the state is the one behind the last token that was. */
  async settle(): Promise<void> {
    const draft = this.#draft;
    this.#draft = undefined;
    if (!draft) return;
    if (draft.read === draft.ids.length) {
      this.#steps = Math.min(MOST, 2 * this.#steps);
      return;
    }
    this.#steps = 2;
    this.#runner.state.copyFrom(this.#before!);
    // One by one, as they were read: the bits are the same. All are asked for before anything else can be.
    const executable = this.#runner.executable(1);
    const runs = draft.ids.slice(0, draft.read).map((id) => {
      executable.io.write('tokens', [id]);
      return executable.run();
    });
    await Promise.all(runs);
  }

  /** Another state takes the place of the one that was read on. */
  drop(): void {
    this.#draft = undefined;
  }

  free(): void {
    this.#before?.free();
  }

  #next(id: number): Values | undefined {
    const draft = this.#draft;
    if (draft?.ids[draft.read] !== id) return undefined;
    return draft.logits[draft.read++];
  }
}
