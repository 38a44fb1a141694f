import type { Engine } from '../../compute/engines/engine.ts';
import { Trainer } from '../../training/trainer.ts';
import { batchOf, type StudyCell, type StudySettings, stepsOf } from './cell.ts';
import { createStudyModel } from './cell_model.ts';
import { costTokens } from './cost_cell.ts';
import type { StudyConfig, StudyModelName } from './models.ts';
import type { StudyRecord } from './records.ts';

/** Floating-point operations of a training step, counted from the Program that makes it. */
export function stepFlops(
  engine: Engine,
  model: StudyModelName,
  config: StudyConfig,
  context: number,
  tokensPerStep: number,
): number {
  using created = createStudyModel(engine, model, config, 1);
  const batchSize = batchOf(context, tokensPerStep);
  using trainer = new Trainer(created, { batchSize, length: context });
  return trainer.executable.program.flops;
}

/** A forward pass is about a third of a training step. */
const FORWARD = 1 / 3;

/** Operations that a cell takes, by those of a training step of its model and context. */
export function cellFlops(cell: StudyCell, flopsOfStep: number, settings: StudySettings): number {
  const { tokensPerStep, costLengths } = settings;
  return cell.kind === 'cost'
    ? (FORWARD * flopsOfStep * costTokens(costLengths)) / tokensPerStep
    : stepsOf(cell, tokensPerStep) * flopsOfStep;
}

/**
 * Seconds that so many operations of a model would take, by the largest of its cells that have ended, in the same context
 * where there are such; undefined where none of its cells has. Larger models make more operations in a second, so that
 * the figure is rather too high.
 */
export function estimatedSeconds(
  cell: StudyCell,
  flops: number,
  records: readonly StudyRecord[],
): number | undefined {
  const ended = records.filter(
    (record) => record.model === cell.model && record.status === 'done' && record.flops > 0,
  );
  const alike = ended.filter(({ context }) => context === cell.context);
  const known = alike.length > 0 ? alike : ended;
  if (known.length === 0) return undefined;
  const largest = known.reduce((most, record) => (record.flops > most.flops ? record : most));
  return (flops * largest.wallSeconds) / largest.flops;
}
