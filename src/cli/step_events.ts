import { join } from 'node:path';
import { XlstmError } from '../errors.ts';
import { EventFile } from '../training/event_file.ts';
import type { Run } from '../training/run.ts';
import type { StepEvent } from '../training/train_run.ts';

/** Steps of a run as event files in its folder. What cannot be written is told once, and tried again with the next step. */
export class StepEvents {
  readonly #folder: string;
  readonly #firstStep: number;
  readonly #onWarning: (message: string) => void;
  #file: EventFile | undefined;
  #warned = false;

  constructor({ folder, trainer }: Run, onWarning: (message: string) => void) {
    this.#folder = join(folder, 'tensorboard');
    this.#firstStep = trainer.steps + 1;
    this.#onWarning = onWarning;
  }

  add({ step, loss, gradientNorm, learningRate, tokensPerSecond, validationLoss }: StepEvent): void {
    this.#attempt(() => {
      // Made with the first step: until then the folder may be taken back.
      this.#file ??= new EventFile(this.#folder, this.#firstStep);
      this.#file.append(step, {
        'loss/training': loss,
        ...(validationLoss === undefined ? {} : { 'loss/validation': validationLoss }),
        'step/gradient norm': gradientNorm,
        'step/learning rate': learningRate,
        'step/tokens per second': tokensPerSecond,
      });
    });
  }

  close(): void {
    this.#attempt(() => this.#file?.flush());
    this.#file?.close();
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof XlstmError)) throw error;
      if (!this.#warned) this.#onWarning(`${error.message}; training goes on`);
      this.#warned = true;
    }
  }
}
