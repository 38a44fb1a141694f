import { formatDuration } from '../../format.ts';
import type { CellState } from '../../lab/cells/run_cells.ts';
import { truncate } from './width.ts';

/** How far a run of cells is: what runs, and how much of it has ended. */
export class CellLines<Cell> {
  readonly #keyOf: (cell: Cell) => string;
  /** Those that a run has found to need on its way, too. */
  readonly #cells: Set<string>;
  readonly #running = new Map<string, number>();
  readonly #ended = new Set<string>();
  readonly #begin = performance.now();
  #preparing: string | undefined;

  constructor(cells: readonly Cell[], keyOf: (cell: Cell) => string) {
    this.#keyOf = keyOf;
    this.#cells = new Set(cells.map(keyOf));
  }

  prepare(what: string): void {
    this.#preparing = what;
  }

  set(cell: Cell, state: CellState<{ readonly fraction: number }, unknown>): void {
    this.#preparing = undefined;
    const key = this.#keyOf(cell);
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
