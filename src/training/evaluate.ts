import type { LanguageModel } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { evaluationProgram, stateRegion } from '../nn/programs.ts';

export interface EvaluationOptions {
  /** The text is read in so many pieces side by side; each starts without memory. */
  readonly lanes: number;
  /** Tokens read in one call. The state is carried on, so the result does not depend on it. */
  readonly length: number;
  readonly documentStart?: number;
}

export interface EvaluationResult {
  /** Mean loss of a token in nats. */
  readonly loss: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

/** Measures a model on a stream of tokens: every token but the first of each lane's stream is predicted once. */
export class Evaluator {
  readonly #model: Model<LanguageModel>;
  readonly #options: EvaluationOptions;
  readonly #state;
  readonly #executable;

  constructor(model: Model<LanguageModel>, options: EvaluationOptions) {
    const { lanes, length } = options;
    this.#model = model;
    this.#options = options;
    this.#state = model.engine.allocate(stateRegion(model.network, lanes));
    const program = evaluationProgram(model.network, this.#state.region, lanes, length);
    this.#executable = model.engine.bind(program, [...this.#model.memories, this.#state]);
  }

  async run(stream: Int32Array): Promise<EvaluationResult> {
    const { lanes, length, documentStart } = this.#options;
    const predicted = stream.length - 1;
    const laneLength = Math.ceil(predicted / lanes);
    const tokens = new Float32Array(lanes * length);
    const targets = new Float32Array(lanes * length);
    const reset = new Float32Array(lanes * length);
    let sum = 0;
    this.#state.clear();
    for (let start = 0; start < laneLength; start += length) {
      for (let lane = 0; lane < lanes; lane++) {
        const end = Math.min((lane + 1) * laneLength, predicted);
        for (let t = 0; t < length; t++) {
          const at = lane * laneLength + start + t;
          const valid = start + t < laneLength && at < end;
          tokens[lane * length + t] = valid ? stream[at] : 0;
          targets[lane * length + t] = valid ? stream[at + 1] : -1;
          reset[lane * length + t] = valid && stream[at] === documentStart ? 1 : 0;
        }
      }
      const { io } = this.#executable;
      io.write('tokens', tokens);
      io.write('targets', targets);
      io.write('reset', reset);
      await this.#executable.run();
      const losses = await io.read('loss');
      for (let i = 0; i < lanes * length; i++) sum += losses[i];
    }
    return { loss: sum / predicted, tokens: predicted };
  }
}
