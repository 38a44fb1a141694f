import { XlstmError } from '../errors.ts';

const refused = (message: string, hint: string): XlstmError => new XlstmError('usage', message, hint);

/** Who works with a model at the moment: it is not freed under their hands, and nobody begins after that. */
export class ModelUse {
  #atWork = 0;
  #freed = false;

  get freed(): boolean {
    return this.#freed;
  }

  /** Refuses what would use a freed model. */
  check(call: string): void {
    if (this.#freed) throw refused(`${call}: the model was freed`, 'Free a model after all that uses it.');
  }

  enter(call: string): void {
    this.check(call);
    this.#atWork++;
  }

  leave(): void {
    this.#atWork--;
  }

  /** Nobody uses the model from here on. Throws while someone does. */
  end(): void {
    if (this.#atWork > 0)
      throw refused('free: the model is in use by a call at work', 'Await the call first.');
    this.#freed = true;
  }
}

/**
 * Lets one call work at a time: what calls write into an engine's memory belongs to the call at work. Every call that
 * finds another one at work is refused, and so is every call after the end of the owner or of its model. Trainer,
 * Evaluator and Session share it.
 */
export class OneCall {
  readonly #what: string;
  readonly #model: ModelUse;
  #busy: string | undefined;
  #freed = false;

  /** `what` names the owner in errors: "the trainer". */
  constructor(what: string, model: ModelUse) {
    model.check(what);
    this.#what = what;
    this.#model = model;
  }

  /** The call that is at work, if any. */
  get busy(): string | undefined {
    return this.#busy;
  }

  /** Refuses what would use a freed owner or model. */
  check(call: string): void {
    if (this.#freed) throw refused(`${call}: ${this.#what} was freed`, 'Make another one to go on.');
    this.#model.check(call);
  }

  /** From here on the call is at work, until `release`. */
  claim(call: string): void {
    this.check(call);
    this.#refuseSecond(call);
    this.#model.enter(call);
    this.#busy = call;
  }

  release(): void {
    this.#busy = undefined;
    this.#model.leave();
  }

  /** Does the work as one call. */
  async run<T>(call: string, work: () => Promise<T>): Promise<T> {
    this.claim(call);
    try {
      return await work();
    } finally {
      this.release();
    }
  }

  /** Does at once what waits for nothing. */
  runNow<T>(call: string, work: () => T): T {
    this.claim(call);
    try {
      return work();
    } finally {
      this.release();
    }
  }

  /** Ends the owner, once: `work` gives back what it holds. Throws while a call is at work. */
  free(work: () => void): void {
    if (this.#freed) return;
    this.#refuseSecond('free');
    this.#freed = true;
    work();
  }

  #refuseSecond(call: string): void {
    if (this.#busy === undefined) return;
    throw refused(`${call}: ${this.#what} is still at work for ${this.#busy}`, `Await ${this.#busy} first.`);
  }
}
