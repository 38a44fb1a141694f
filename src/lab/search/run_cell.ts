import type { Engine } from '../../compute/engines/engine.ts';
import { runCell } from '../arena/run_cell.ts';
import type { CourseProgress } from '../arena/training.ts';
import { machineInWords } from '../cells/machine.ts';
import type { SearchSpec } from './cell.ts';
import type { SearchRecord } from './records.ts';

/** Runs a cell to its record. A training that diverges has one too; anything else that goes wrong is thrown. */
export async function runSearchCell(
  { cell, arena, code }: SearchSpec,
  engine: Engine,
  onProgress: (progress: CourseProgress) => void = () => {},
): Promise<SearchRecord> {
  const begin = performance.now();
  const record = await runCell(arena, engine, onProgress);
  const { status, message, parameters, settings, steps, tokens, trainSeconds, curve } = record;
  const loss = curve.at(-1)?.loss;
  return {
    ...cell,
    ...{ status, message, parameters, settings, steps, tokens, trainSeconds },
    wallSeconds: (performance.now() - begin) / 1000,
    loss: Number.isFinite(loss) ? loss : undefined,
    accuracy: record.accuracy,
    score: record.scaledAccuracy,
    engine: record.engine,
    machine: machineInWords(),
    code,
  };
}
