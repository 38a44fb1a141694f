import type { Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import type { LanguageModel } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { Session } from './session.ts';

/** A language model with the tokenizer it was trained with. */
export class TextModel implements Disposable {
  /** The network with its numbers, for Trainer, Evaluator and one's own loops. */
  readonly model: Model<LanguageModel>;
  /** Undefined where the model came without one, as those of the official package. */
  readonly tokenizer: Tokenizer | undefined;

  /** The model is not copied: `free` frees it. */
  constructor(model: Model<LanguageModel>, tokenizer?: Tokenizer) {
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /** A text to be read and written on. Throws a usage error where the model has no tokenizer. */
  session(): Session {
    if (this.tokenizer) return new Session(this.model, this.tokenizer);
    throw new XlstmError(
      'usage',
      'session: the model came without a tokenizer (tokenizer.json), and there is no text for its tokens',
      'Give one: new Session(loaded.model, tokenizer).',
    );
  }

  /** Gives all memory back; sessions are to be freed before. */
  free(): void {
    this.model.free();
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }
}
