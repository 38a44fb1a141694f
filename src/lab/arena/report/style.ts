import type { Theme } from '../../charts/chart_style.ts';
import { pageRules } from '../../charts/html_page.ts';
import { SHADES } from './heat_map.ts';

/** From the ground to a deep blue on paper; on a dark screen more is brighter. */
const heat = {
  light: { low: [240, 244, 249], high: [4, 60, 122], dark: '#10233a', bright: '#ffffff', turn: 6 },
  dark: { low: [34, 39, 47], high: [132, 204, 255], dark: '#0b1a28', bright: '#e6eaf0', turn: 6 },
} as const;

function shadeRules(theme: Theme): string {
  const { low, high, dark, bright, turn } = heat[theme];
  return Array.from({ length: SHADES }, (_, k) => {
    const mixed = low.map((channel, c) => Math.round(channel + ((high[c] - channel) * k) / (SHADES - 1)));
    // Words stay readable on either side of the middle.
    const inverted = k >= turn;
    const ink = (theme === 'light') === inverted ? bright : dark;
    return `.s${k} rect{fill:rgb(${mixed})}.s${k} text{fill:${ink}}`;
  }).join('');
}

export const styleSheet = `
${pageRules(shadeRules)}
h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:21px;margin:44px 0 8px;padding-top:14px;border-top:1px solid var(--rule)}
h3{font-size:14.5px;margin:0 0 4px}
p,ul{max-width:78ch;margin:8px 0}
ul{padding-left:20px}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:14px 0 0;font-size:14px}
a{color:var(--blue);text-underline-offset:2px}
.lead{font-size:16px;color:var(--soft)}
figcaption{font-size:12.5px;color:var(--soft);margin-top:2px;overflow-wrap:break-word}
details{font-size:12.5px;color:var(--soft)}
summary{cursor:pointer}
pre{max-height:260px;overflow:auto;margin:4px 0;padding:8px 10px;background:var(--panel);color:var(--text);font-size:11.5px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:26px 28px;margin:18px 0 26px}
.wide{margin:18px 0 24px;overflow-x:auto}
.chart{max-width:620px}
.cell text{font-size:12.5px}
.lost rect{stroke:var(--hatch)}
.lost text{font-size:11.5px;font-weight:600;paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
.missing rect{fill:none;stroke:var(--rule);stroke-dasharray:3 3}
svg .missing text{fill:var(--soft)}
.hatch-ground{fill:var(--page)}
.hatch-line{stroke:var(--hatch);stroke-width:3}
.flag{fill:var(--vermilion);stroke:var(--page)}
.group-line{fill:none;stroke:var(--soft)}
.table{overflow-x:auto;margin:18px 0 24px}
table{border-collapse:collapse;font-size:13px;line-height:1.35}
caption{text-align:left;font-weight:600;font-size:14px;padding-bottom:6px}
th,td{padding:4px 10px;vertical-align:top}
th{color:var(--soft);font-weight:600}
thead th{border-bottom:1px solid var(--soft);vertical-align:bottom}
tbody td{border-bottom:1px solid var(--grid)}
.group th{text-align:left;color:var(--text);padding-top:12px;border-bottom:1px solid var(--rule)}
.left{text-align:left}
.right{text-align:right}
td.right{white-space:nowrap}
td.left:first-child{white-space:nowrap}
.prose td.left:first-child{white-space:normal}
.prose td{min-width:200px;max-width:420px}
.tables{display:flex;flex-wrap:wrap;gap:6px 30px}
.tables .table{margin:10px 0}
.tables td,.tables th{padding:3px 7px}
.dense table{font-size:12px}
.dense td{padding:3px 8px}
@media print{
@page{margin:14mm}
body{font-size:10.5pt}
nav,details{display:none}
h2{break-after:avoid}
tr,figure,li{break-inside:avoid}
.table,.wide{overflow:visible}
.charts{grid-template-columns:1fr 1fr;gap:14px}
table{font-size:8pt}th,td{padding:2px 5px}td.right{white-space:normal}
.dense table{font-size:7pt}
}
`.trim();
