import { htmlPage, pageRules } from './html_page.ts';
import { type ChartSpec, lineChart } from './line_chart.ts';
import { escapeText } from './svg.ts';

const styleSheet = `
${pageRules()}
h1{font-size:22px;line-height:1.25;margin:0 0 18px}
h2{font-size:15px;margin:0 0 4px}
figure{max-width:860px;margin:0 0 30px}
svg .legend{font-size:12px}
`.trim();

/** Charts below each other as a page of its own, light or dark as the screen is, whose points say what they are. */
export function htmlFile(title: string, specs: readonly ChartSpec[]): string {
  const charts = specs.flatMap((spec) => {
    const chart = lineChart(spec);
    return chart ? [`<figure>\n<h2>${escapeText(spec.title)}</h2>\n${chart}\n</figure>`] : [];
  });
  return htmlPage(title, styleSheet, [`<h1>${escapeText(title)}</h1>`, ...charts].join('\n'));
}
