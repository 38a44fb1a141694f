import type { Drawing } from '../../arena/report/section.ts';
import { type ChartSpec, lineChart } from '../../charts/line_chart.ts';

/** A chart with its numbers; none where no point can be shown. */
export function drawing(spec: ChartSpec, note?: string): Drawing[] {
  const svg = lineChart(spec);
  if (!svg) return [];
  return [{ title: spec.title, svg, data: csvOf(spec), ...(note === undefined ? {} : { note }) }];
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

/** Six digits of each number. */
function csvOf({ series, x, y }: ChartSpec): string {
  const rows = series.flatMap(({ name, points }) =>
    points.map((point) =>
      [quoted(name), Number(point.x.toPrecision(6)), Number(point.y.toPrecision(6))].join(','),
    ),
  );
  return [['model', x.label, y.label].map(quoted).join(','), ...rows].join('\n');
}
