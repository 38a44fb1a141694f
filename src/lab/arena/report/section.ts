import { escapeText } from '../../charts/svg.ts';
import { escapeMarkdown, type Table, tableHtml, tableMarkdown } from './table.ts';

export type Block =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'table'; readonly table: Table }
  /** Drawings appear in the page alone; beside each other where there is room. */
  | { readonly kind: 'charts'; readonly charts: readonly Drawing[] }
  /** The table says in Markdown what the drawing shows in the page. */
  | { readonly kind: 'wide'; readonly chart: Drawing; readonly table: Table }
  /** Narrow tables, beside each other where there is room. */
  | { readonly kind: 'tables'; readonly tables: readonly Table[] };

export interface Drawing {
  readonly title: string;
  readonly svg: string;
  readonly note?: string;
  /** Its numbers as comma-separated values, which the page has behind a click. */
  readonly data?: string;
}

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly blocks: readonly Block[];
}

export const text = (text: string): Block => ({ kind: 'text', text });
export const table = (table: Table): Block => ({ kind: 'table', table });

function drawingHtml({ title, svg, note, data }: Drawing): string {
  const caption = note ? `<figcaption>${escapeText(note)}</figcaption>` : '';
  const numbers = data ? `<details><summary>Data</summary><pre>${escapeText(data)}</pre></details>` : '';
  return `<figure><h3>${escapeText(title)}</h3>${svg}${caption}${numbers}</figure>`;
}

function blockHtml(block: Block): string {
  switch (block.kind) {
    case 'text':
      return `<p>${escapeText(block.text)}</p>`;
    case 'list':
      return `<ul>${block.items.map((item) => `<li>${escapeText(item)}</li>`).join('')}</ul>`;
    case 'table':
      return tableHtml(block.table);
    case 'charts':
      return `<div class="charts">${block.charts.map(drawingHtml).join('\n')}</div>`;
    case 'tables':
      return `<div class="tables">${block.tables.map(tableHtml).join('\n')}</div>`;
    case 'wide':
      return `<div class="wide">${drawingHtml(block.chart)}</div>`;
  }
}

function blockMarkdown(block: Block): string[] {
  switch (block.kind) {
    case 'text':
      return [escapeMarkdown(block.text), ''];
    case 'list':
      return [...block.items.map((item) => `- ${escapeMarkdown(item)}`), ''];
    case 'table':
      return [tableMarkdown(block.table), ''];
    case 'tables':
      return block.tables.flatMap((one) => [tableMarkdown(one), '']);
    case 'wide':
      return [tableMarkdown(block.table), ''];
    case 'charts':
      return [];
  }
}

export const sectionHtml = ({ id, title, blocks }: Section): string =>
  `<section id="${escapeText(id)}"><h2>${escapeText(title)}</h2>\n${blocks.map(blockHtml).join('\n')}</section>`;

/** Sections of drawings alone have nothing to say here. */
export function sectionMarkdown({ title, blocks }: Section): string {
  const lines = blocks.flatMap(blockMarkdown);
  return lines.length > 0 ? [`## ${title}`, '', ...lines].join('\n') : '';
}
