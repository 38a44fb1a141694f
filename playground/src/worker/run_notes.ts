import type { AdamwOptions, BatchOrder, BatchPosition } from 'xlstm';
import { refusal } from './refusal.ts';
import type { Files } from './store.ts';

/** How a run trains: what the command line keeps of it in training.json. */
export interface Plan {
  readonly steps: number;
  readonly batchSize: number;
  readonly length: number;
  readonly microBatches: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly finalFraction: number;
  readonly optimizer: AdamwOptions;
  readonly clipNorm: number;
  readonly order: BatchOrder;
  readonly seed: number;
  readonly evaluateEvery: number;
  readonly checkpointEvery: number;
  readonly evaluationTokens?: number;
  /** Of a run that was given more steps than planned. */
  readonly extension?: unknown;
}

/** What tells tokens from others: how many, and their digest. */
export interface DataMark {
  readonly tokens: number;
  readonly sha256: string;
}

/** Where a text is from: files, or the name of one that comes with the library. */
export interface TextSource {
  readonly data: readonly string[] | null;
  readonly corpus: string;
  readonly validationShare?: number;
  /** What the page called it. */
  readonly name?: string;
}

/** The content of training.json. */
export interface Progress {
  readonly step: number;
  readonly position: BatchPosition;
  readonly elapsedSeconds: number;
  readonly windowOrder?: string;
  readonly options: Plan;
  readonly source: TextSource;
  readonly data?: DataMark;
}

/** A line of metrics.jsonl. */
export interface StepLine {
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm?: number;
  readonly learningRate?: number;
  readonly tokensPerSecond?: number;
  readonly elapsedSeconds?: number;
  readonly validationLoss?: number;
}

/** As the command line calls them. */
export const WINDOW_ORDERS: Readonly<Record<BatchOrder, string>> = {
  contiguous: 'lanes',
  documents: 'feistel-8 lanes',
  shuffled: 'feistel-8',
};

export const newPlan = (batchSize: number, length: number, learningRate: number): Plan => ({
  ...{ steps: 1, batchSize, length, microBatches: 1, learningRate, warmupSteps: 20, finalFraction: 1 },
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
  ...{ clipNorm: 1, order: 'shuffled', seed: 1, evaluateEvery: 100, checkpointEvery: 100 },
});

const decoder = new TextDecoder();

/** Undefined of a model alone. The numbers are checked where they are used: by the trainer and the batches. */
export function readProgress(files: Files): Progress | undefined {
  const file = files.get('training.json');
  if (!file) return undefined;
  let found: Partial<Progress> | null = null;
  try {
    found = JSON.parse(decoder.decode(file));
  } catch {}
  if (found?.options && found.position && found.source) return found as Progress;
  throw refusal(
    'training.json: expected the state of a training run, found something else.',
    'Leave it out to open the model alone.',
  );
}

/** The lines that can be read; a run that was cut off may have left half of one. */
export function readLines(files: Files): StepLine[] {
  const file = files.get('metrics.jsonl');
  if (!file) return [];
  return decoder
    .decode(file)
    .split('\n')
    .flatMap((text): StepLine[] => {
      try {
        const line = JSON.parse(text) as StepLine;
        return Number.isFinite(line.step) && Number.isFinite(line.loss) ? [line] : [];
      } catch {
        return [];
      }
    });
}

export const writeLines = (lines: readonly StepLine[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('');
