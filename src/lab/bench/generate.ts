import type { Engine, Executable } from '../../compute/engines/engine.ts';
import type { LanguageModel } from '../../nn/layer.ts';
import type { Model } from '../../nn/model.ts';
import { SequenceRunner } from '../../nn/sequence_runner.ts';
import { measure, type Spread, spread } from './statistics.ts';
import {
  type Matrices,
  type ModelReport,
  type ModelShape,
  measuredModel,
  type ReportHead,
  randomTokens,
  reportHead,
} from './subject.ts';

/** Tokens of a context that one run reads: the workspace does not grow with the context. */
const PIECE = 512;

/** One sequence: reads a context, then continues it with the likeliest token each. */
export class DecodingSubject {
  readonly #runner: SequenceRunner;

  constructor(model: Model<LanguageModel>) {
    this.#runner = SequenceRunner.of(model, 1, 'last');
  }

  get stateBytes(): number {
    return this.#runner.state.region.bytes;
  }

  clear(): void {
    this.#runner.state.clear();
  }

  save(): Promise<ArrayLike<number>> {
    return this.#runner.state.readAll();
  }

  restore(state: ArrayLike<number>): void {
    this.#runner.state.writeAll(state);
  }

  /** Reads tokens; returns the likeliest next one. */
  async read(tokens: Float32Array): Promise<number> {
    let next = 0;
    for (let at = 0; at < tokens.length; at += PIECE) next = await this.#run(tokens.subarray(at, at + PIECE));
    return next;
  }

  async decode(count: number): Promise<void> {
    const token = new Float32Array(1);
    for (let i = 0; i < count; i++) token[0] = await this.#run(token);
  }

  /** The Program that reads pieces of this length. */
  executable(length: number): Executable {
    return this.#runner.executable(length);
  }

  async #run(tokens: Float32Array): Promise<number> {
    const { io, run } = this.executable(tokens.length);
    io.write('tokens', tokens);
    await run();
    const logits = await io.read('logits');
    let best = 0;
    for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
    return best;
  }
}

export interface DecodeOptions extends Matrices {
  /** Tokens read before the first that is measured. */
  readonly context: number;
  /** Tokens of one measurement. */
  readonly tokens: number;
  readonly repeats: number;
}

export interface DecodeReport extends ReportHead, ModelReport, DecodeOptions {
  readonly tokensPerSecond: Spread;
  readonly msPerToken: Spread;
  readonly stateBytes: number;
}

export async function benchDecode(
  engine: Engine,
  shape: ModelShape,
  options: DecodeOptions,
): Promise<DecodeReport> {
  const { context, tokens, repeats, precision, dtype } = options;
  const model = measuredModel(engine, shape, options);
  const subject = new DecodingSubject(model);
  await subject.read(randomTokens(shape.vocab, context));
  const after = await subject.save();
  const seconds = await measure(() => {
    subject.restore(after);
    return subject.decode(tokens);
  }, repeats);
  return {
    ...reportHead('decode', engine, repeats),
    model: shape,
    parameters: model.parameters.count,
    ...{ context, tokens, precision, dtype },
    tokensPerSecond: spread(seconds.map((s) => tokens / s)),
    msPerToken: spread(seconds.map((s) => (1000 * s) / tokens)),
    stateBytes: subject.stateBytes,
  };
}

export interface PrefillOptions extends Matrices {
  readonly length: number;
  readonly repeats: number;
}

export interface PrefillReport extends ReportHead, ModelReport, PrefillOptions {
  readonly tokensPerSecond: Spread;
  readonly totalMs: Spread;
  readonly stateBytes: number;
}

export async function benchPrefill(
  engine: Engine,
  shape: ModelShape,
  options: PrefillOptions,
): Promise<PrefillReport> {
  const { length, repeats, precision, dtype } = options;
  const model = measuredModel(engine, shape, options);
  const subject = new DecodingSubject(model);
  const tokens = randomTokens(shape.vocab, length);
  const seconds = await measure(() => {
    subject.clear();
    return subject.read(tokens);
  }, repeats);
  return {
    ...reportHead('prefill', engine, repeats),
    model: shape,
    parameters: model.parameters.count,
    ...{ length, precision, dtype },
    tokensPerSecond: spread(seconds.map((s) => length / s)),
    totalMs: spread(seconds.map((s) => 1000 * s)),
    stateBytes: subject.stateBytes,
  };
}
