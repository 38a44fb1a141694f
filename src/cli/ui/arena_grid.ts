import stringWidth from 'string-width';
import { formatDuration, formatFixed } from '../../format.ts';
import type { CellState } from '../../lab/arena/arena.ts';
import { type CellName, type CellRecord, cellKey } from '../../lab/arena/records.ts';
import type { Style } from './style.ts';
import { padEnd, padStart, truncate } from './width.ts';

const GAP = 2;
/** A score: 0.98, -0.02, ×. */
const LEAST_COLUMN = 5;
const MOST_TASK = 28;

/** Where all cells of an arena stand: a grid of tasks × models with the best score of the seeds. */
export class ArenaGrid {
  readonly #tasks: readonly string[];
  readonly #models: readonly string[];
  readonly #states: Map<string, { cell: CellName; state: CellState }>;
  readonly #begin: number;
  readonly #now: () => number;

  constructor(cells: readonly CellName[], now: () => number = () => performance.now()) {
    this.#tasks = [...new Set(cells.map(({ task }) => task))];
    this.#models = [...new Set(cells.map(({ model }) => model))];
    this.#states = new Map(cells.map((cell) => [cellKey(cell), { cell, state: { kind: 'waiting' } }]));
    this.#now = now;
    this.#begin = now();
  }

  set(cell: CellName, state: CellState): void {
    this.#states.set(cellKey(cell), { cell, state });
  }

  render(width: number, style: Style): string[] {
    const label = Math.min(MOST_TASK, Math.max(4, ...this.#tasks.map((task) => stringWidth(task))));
    const room = Math.floor((width - label) / Math.max(1, this.#models.length)) - GAP;
    const longest = Math.max(...this.#models.map((model) => stringWidth(model)));
    // Names that do not fit above their columns stand in a legend, columns have numbers.
    const numbered = room < longest;
    const column = Math.max(LEAST_COLUMN, Math.min(room, Math.max(longest, LEAST_COLUMN)));
    const headers = this.#models.map((model, i) => (numbered ? `${i + 1}` : model));
    const line = (name: string, cells: readonly string[]): string =>
      padEnd(truncate(name, label), label) +
      cells.map((cell) => ' '.repeat(GAP) + padStart(cell, column)).join('');
    return [
      ...(numbered ? legend(this.#models, width, style) : []),
      style.strong(line('', headers)),
      ...this.#tasks.map((task) =>
        line(
          task,
          this.#models.map((model) => this.#cell(task, model, style)),
        ),
      ),
      style.dim(truncate(this.#summary(), width)),
    ];
  }

  #cell(task: string, model: string, style: Style): string {
    const states = [...this.#states.values()]
      .filter(({ cell }) => cell.task === task && cell.model === model)
      .map(({ state }) => state);
    const running = states.find((state) => state.kind === 'running');
    if (running) return style.accent(progressText(running));
    const records = states.flatMap((state) => (state.kind === 'ended' ? [state.record] : []));
    const scores = records.flatMap((record) => scoreOf(record) ?? []);
    // The best of a loss or a time is the least.
    if (scores.length > 0) return scores.sort((a, b) => b.rank - a.rank)[0].text;
    if (records.some(({ status }) => status === 'diverged')) return style.bad('NaN');
    return records.length > 0 ? style.bad('failed') : style.dim('·');
  }

  #summary(): string {
    const kinds = [...this.#states.values()].map(({ state }) => state.kind);
    const count = (kind: CellState['kind']): number => kinds.filter((found) => found === kind).length;
    const elapsed = formatDuration((this.#now() - this.#begin) / 1000);
    return `${count('ended')} of ${kinds.length} cells, ${count('running')} running, ${elapsed}`;
  }
}

/** What a cell came to, in the word of its task: scaled accuracy, nats per byte, microseconds per decoded token. */
export function scoreOf(record: CellRecord): { readonly text: string; readonly rank: number } | undefined {
  const { scaledAccuracy, text, cost } = record;
  if (scaledAccuracy !== undefined) return { text: formatFixed(scaledAccuracy, 2), rank: scaledAccuracy };
  const loss = text?.[0]?.loss;
  if (loss !== undefined) return { text: formatFixed(loss, 2), rank: -loss };
  const ms = cost?.[cost.length - 1]?.decodeMsPerToken ?? undefined;
  return ms === undefined ? undefined : { text: `${formatFixed(1000 * ms, 0)}µs`, rank: -ms };
}

/** A line for logs. */
export function recordLine(record: CellRecord): string {
  const { status, message, steps, trainSeconds, parameters } = record;
  const outcome = status === 'done' ? (scoreOf(record)?.text ?? '') : `${status}: ${message ?? ''}`;
  return `${cellKey(record)}: ${outcome} (${parameters} parameters, ${steps} steps, ${formatDuration(trainSeconds)})`;
}

function progressText({ progress }: Extract<CellState, { kind: 'running' }>): string {
  if (!progress) return '…';
  const { score, fraction } = progress;
  return score === undefined ? `${Math.floor(100 * fraction)}%` : formatFixed(score, 2);
}

function legend(models: readonly string[], width: number, style: Style): string[] {
  const lines = [''];
  models.forEach((model, i) => {
    const entry = `${i + 1} ${model}`;
    const last = lines[lines.length - 1];
    const longer = last ? `${last}   ${entry}` : entry;
    if (last && stringWidth(longer) > width) lines.push(truncate(entry, width));
    else lines[lines.length - 1] = truncate(longer, width);
  });
  return lines.map(style.dim);
}
