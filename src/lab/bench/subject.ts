import type { Engine } from '../../compute/engines/engine.ts';
import type { Precision } from '../../compute/graph/plan.ts';
import type { PackedFormat } from '../../compute/program/constants.ts';
import { requireKernel } from '../../compute/program/limits.ts';
import { XlstmError } from '../../errors.ts';
import { type BaselineName, baselineArchitectures } from '../../models/baselines/architectures.ts';
import { readDesign } from '../../models/registry.ts';
import { Design } from '../../nn/architecture.ts';
import type { LanguageModel } from '../../nn/layer.ts';
import { Model } from '../../nn/model.ts';
import { Random } from '../../random.ts';
import type { TrainingBatch } from '../../training/objective.ts';

export type BenchArchitecture = 'xlstm' | 'xlstm-large' | BaselineName;

export const benchArchitectures = [
  'xlstm',
  'xlstm-large',
  ...baselineArchitectures.map(({ name }) => name as BaselineName),
] as const satisfies readonly BenchArchitecture[];

/** The model that is measured. */
export interface ModelShape {
  readonly architecture: BenchArchitecture;
  readonly blocks: number;
  readonly dim: number;
  readonly heads: number;
  /** Of `xlstm`; the others have none. */
  readonly slstmAt: readonly number[] | 'all';
  readonly vocab: number;
}

/** What every report begins with. */
export interface ReportHead {
  readonly bench: string;
  readonly engine: string;
  readonly instructionSet: string;
  readonly threads: number;
  readonly repeats: number;
}

export const reportHead = (bench: string, engine: Engine, repeats: number): ReportHead => ({
  bench,
  engine: engine.name,
  instructionSet: engine.description,
  threads: engine.threads,
  repeats,
});

/** What a report says of the model. */
export interface ModelReport {
  readonly model: ModelShape;
  readonly parameters: number;
}

/** What the matrices of a model that is not trained are. */
export interface Matrices {
  /** What they are multiplied in, of float32 ones. */
  readonly precision: Precision;
  /** How they are packed. Undefined: they are not. */
  readonly dtype?: PackedFormat | undefined;
}

const SEED = 1;

export function measuredModel(
  engine: Engine,
  shape: ModelShape,
  { precision, dtype }: Matrices = { precision: 'f32' },
): Model<LanguageModel> {
  const { architecture, slstmAt, blocks, dim, heads, vocab } = shape;
  if (architecture !== 'xlstm' && slstmAt.length > 0) {
    throw new XlstmError(
      'usage',
      `--slstm-at ${slstmAt}: only an xlstm has blocks that can be sLSTM, found --architecture ${architecture}`,
      'Leave --slstm-at out, or measure --architecture xlstm.',
    );
  }
  const sizes = { architecture, vocabSize: vocab, embeddingDim: dim, numBlocks: blocks, numHeads: heads };
  const config = architecture === 'xlstm' ? { ...sizes, slstmAt } : sizes;
  if (precision === 'bf16') requireKernel('precision bf16', 'panelLinear', engine.limits);
  const design = readDesign(config, 'bench');
  const held = new Design(design.architecture, design.config, dtype, undefined, precision);
  return Model.create(engine, held, SEED) as Model<LanguageModel>;
}

export function randomTokens(vocab: number, count: number): Float32Array {
  const random = new Random(SEED);
  return Float32Array.from({ length: count }, () => random.integer(vocab));
}

/** Random tokens, each position's target the token after it. */
export function randomBatch(vocab: number, batch: number, length: number): TrainingBatch {
  const count = batch * length;
  const tokens = randomTokens(vocab, count + 1);
  return { tokens: tokens.subarray(0, count), targets: tokens.subarray(1), reset: new Float32Array(count) };
}
