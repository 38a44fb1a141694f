import { formatDuration } from '../../format.ts';
import { type StudyCell, studyCellKey } from '../../lab/scaling/cell.ts';
import type { StudyRecord } from '../../lab/scaling/records.ts';
import type { StudyCellState } from '../../lab/scaling/study.ts';
import { truncate } from './width.ts';

/** How far a scaling study is: what runs, and how much of it has ended. */
export class StudyLines {
  /** Those that a study has found to need on its way, too. */
  readonly #cells: Set<string>;
  readonly #running = new Map<string, number>();
  readonly #ended = new Set<string>();
  readonly #begin = performance.now();
  #preparing: string | undefined;

  constructor(cells: readonly StudyCell[]) {
    this.#cells = new Set(cells.map(studyCellKey));
  }

  prepare(what: string): void {
    this.#preparing = what;
  }

  set(cell: StudyCell, state: StudyCellState): void {
    this.#preparing = undefined;
    const key = studyCellKey(cell);
    this.#cells.add(key);
    this.#running.delete(key);
    if (state.kind === 'ended') this.#ended.add(key);
    else if (state.kind === 'running') this.#running.set(key, state.progress?.fraction ?? 0);
  }

  render(width: number): string[] {
    const elapsed = formatDuration((performance.now() - this.#begin) / 1000);
    const running = [...this.#running].map(([key, fraction]) => `${Math.floor(100 * fraction)}%  ${key}`);
    const summary = `${this.#ended.size} of ${this.#cells.size} cells, ${elapsed}`;
    const preparing = this.#preparing ? [`preparing: ${this.#preparing}`] : [];
    return [...preparing, ...running, summary].map((line) => truncate(line, width));
  }
}

/** A line for logs. */
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
