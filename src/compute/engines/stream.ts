import { XlstmError } from '../../errors.ts';

export const closedError = (engine: string): XlstmError =>
  new XlstmError('engine', `the ${engine} engine is closed`, 'create another engine to go on');

interface Item {
  start(): void | Promise<void>;
  /** The stream was given up before the item's turn. */
  reject(error: XlstmError): void;
}

/**
 * The order of an engine: what is asked for takes place after what was asked for before it, and a promise of the
 * stream waits for nothing that was asked for later. While nothing is pending, all but long runs take place at once.
 */
export class Stream {
  /** What waits for its turn; empty while the stream is idle. */
  readonly #items: Item[] = [];
  #draining: Promise<void> | undefined;
  #refusal: XlstmError | undefined;

  get idle(): boolean {
    return this.#draining === undefined;
  }

  get ended(): boolean {
    return this.#refusal !== undefined;
  }

  /** Throws where the stream takes nothing more. */
  check(): void {
    if (this.#refusal) throw this.#refusal;
  }

  /** Does work that cannot fail, such as a checked write of values that stay as they are. */
  act(work: () => void): void {
    this.check();
    if (this.idle) work();
    else this.#items.push({ start: work, reject: () => {} }); // what is asked for next is refused and tells
  }

  /** Resolves to what `work` gives in its turn. */
  async ask<T>(work: () => T | Promise<T>): Promise<T> {
    this.check();
    return new Promise<T>((resolve, reject) => {
      const start = async (): Promise<void> => {
        try {
          resolve(await work());
        } catch (error) {
          reject(error);
        }
      };
      this.#items.push({ start, reject });
      this.#draining ??= this.#drain();
    });
  }

  /** `ask` for a copy of some memory: at once where nothing is pending. */
  async read<T>(copy: () => T): Promise<T> {
    this.check();
    return this.idle ? copy() : this.ask(copy);
  }

  /** Refuses everything that is asked for from now on; resolves when what was asked for before has taken place. */
  async end(error: XlstmError): Promise<void> {
    this.#refusal ??= error;
    await this.#draining;
  }

  /** Refuses everything from now on, and what still waits for its turn. */
  abandon(error: XlstmError): void {
    this.#refusal = error;
    for (const { reject } of this.#items.splice(0)) reject(error);
  }

  async #drain(): Promise<void> {
    for (let item = this.#items.shift(); item; item = this.#items.shift()) {
      const turn = item.start();
      if (turn) await turn;
    }
    this.#draining = undefined;
  }
}
