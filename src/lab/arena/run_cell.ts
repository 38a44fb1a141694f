import type { Engine } from '../../compute/engines/engine.ts';
import { ByteTokenizer } from '../../data/tokenizer.ts';
import { checkBudget, type FixedSizes } from '../../models/baselines/sizing.ts';
import { taskByName } from '../tasks/registry.ts';
import { type CellContext, type CellSpec, COST, TEXT } from './cell.ts';
import { taskSettings, textSettings } from './cell_settings.ts';
import { COST_VOCABULARY, runCost } from './cost_cell.ts';
import type { CellRecord } from './records.ts';
import { runTask } from './task_cell.ts';
import { runText } from './text_cell.ts';
import type { CourseProgress } from './training.ts';

/** Runs a cell to its record. A training that diverges has one too; anything else that goes wrong is thrown. */
export function runCell(
  spec: CellSpec,
  engine: Engine,
  onProgress: (progress: CourseProgress) => void = () => {},
): Promise<CellRecord> {
  const context: CellContext = { spec, engine, onProgress };
  if (spec.task === TEXT) return runText(context);
  return spec.task === COST ? runCost(context) : runTask(context, taskByName(spec.task));
}

/** Throws where no model of a cell's kind can be as small or as large as its budget. */
export function checkCell(spec: CellSpec): void {
  checkBudget(spec.model, spec.budget, fixedSizes(spec));
}

function fixedSizes(spec: CellSpec): FixedSizes {
  if (spec.task === COST) return { vocabSize: COST_VOCABULARY };
  if (spec.task === TEXT) {
    return { vocabSize: new ByteTokenizer().vocabSize, ...textSettings(spec.model, spec.quick).model };
  }
  const task = taskByName(spec.task);
  return { vocabSize: task.vocabSize, ...taskSettings(task, spec).model };
}
