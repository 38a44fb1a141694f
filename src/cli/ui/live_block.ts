import stringWidth from 'string-width';
import { isInteractive } from './style.ts';

const REDRAW_MS = 100;

export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** Lines that are redrawn in place on a terminal; elsewhere only what is printed to stay is written. No lines: no block. */
export class LiveBlock {
  readonly interactive: boolean;
  readonly #stream: OutputStream;
  readonly #render: (width: number) => readonly string[];
  readonly #now: () => number;
  #drawn: readonly string[] = [];
  #changed = false;
  #last = Number.NEGATIVE_INFINITY;

  constructor(
    render: (width: number) => readonly string[],
    stream: OutputStream = process.stderr,
    env: Readonly<Record<string, string | undefined>> = process.env,
    now: () => number = () => performance.now(),
  ) {
    this.#render = render;
    this.#stream = stream;
    this.#now = now;
    this.interactive = isInteractive(stream, env);
  }

  /** May be called for every change: it draws only so often. */
  update(): void {
    this.#changed = true;
    if (!this.interactive || this.#now() - this.#last < REDRAW_MS) return;
    this.#last = this.#now();
    this.#draw();
  }

  /** Writes a line that stays, above the block. */
  print(line: string): void {
    this.#stream.write(`${this.#erase()}${line}\n`);
    this.#drawn = [];
    if (this.interactive) this.#draw();
  }

  /** Shows the last state, which stays where it is. */
  finish(): void {
    if (this.interactive && this.#changed) this.#draw();
    this.#drawn = [];
  }

  #draw(): void {
    // The last column stays free: some terminals wrap when it is written.
    const lines = this.#render(Math.max(1, this.#columns() - 1)).slice(-this.#room());
    this.#changed = false;
    if (lines.length === 0) return;
    this.#stream.write(`${this.#erase()}${lines.join('\n')}\n`);
    this.#drawn = lines;
  }

  #columns(): number {
    return this.#stream.columns || 80;
  }

  /** Lines that can be reached again: the cursor stands below them. */
  #room(): number {
    return Math.max(1, (this.#stream.rows || 24) - 1);
  }

  /** Moves to the start of the block and clears it; in a terminal that became narrower its lines have wrapped. */
  #erase(): string {
    const columns = this.#columns();
    const rows = this.#drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(stringWidth(line) / columns)),
      0,
    );
    return rows > 0 ? `\x1b[${rows}A\r\x1b[J` : '';
  }
}
