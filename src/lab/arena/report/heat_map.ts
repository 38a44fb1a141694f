import { lineSample, SAMPLE } from '../../charts/line_chart.ts';
import type { LineStyle } from '../../charts/line_style.ts';
import { element, svgText, textWidth } from '../../charts/svg.ts';

export type HeatCell =
  /** `flag`: not all that was run counts in the value. */
  | {
      readonly kind: 'value';
      readonly value: number;
      readonly text: string;
      readonly tip: string;
      readonly flag: boolean;
    }
  /** Ran and gave no value. */
  | { readonly kind: 'lost'; readonly text: string; readonly tip: string }
  | { readonly kind: 'missing'; readonly tip: string };

export interface HeatMapSpec {
  readonly title: string;
  readonly rows: readonly { readonly label: string; readonly style: LineStyle }[];
  /** Columns of the same group stand next to each other. */
  readonly columns: readonly { readonly label: string; readonly group: string }[];
  readonly cell: (row: number, column: number) => HeatCell;
}

/** Shades between 0 and 1; the style sheet has a colour for each. */
export const SHADES = 11;

export const shadeOf = (value: number): number =>
  Math.max(0, Math.min(SHADES - 1, Math.floor(Math.max(0, value) * SHADES)));

const LEFT = 190;
const ROW = 30;
const GAP = 2;
const GROUP_GAP = 10;
const WIDEST = 64;
const NARROWEST = 40;
const PAGE = 1040;
/** Of column heads, which are turned by this angle. */
const ANGLE = 40;

/** Rows × columns of values from 0 to 1, in shades, with what has no value marked. */
export function heatMap({ title, rows, columns, cell }: HeatMapSpec): string {
  const width = Math.max(NARROWEST, Math.min(WIDEST, (PAGE - LEFT - 90) / columns.length - GAP));
  const lefts: number[] = [];
  let left = LEFT;
  for (const [c, { group }] of columns.entries()) {
    if (c > 0 && group !== columns[c - 1].group) left += GROUP_GAP;
    lefts.push(left);
    left += width + GAP;
  }
  const sine = Math.sin((ANGLE * Math.PI) / 180);
  const cosine = Math.cos((ANGLE * Math.PI) / 180);
  const longest = Math.max(...columns.map(({ label }) => textWidth(label)));
  const head = longest * sine + 20;
  const overhang = Math.max(
    ...columns.map(({ label }, c) => lefts[c] + width / 2 + textWidth(label) * cosine + 8 - left),
  );
  const GROUPS = 22;
  const parts: string[] = [];
  for (const [c, { label, group }] of columns.entries()) {
    const middle = lefts[c] + width / 2;
    parts.push(
      svgText(0, 0, label, {
        class: 'column',
        transform: `translate(${middle} ${head - 6}) rotate(-${ANGLE})`,
      }),
    );
    if (c > 0 && columns[c - 1].group === group) continue;
    const count = columns.filter((other) => other.group === group).length;
    const below = head + rows.length * (ROW + GAP) + 4;
    const right = lefts[c + count - 1] + width;
    parts.push(element('path', { class: 'group-line', d: `M${lefts[c]} ${below}v4H${right}v-4` }));
    for (const [line, text] of fitted(group, right - lefts[c] + GROUP_GAP).entries()) {
      const y = below + 18 + 13 * line;
      parts.push(svgText((lefts[c] + right) / 2, y, text, { class: 'note', 'text-anchor': 'middle' }));
    }
  }
  for (const [r, { label, style }] of rows.entries()) {
    const top = head + r * (ROW + GAP);
    parts.push(lineSample(style, 0, top + ROW / 2));
    parts.push(svgText(SAMPLE + 8, top + ROW / 2 + 4, label, { class: 'row' }));
    for (const c of columns.keys()) parts.push(drawCell(cell(r, c), lefts[c], top, width));
  }
  const height = head + rows.length * (ROW + GAP) + GROUPS + 18;
  const total = left + Math.max(0, overhang);
  const attributes = { class: 'heat', viewBox: `0 0 ${total} ${height}`, role: 'img', 'aria-label': title };
  return element(
    'svg',
    {
      ...attributes,
      style: `min-width:${Math.round(Math.min(total, 560))}px;max-width:${Math.round(total)}px`,
    },
    HATCH + parts.join(''),
  );
}

const HATCH = element(
  'defs',
  {},
  element(
    'pattern',
    { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
    element('rect', { class: 'hatch-ground', width: 6, height: 6 }) +
      element('line', { class: 'hatch-line', x1: 0, x2: 0, y1: 0, y2: 6 }),
  ),
);

/** A group's name in one line, or a line a word where it is too wide. */
const fitted = (group: string, width: number): string[] =>
  textWidth(group, 11) <= width ? [group] : group.split(/[ -]/);

function drawCell(cell: HeatCell, x: number, y: number, width: number): string {
  const box = { x, y, width, height: ROW, rx: 3 };
  const middle = { class: 'value', 'text-anchor': 'middle' };
  const [center, baseline] = [x + width / 2, y + ROW / 2 + 4];
  switch (cell.kind) {
    case 'value': {
      const flag = cell.flag ? element('path', { class: 'flag', d: `M${x + width - 9} ${y}h9v9z` }) : '';
      const drawn = element('rect', box) + svgText(center, baseline, cell.text, middle) + flag;
      return element('g', { class: `cell s${shadeOf(cell.value)}`, 'data-tip': cell.tip }, drawn);
    }
    case 'lost': {
      const drawn =
        element('rect', { ...box, fill: 'url(#hatch)' }) + svgText(center, baseline, cell.text, middle);
      return element('g', { class: 'cell lost', 'data-tip': cell.tip }, drawn);
    }
    case 'missing': {
      const drawn = element('rect', box) + svgText(center, baseline, '·', middle);
      return element('g', { class: 'cell missing', 'data-tip': cell.tip }, drawn);
    }
  }
}
