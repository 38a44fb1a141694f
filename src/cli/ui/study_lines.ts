import { formatDuration } from '../../format.ts';
import { studyCellKey } from '../../lab/scaling/cell.ts';
import type { StudyRecord } from '../../lab/scaling/records.ts';

/** A cell of a scaling study in a line for logs. */
export function studyRecordLine(record: StudyRecord): string {
  const { status, message, loss, cost, wallSeconds } = record;
  const outcome =
    status !== 'done'
      ? `${status}: ${message ?? ''}`
      : loss
        ? `${loss.token.toFixed(3)} nats per token`
        : `${cost?.[0]?.tokenMs.toFixed(3)} ms per token`;
  return `${studyCellKey(record)}: ${outcome} (${formatDuration(wallSeconds)})`;
}
