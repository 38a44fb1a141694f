import type { StudyConfig, StudyModelName } from './models.ts';

/** What is measured: a learning rate of the sweep, a model of a size and data, or the time that tokens take. */
export type StudyCellKind = 'rate' | 'train' | 'cost';

/** What tells one cell from every other. */
export interface StudyCell {
  kind: StudyCellKind;
  model: string;
  /** Parameters beside the embedding and the output matrix, as asked for. */
  size: number;
  /** Training tokens for each of them; 0 where nothing is trained. */
  tokensPerParameter: number;
  /** Tokens of a training sequence; 0 where nothing is trained. */
  context: number;
  seed: number;
  /** Of a cell of the sweep: the rate that it tries. */
  rate?: number | undefined;
}

export function studyCellKey(cell: StudyCell): string {
  const { kind, model, size, tokensPerParameter, context, seed, rate } = cell;
  const name = `${kind} ${model} ${size}`;
  if (kind === 'cost') return name;
  const trained = `${name} × ${tokensPerParameter} tokens, context ${context}`;
  return kind === 'rate' ? `${trained}, rate ${rate}` : `${trained}, seed ${seed}`;
}

/** What every cell of a study has in common. */
export interface StudySettings {
  /** Tokens of a training step of any length of sequences. */
  readonly tokensPerStep: number;
  /** Held-out tokens on which the loss of a model is measured. */
  readonly validationTokens: number;
  /** Sequences of the measurement of the loss by position. */
  readonly longSequences: number;
  /** Tokens between a planted fact and where it comes again. */
  readonly distances: readonly number[];
  /** Lengths at which the time of tokens is measured. */
  readonly costLengths: readonly number[];
}

/** A cell to run, as it goes to the process that runs it: plain JSON. */
export interface StudySpec {
  readonly cell: StudyCell & { readonly model: StudyModelName };
  readonly config: StudyConfig;
  readonly parameters: number;
  readonly embeddingParameters: number;
  readonly learningRate: number;
  /** Measures what a model makes of long sequences, too. */
  readonly long: boolean;
  readonly settings: StudySettings;
  /** The folder with the texts as tokens. */
  readonly corpus: string;
  readonly digest: string;
  /** Cells at a time. */
  readonly jobs: number;
  /** Which code computes. */
  readonly code: string;
}

export interface StudyProgress {
  /** 0 to 1. */
  readonly fraction: number;
}

/** Steps of a training that reads so many tokens for each parameter. */
export const stepsOf = (
  { size, tokensPerParameter }: Pick<StudyCell, 'size' | 'tokensPerParameter'>,
  tokensPerStep: number,
): number => Math.max(1, Math.round((size * tokensPerParameter) / tokensPerStep));

/** Sequences of a training step. */
export const batchOf = (context: number, tokensPerStep: number): number =>
  Math.max(1, Math.floor(tokensPerStep / context));
