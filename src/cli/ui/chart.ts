import { formatSignificant } from '../../format.ts';
import { curveRange, drawCurve } from './curve.ts';
import type { Style } from './style.ts';
import { padStart } from './width.ts';

export interface ChartSeries {
  readonly name: string;
  readonly values: readonly number[];
  readonly paint: (text: string) => string;
}

const BLANK = 0x2800;

/** Curves over each other with an axis of their range and a legend below; where they meet the later one's colour holds. */
export function renderChart(
  series: readonly ChartSeries[],
  { width, rows }: { readonly width: number; readonly rows: number },
  style: Style,
): string[] {
  const ranges = series.map(({ values }) => curveRange(values, width));
  const low = Math.min(...ranges.map((range) => range.low));
  const high = Math.max(...ranges.map((range) => range.high));
  const labels = [formatSignificant(high), formatSignificant(low)];
  const labelWidth = Math.max(...labels.map((label) => label.length));
  const columns = Math.max(8, width - labelWidth - 3);
  const curves = series.map(({ values }) => drawCurve(values, columns, rows, { low, high }));
  const lines = Array.from({ length: rows }, (_, row) => {
    const label = row === 0 ? labels[0] : row === rows - 1 ? labels[1] : '';
    const cells = Array.from({ length: columns }, (_, column) => {
      let bits = 0;
      let paint = (text: string): string => text;
      curves.forEach((curve, i) => {
        const code = curve[row].charCodeAt(column);
        if (code < BLANK) return;
        bits |= code - BLANK;
        paint = series[i].paint;
      });
      return bits ? paint(String.fromCharCode(BLANK + bits)) : ' ';
    });
    return `${style.dim(`${padStart(label, labelWidth)} ┤`)} ${cells.join('')}`.trimEnd();
  });
  const legend = series.map(({ name, paint }) => `${paint('⠒⠒')} ${name}`).join('   ');
  return [...lines, `${' '.repeat(labelWidth + 3)}${legend}`];
}
