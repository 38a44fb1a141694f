import { escapeText } from '../../charts/svg.ts';

export interface TableColumn {
  readonly header: string;
  /** Words to the left, figures to the right. */
  readonly align: 'left' | 'right';
}

export interface TableRow {
  readonly cells: readonly string[];
  /** A line above the row, for a group of rows. */
  readonly heading?: string;
}

/** What is the same in the page and in Markdown. */
export interface Table {
  readonly title: string;
  readonly columns: readonly TableColumn[];
  readonly rows: readonly TableRow[];
  /** Cells of running text, or many columns set smaller. */
  readonly look?: 'prose' | 'dense';
}

export const words = (header: string): TableColumn => ({ header, align: 'left' });
export const figures = (header: string): TableColumn => ({ header, align: 'right' });

export function tableHtml({ title, columns, rows, look }: Table): string {
  const cell = (tag: string, text: string, column: number): string =>
    `<${tag} class="${columns[column].align}">${escapeText(text)}</${tag}>`;
  const head = columns.map(({ header }, c) => cell('th', header, c)).join('');
  const body = rows.map(({ cells, heading }) => {
    const group = heading
      ? `<tr class="group"><th colspan="${columns.length}">${escapeText(heading)}</th></tr>`
      : '';
    return `${group}<tr>${cells.map((text, c) => cell('td', text, c)).join('')}</tr>`;
  });
  return (
    `<div class="table${look ? ` ${look}` : ''}"><table><caption>${escapeText(title)}</caption>` +
    `<thead><tr>${head}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`
  );
}

/** Text that neither ends a cell nor is taken for markup. */
export const escapeMarkdown = (text: string): string =>
  text.replace(/[\\|*_`<>[\]]/g, (letter) => `\\${letter}`).replace(/\s*\n\s*/g, ' ');

export function tableMarkdown({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeMarkdown).join(' | ')} |`;
  const rule = columns.map(({ align }) => (align === 'right' ? '---:' : '---'));
  const body = rows.flatMap(({ cells, heading }) => {
    const group = heading ? [`| **${escapeMarkdown(heading)}** |${' |'.repeat(columns.length - 1)}`] : [];
    return [...group, line(cells)];
  });
  const head = [line(columns.map(({ header }) => header)), `| ${rule.join(' | ')} |`];
  return [`**${escapeMarkdown(title)}**`, '', ...head, ...body].join('\n');
}
