import { chartRules, hueRules, palette, surfaces } from './chart_style.ts';
import { type ChartSpec, drawChart, type Series } from './line_chart.ts';
import type { Hue } from './line_style.ts';
import { element, pixels, svgText } from './svg.ts';

const MARGIN = 16;
const TITLE_HEIGHT = 34;
const HEADING_HEIGHT = 30;
const FONT = '13px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif';

/**
 * Charts below each other as a file of its own, on white. Colours are in it as such: programs for drawings and documents
 * know no variables of style sheets.
 */
export function svgFile(title: string, specs: readonly ChartSpec[]): string {
  const charts = specs.flatMap((spec) => {
    const chart = drawChart({ ...spec, series: spec.series.map(withoutTips) });
    return chart ? [{ ...chart, title: spec.title }] : [];
  });
  let top = MARGIN + TITLE_HEIGHT;
  const parts = charts.map((chart) => {
    const heading = svgText(MARGIN, top + 14, chart.title, { class: 'heading' });
    const moved = { transform: `translate(${MARGIN} ${pixels(top + HEADING_HEIGHT)})` };
    top += HEADING_HEIGHT + chart.height + MARGIN;
    return heading + element('g', moved, chart.markup);
  });
  const width = 2 * MARGIN + Math.max(0, ...charts.map((chart) => chart.width));
  const label = [title, ...charts.map((chart) => chart.label)].join('; ');
  const ground = element('rect', { width, height: top, fill: surfaces.light.page });
  const name = svgText(MARGIN, MARGIN + 16, title, { class: 'title' });
  const size = { width, height: top, viewBox: `0 0 ${pixels(width)} ${pixels(top)}` };
  const drawing = element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', ...size, role: 'img', 'aria-label': label },
    `${element('style', {}, `\n${rules}\n`)}${ground}${name}${parts.join('\n')}`,
  );
  return `${drawing}\n`;
}

/** A drawing has no pointer. */
const withoutTips = (series: Series): Series => ({
  ...series,
  points: series.points.map(({ x, y }) => ({ x, y })),
});

const rules = [
  `svg{font:${FONT}}`,
  chartRules((name) => surfaces.light[name]),
  ...Object.entries(palette.light).map(([hue, color]) => hueRules(hue as Hue, color)),
  'svg .title{font-size:17px;font-weight:600}',
  'svg .heading{font-size:13.5px;font-weight:600}',
  'svg .legend{font-size:12px}',
].join('\n');
