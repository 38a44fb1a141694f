import type { Executable, Memory } from '../compute/engines/engine.ts';
import { plan } from '../compute/graph/plan.ts';
import { leaf } from '../compute/graph/tensor.ts';
import { assign } from '../compute/graph/views.ts';
import { Region } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import type { SequenceNetwork } from '../models/sequence/network.ts';
import { stateLeaves, stateRegion, storeState } from '../nn/inference_programs.ts';
import { Pass } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';
import { encodeInputs, type StepValues } from './examples.ts';
import { type Prediction, prediction } from './prediction.ts';

/** A sequence that comes step by step and may go on for ever: its state has a constant size. One push works at a time. */
export class SequenceStream implements Disposable {
  readonly #network: SequenceNetwork;
  readonly #state: Memory;
  readonly #executable: Executable;
  readonly #calls: OneCall;
  #steps = 0;

  /** Throws a usage error for a model that has to know a sequence's end before it can say anything of it. */
  constructor({ engine, network, memories, use }: Model<SequenceNetwork>) {
    const { bidirectional, pool, inputs } = network.config;
    if (bidirectional || pool === 'mean') {
      const what = bidirectional ? 'reads sequences from their end too' : 'takes the mean over all steps';
      throw new XlstmError('usage', `stream: the model ${what}`, 'Use predict on whole sequences.');
    }
    this.#calls = new OneCall('the stream', use);
    this.#network = network;
    const state = stateRegion(network, 1);
    const io = new Region('io');
    const x = leaf(io, 'x', [1, 1, inputs]);
    const before = stateLeaves(state);
    const after = network.forward(x, new Pass(), before);
    const y = network.restore(after.y);
    const roots = [assign(leaf(io, 'y', y.shape), y), ...storeState(before, after.state)];
    this.#state = engine.allocate(state);
    this.#executable = engine.bind(plan('stream', { io, roots, limits: engine.limits }), [
      ...memories,
      this.#state,
    ]);
  }

  /** Steps since the start or the last `reset`. */
  get steps(): number {
    return this.#steps;
  }

  /** Bytes of the state, whatever the length of the sequence. */
  get stateBytes(): number {
    return this.#state.region.bytes;
  }

  /** The model's result for the next step of the sequence. Rejects with a data error for numbers that are not right. */
  push(step: StepValues): Promise<Prediction> {
    return this.#calls.run('push', async () => {
      const { config, width } = this.#network;
      const x = encodeInputs([step], config, 'push');
      const { io } = this.#executable;
      io.write('x', x);
      await this.#executable.run();
      const y = await io.read('y');
      this.#steps++;
      return prediction(config, y, 0, width);
    });
  }

  /** Another sequence begins. */
  reset(): void {
    this.#calls.runNow('reset', () => this.#state.clear());
    this.#steps = 0;
  }

  /** Gives its memory back; no call is allowed from here on. Throws a usage error while a call is at work. */
  free(): void {
    this.#calls.free(() => {
      this.#executable.free();
      this.#state.free();
    });
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }
}
