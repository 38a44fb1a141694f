import stringWidth from 'string-width';
import type { Style } from './style.ts';
import { padEnd, padStart, truncate } from './width.ts';

export interface Column {
  readonly header: string;
  /** In a line of its own below the headers. */
  readonly unit?: string;
  /** Default: right where every cell is a number. */
  readonly align?: 'left' | 'right';
}

export interface Table {
  readonly columns: readonly Column[];
  /** Formatted cells without escape codes. */
  readonly rows: readonly (readonly string[])[];
  /** Rows to set off from the others. */
  readonly emphasize?: (row: number) => boolean;
}

const GAP = '   ';
const LEAST_WIDTH = 6;

const isNumber = (cell: string): boolean =>
  cell === '' || cell === '–' || /^[-+±<>~≈]?[\d.∞]|^NaN$/.test(cell);

/** Aligned columns under a thin rule. In less width than it takes, the widest texts are cut. */
export function renderTable(table: Table, style: Style, width: number): string {
  const { columns, rows } = table;
  const right = columns.map(
    ({ align }, index) =>
      (align ?? (rows.every((row) => isNumber(row[index])) ? 'right' : 'left')) === 'right',
  );
  const widths = columns.map(({ header, unit = '' }, index) =>
    Math.max(stringWidth(header), stringWidth(unit), ...rows.map((row) => stringWidth(row[index]))),
  );
  shrink(widths, right, width - GAP.length * (columns.length - 1));

  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => {
        const cut = truncate(cell, widths[index]);
        return right[index] ? padStart(cut, widths[index]) : padEnd(cut, widths[index]);
      })
      .join(GAP)
      .trimEnd();

  const lines = [style.strong(line(columns.map(({ header }) => header)))];
  if (columns.some(({ unit }) => unit)) lines.push(style.dim(line(columns.map(({ unit = '' }) => unit))));
  lines.push(style.dim('─'.repeat(widths.reduce((sum, w) => sum + w, GAP.length * (columns.length - 1)))));
  rows.forEach((row, index) => {
    lines.push(table.emphasize?.(index) ? style.accent(line(row)) : line(row));
  });
  return lines.join('\n');
}

/** Takes cells from the widest text column until the widths fit, from the first, the names, last; never from numbers. */
function shrink(widths: number[], right: readonly boolean[], available: number): void {
  const texts = widths.map((_, index) => index).filter((index) => !right[index]);
  let excess = widths.reduce((sum, w) => sum + w, 0) - available;
  for (const candidates of [texts.filter((index) => index > 0), texts]) {
    for (; excess > 0; excess--) {
      const open = candidates.filter((index) => widths[index] > LEAST_WIDTH);
      if (open.length === 0) break;
      widths[open.reduce((widest, index) => (widths[index] > widths[widest] ? index : widest))]--;
    }
  }
}
