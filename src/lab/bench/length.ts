import type { Engine } from '../../compute/engines/engine.ts';
import { DecodingSubject } from './generate.ts';
import { measureInTurns, median, type Spread, spread } from './statistics.ts';
import {
  type ModelReport,
  type ModelShape,
  measuredModel,
  type ReportHead,
  randomTokens,
  reportHead,
} from './subject.ts';
import { TrainingSubject } from './train.ts';

export interface LengthOptions {
  readonly lengths: readonly number[];
  /** Tokens of a training step, the same at every length. */
  readonly tokensPerStep: number;
  /** Training steps of one measurement. */
  readonly steps: number;
  /** Tokens decoded in one measurement. */
  readonly tokens: number;
  readonly repeats: number;
}

export interface LengthRow {
  readonly length: number;
  readonly batch: number;
  readonly trainTokensPerSecond: Spread;
  /** Training tokens per second over those of the shortest length. */
  readonly trainRelative: number;
  readonly trainBytes: number;
  readonly decodeMsPerToken: Spread;
  /** Time per token over that after the shortest context. */
  readonly decodeRelative: number;
  readonly stateBytes: number;
  /** Resident memory of the process after decoding. */
  readonly residentBytes: number;
}

export interface LengthReport extends ReportHead, ModelReport, Omit<LengthOptions, 'lengths'> {
  readonly lengths: readonly LengthRow[];
}

/** Cost against length: training at a constant number of tokens per step, and decoding after a context. */
export async function benchLength(
  engine: Engine,
  shape: ModelShape,
  options: LengthOptions,
): Promise<LengthReport> {
  const { tokensPerStep, steps, tokens, repeats } = options;
  const lengths = [...options.lengths].sort((a, b) => a - b);
  const model = measuredModel(engine, shape);
  const batches = lengths.map((length) => Math.max(1, Math.floor(tokensPerStep / length)));
  const training = lengths.map((length, i) => new TrainingSubject(model, batches[i], length));
  const stepSeconds = await measureInTurns(training, (subject) => subject.steps(steps), repeats);

  const decoding = new DecodingSubject(model);
  const contexts: ArrayLike<number>[] = [];
  for (const length of lengths) {
    decoding.clear();
    await decoding.read(randomTokens(shape.vocab, length));
    contexts.push(await decoding.save());
  }
  const resident: number[] = [];
  const decodeSeconds = await measureInTurns(
    contexts,
    async (context, i) => {
      decoding.restore(context);
      await decoding.decode(tokens);
      resident[i] = process.memoryUsage.rss();
    },
    repeats,
  );

  const relative = (values: readonly number[][], i: number): number => median(values[i]) / median(values[0]);
  const rates = stepSeconds.map((seconds, i) => seconds.map((s) => (steps * batches[i] * lengths[i]) / s));
  return {
    ...reportHead('length', engine, repeats),
    model: shape,
    parameters: model.parameters.count,
    tokensPerStep,
    steps,
    tokens,
    lengths: lengths.map((length, i) => ({
      length,
      batch: batches[i],
      trainTokensPerSecond: spread(rates[i]),
      trainRelative: relative(rates, i),
      trainBytes: training[i].trainer.programBytes,
      decodeMsPerToken: spread(decodeSeconds[i].map((s) => (1000 * s) / tokens)),
      decodeRelative: relative(decodeSeconds, i),
      stateBytes: decoding.stateBytes,
      residentBytes: resident[i],
    })),
  };
}
