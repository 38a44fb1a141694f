import type { Engine } from '../../compute/engines/engine.ts';
import type { StudyProgress, StudySpec } from './cell.ts';
import { runCost } from './cost_cell.ts';
import type { StudyRecord } from './records.ts';
import { runTraining } from './train_cell.ts';

/** Runs a cell to its record. A training that diverges has one too; anything else that goes wrong is thrown. */
export const runStudyCell = (
  spec: StudySpec,
  engine: Engine,
  onProgress: (progress: StudyProgress) => void = () => {},
): Promise<StudyRecord> =>
  spec.cell.kind === 'cost' ? runCost(spec, engine, onProgress) : runTraining(spec, engine, onProgress);
