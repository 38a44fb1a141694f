import { checkNames, checkOption, checkRange, checkWhole } from '../checks.ts';
import type { Executable, Memory } from '../compute/engines/engine.ts';
import { arraySource, type TokenSource } from '../data/token_source.ts';
import type { Collective } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import { shareEventLoop } from '../event_loop.ts';
import { stateRegion } from '../nn/inference_programs.ts';
import type { LanguageModel, Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';
import { gatherShares } from './micro_batch_shares.ts';
import {
  BatchInputs,
  type Objective,
  objectiveOf,
  type SequenceBatch,
  type TrainingBatch,
} from './objective.ts';
import { evaluationProgram } from './step_programs.ts';
import { laneBatches, type MeasuredShare, spreadBatches } from './stream_batches.ts';

/** How a model is measured. */
export interface EvaluationOptions<
  N extends Network = LanguageModel,
  B extends SequenceBatch = TrainingBatch,
> {
  /** Sequences side by side. A stream is cut into so many pieces; each starts without memory. */
  readonly lanes: number;
  /** Tokens of each that are read in one call. The state is carried on, so the result does not depend on it. */
  readonly length: number;
  /** The id of the token that starts a document of a stream. */
  readonly documentStart?: number;
  /** Each batch continues the sequences of the one before, unless it says otherwise. Default: true. */
  readonly carryState?: boolean;
  /** What is measured. Default: `languageModelObjective`. */
  readonly objective?: Objective<N, B>;
}

/** What a measurement gives. */
export interface EvaluationResult {
  /** Mean loss of a target; in nats where the objective is a language model's. */
  readonly loss: number;
  /** Targets: tokens that were predicted. */
  readonly targets: number;
}

/** Of sequences that were measured together. */
export interface MeasuredSum {
  /** Sum of the losses of their targets. */
  readonly loss: number;
  /** How many these are. */
  readonly targets: number;
}

/** What sums give together, added in their order. Throws a data error where there was nothing to predict. */
export function meanOf(sums: readonly MeasuredSum[]): EvaluationResult {
  const targets = sums.reduce((total, sum) => total + sum.targets, 0);
  if (targets > 0) return { loss: sums.reduce((total, sum) => total + sum.loss, 0) / targets, targets };
  throw new XlstmError('data', 'a measurement needs at least one target', 'Every target is masked.');
}

/** The same of the sums of several ranks, of which each gives its own: the same bits on each, and as of one process. */
export async function meanOverRanks(
  collective: Collective,
  own: readonly MeasuredSum[],
): Promise<EvaluationResult> {
  const losses = await gatherShares(
    collective,
    own.map(({ loss }) => loss),
  );
  const targets = await gatherShares(
    collective,
    own.map((sum) => sum.targets),
  );
  return meanOf(losses.map((loss, i) => ({ loss, targets: targets[i] })));
}

/** Measures a model on batches, or on a stream of tokens. One call works at a time: another is refused. */
export class Evaluator<N extends Network = LanguageModel, B extends SequenceBatch = TrainingBatch>
  implements Disposable
{
  readonly #network: N;
  readonly #options: EvaluationOptions<N, B>;
  readonly #objective: Objective<N, B>;
  readonly #inputs: BatchInputs<B>;
  /** Where batches continue each other. */
  readonly #state: Memory | undefined;
  readonly #executable: Executable;
  readonly #calls: OneCall;

  /** Throws a usage error for an option that is not right. */
  constructor(model: Model<N>, options: EvaluationOptions<N, B>) {
    checkNames('Evaluator', options, ['lanes', 'length', 'documentStart', 'carryState', 'objective']);
    const { lanes, length, documentStart, carryState = true } = options;
    checkOption(typeof carryState === 'boolean', 'carryState', 'true or false', carryState);
    checkWhole('lanes', lanes, 1);
    checkWhole('length', length, 1);
    if (documentStart !== undefined) checkWhole('documentStart', documentStart, 0);
    const { engine, network, memories } = model;
    const shape = { batchSize: lanes, length };
    this.#calls = new OneCall('the evaluator', model.use);
    this.#network = network;
    this.#options = options;
    this.#objective = objectiveOf(network, options.objective);
    this.#inputs = new BatchInputs(this.#objective.inputs(network, shape), shape);
    this.#state = carryState ? engine.allocate(stateRegion(network, lanes)) : undefined;
    const { limits } = engine;
    const computed = { network, objective: this.#objective, shape, state: this.#state?.region, limits };
    const state = this.#state ? [this.#state] : [];
    this.#executable = engine.bind(evaluationProgram(computed), [...memories, ...state]);
  }

  /**
   * Measures batches of `lanes` sequences. The state starts empty and is carried from batch to batch; a batch whose
   * `continues` is false starts without memory. An abort of `signal` ends it soon, with its reason as the error.
   */
  runBatches(
    batches: Iterable<B> | AsyncIterable<B>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<EvaluationResult> {
    return this.#calls.run('runBatches', async () => {
      checkNames('runBatches', options, ['signal']);
      return meanOf(await this.#run(batches, options.signal));
    });
  }

  /** @internal The parts of what `runBatches` gives as their mean: a sum for each batch that continues none. */
  sumBatches(batches: Iterable<B> | AsyncIterable<B>): Promise<readonly MeasuredSum[]> {
    return this.#calls.run('sumBatches', () => this.#run(batches, undefined));
  }

  /**
   * Measures a language model on a stream of tokens: every token but the first of each lane's piece is predicted once.
   * With `tokens` at most so many are read, always the same ones: windows that lie evenly over the stream, each without
   * memory of others. Rejects with a data error if there is nothing to predict. An abort of `signal` ends it soon, with its
   * reason as the error.
   */
  run(
    this: Evaluator<N & LanguageModel, TrainingBatch>,
    stream: ArrayLike<number> | TokenSource,
    options: { readonly signal?: AbortSignal; readonly tokens?: number } = {},
  ): Promise<EvaluationResult> {
    return this.#calls.run('run', async () => {
      checkNames('run', options, ['signal', 'tokens']);
      const { signal, tokens } = options;
      if (tokens !== undefined) checkWhole('tokens', tokens, 2);
      return meanOf(await this.#measure(stream, tokens, {}, signal));
    });
  }

  /**
   * @internal The parts of what `run` measures, for several processes: each sum is that of as many sequences as there are lanes. Of
   * `size` processes process `rank` gets the sums rank, rank + size and so on. `meanOverRanks` puts them together.
   */
  sumStream(
    this: Evaluator<N & LanguageModel, TrainingBatch>,
    stream: ArrayLike<number> | TokenSource,
    tokens: number,
    { signal, ...share }: MeasuredShare & { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly MeasuredSum[]> {
    return this.#calls.run('sumStream', async () => this.#measure(stream, tokens, share, signal));
  }

  /**
   * Log-probabilities of a stream's tokens, in nats: that of `stream[i + 1]`, given what its lane read before, at place i.
   * Their mean is minus the loss that `run` gives. Rejects as `run` does, and with a usage error where the evaluator was
   * given an objective.
   */
  logProbabilities(
    this: Evaluator<N & LanguageModel, TrainingBatch>,
    stream: ArrayLike<number>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Float64Array> {
    return this.#calls.run('logProbabilities', async () => {
      checkNames('logProbabilities', options, ['signal']);
      const { objective, lanes } = this.#options;
      checkOption(objective === undefined, 'objective', 'none, for the probabilities of tokens', objective);
      const source = streamSource(stream, this.#network.vocabSize);
      const found = new Float64Array(stream.length - 1);
      const laneLength = Math.ceil(found.length / lanes);
      let start = 0;
      await this.#run(laneBatches(source, this.#options), options.signal, (losses) => {
        const length = losses.length / lanes;
        for (let lane = 0; lane < lanes; lane++) {
          const from = lane * laneLength + start;
          const count = Math.min(length, laneLength - start, found.length - from);
          for (let t = 0; t < count; t++) found[from + t] = -losses[lane * length + t];
        }
        start += length;
      });
      return found;
    });
  }

  /** Gives its memory back; no call is allowed from here on. Throws a usage error while a call is at work. */
  free(): void {
    this.#calls.free(() => {
      this.#executable.free();
      this.#state?.free();
    });
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  #measure(
    stream: ArrayLike<number> | TokenSource,
    tokens: number | undefined,
    share: MeasuredShare,
    signal: AbortSignal | undefined,
  ): Promise<readonly MeasuredSum[]> {
    const source = streamSource(stream, (this.#network as N & LanguageModel).vocabSize);
    // Batches of a stream are those of a language model.
    const batches: Iterable<unknown> = spreadBatches(source, tokens ?? source.length, this.#options, share);
    return this.#run(batches as Iterable<B>, signal);
  }

  /** A sum for each batch that does not continue the one before. */
  async #run(
    batches: Iterable<B> | AsyncIterable<B>,
    signal: AbortSignal | undefined,
    onLosses?: (losses: ArrayLike<number>) => void,
  ): Promise<readonly MeasuredSum[]> {
    const { io } = this.#executable;
    const sums: { loss: number; targets: number }[] = [];
    this.#state?.clear();
    for await (const batch of batches) {
      await shareEventLoop();
      signal?.throwIfAborted();
      this.#inputs.check(batch);
      if (batch.continues === false) this.#state?.clear();
      if (!this.#state || batch.continues === false || sums.length === 0) sums.push({ loss: 0, targets: 0 });
      const sum = sums[sums.length - 1];
      this.#inputs.write(io, batch);
      sum.targets += this.#objective.count(batch);
      await this.#executable.run();
      const losses = await io.read('losses');
      for (const loss of losses) sum.loss += loss;
      onLosses?.(losses);
    }
    return sums;
  }
}

/** Tokens of a source are checked as they are read, batch by batch. */
function streamSource(stream: ArrayLike<number> | TokenSource, vocabSize: number): TokenSource {
  if (!(stream.length >= 2)) {
    throw new XlstmError(
      'data',
      `a stream must hold at least 2 tokens, so that one can be predicted; found ${stream.length}`,
    );
  }
  if ('read' in stream) return stream;
  checkRange('stream', stream, { ids: vocabSize });
  return arraySource(stream);
}
