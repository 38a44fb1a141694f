import type { Engine } from '../../compute/engines/engine.ts';
import { SequenceRunner } from '../../nn/sequence_runner.ts';
import { median, secondsOf } from '../bench/statistics.ts';
import { randomTokens } from '../bench/subject.ts';
import type { StudyProgress, StudySpec } from './cell.ts';
import { createStudyModel, studyHead } from './cell_model.ts';
import type { StudyRecord } from './records.ts';

const BATCHES = [1, 16] as const;
/** Tokens of each sequence that are read in one call. */
const PIECE = 128;
const REPEATS = 3;
const DECODED = 16;

/** Tokens that a cost cell reads in all. */
export const costTokens = (lengths: readonly number[]): number =>
  BATCHES.reduce(
    (sum, batch) => sum + batch * lengths.reduce((s, length) => s + length, 0) * (REPEATS + 1),
    0,
  );

/**
 * Time to the first token and of each further one, and memory, against the length of what was read, of a model that knows
 * nothing. The window of attention is that length.
 */
export async function runCost(
  spec: StudySpec,
  engine: Engine,
  onProgress: (progress: StudyProgress) => void,
): Promise<StudyRecord> {
  const begin = performance.now();
  const { cell, config, settings } = spec;
  const cost: NonNullable<StudyRecord['cost']> = [];
  const runs = BATCHES.flatMap((batch) => settings.costLengths.map((length) => ({ batch, length })));
  for (const { batch, length } of runs) {
    const sizes = { ...config, contextLength: length + DECODED };
    using model = createStudyModel(engine, cell.model, sizes, cell.seed);
    using runner = SequenceRunner.of(model, batch, 'last');
    const tokens = randomTokens(config.vocabSize, batch * PIECE);
    const read = async (count: number): Promise<void> => {
      const { io, run } = runner.executable(count);
      io.write('tokens', tokens.subarray(0, batch * count));
      await run();
      await io.read('logits');
    };
    const first: number[] = [];
    const next: number[] = [];
    for (let repeat = 0; repeat <= REPEATS; repeat++) {
      runner.state.clear();
      const reading = await secondsOf(async () => {
        for (let at = 0; at < length; at += PIECE) await read(Math.min(PIECE, length - at));
      });
      const decoding = await secondsOf(async () => {
        for (let i = 0; i < DECODED; i++) await read(1);
      });
      // The first turn plans the Programs.
      if (repeat === 0) continue;
      first.push(1000 * reading);
      next.push((1000 * decoding) / DECODED);
    }
    cost.push({
      batch,
      length,
      firstMs: median(first),
      tokenMs: median(next),
      stateBytes: runner.state.region.bytes,
      programBytes: runner.executable(Math.min(PIECE, length)).program.bytes,
    });
    onProgress({ fraction: cost.length / runs.length });
  }
  const wallSeconds = (performance.now() - begin) / 1000;
  return {
    ...studyHead(spec, engine.description),
    status: 'done',
    ...{ steps: 0, tokens: 0, flops: 0, seconds: 0, cpuSeconds: 0, wallSeconds, curve: [] },
    cost,
  };
}
