import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson } from '../checkpoints/model_files.ts';
import { readFolder } from '../checkpoints/read_folder.ts';
import { XlstmError } from '../errors.ts';
import { readMetrics } from './metrics_file.ts';
import { parseProgress } from './run_progress.ts';

/** What a run's metrics say of a step. */
export interface HistoryPoint {
  readonly step: number;
  /** Trained on since the run began. */
  readonly tokens: number;
  /** Since the run began, without the time between a checkpoint and its resumption. */
  readonly seconds: number;
  /** In nats per token; NaN where the metrics have none. */
  readonly loss: number;
  /** In nats per token, of a step that was followed by a measurement. */
  readonly validationLoss: number | undefined;
}

/** The steps of a run, also of one that is at work. Throws a data error that names the folder for one that holds none. */
export async function readRunHistory(folder: string): Promise<HistoryPoint[]> {
  const found = await stat(folder).catch(() => undefined);
  const progress = await readFolder(
    join(folder, 'checkpoint'),
    () => ['training.json'],
    async (files) =>
      files.names.includes('training.json')
        ? parseProgress(await readJson(files, 'training.json'), `${files.place}training.json`)
        : undefined,
  );
  if (!found?.isDirectory() || !progress) {
    throw new XlstmError(
      'data',
      `${folder}: expected the folder of a run, found ${found ? 'no checkpoint/training.json in it' : 'no such folder'}`,
      'Give folders that xlstm train made, such as runs/moby-dick.',
    );
  }
  const { batchSize, length, microBatches } = progress.options;
  const tokensPerStep = batchSize * length * microBatches;
  return readMetrics(join(folder, 'metrics.jsonl')).map(({ step, loss, elapsedSeconds, validationLoss }) => ({
    step,
    tokens: step * tokensPerStep,
    seconds: typeof elapsedSeconds === 'number' ? elapsedSeconds : Number.NaN,
    loss: typeof loss === 'number' ? loss : Number.NaN,
    validationLoss: typeof validationLoss === 'number' ? validationLoss : undefined,
  }));
}
