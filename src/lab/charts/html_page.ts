import { chartRules, hueRules, palette, surfaces, type Theme } from './chart_style.ts';
import { escapeText } from './svg.ts';

/** Forbids the page every request, also those that an altered page might try. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** Shows what a point or a cell says about itself beside the pointer. */
const script = `
const tip = document.getElementById('tip');
addEventListener('pointermove', (event) => {
  const marked = event.target.closest?.('[data-tip]');
  tip.hidden = !marked;
  if (!marked) return;
  tip.textContent = marked.dataset.tip;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8)) + 'px';
  const below = event.clientY + 16;
  tip.style.top = (below + height > innerHeight ? event.clientY - height - 12 : below) + 'px';
});
addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });
`.trim();

const variables = (theme: Theme): string =>
  Object.entries({ ...palette[theme], ...surfaces[theme] })
    .map(([name, value]) => `--${name}:${value}`)
    .join(';');

const hues = Object.keys(palette.light)
  .map((hue) => `.${hue}{--hue:var(--${hue})}`)
  .join('');

/** Colours for paper and for a dark screen, charts, and what a page says beside the pointer. `themed`: what differs beside the colours. */
export const pageRules = (themed: (theme: Theme) => string = () => ''): string =>
  `
:root{color-scheme:light;${variables('light')}}
${themed('light')}
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;${variables('dark')}}${themed('dark')}}
${hues}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1160px;padding:28px 36px 60px;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;
font-variant-numeric:tabular-nums lining-nums}
figure{margin:0;break-inside:avoid}
svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,"DejaVu Sans",sans-serif;
font-variant-numeric:tabular-nums lining-nums}
${chartRules((name) => `var(--${name})`)}
${hueRules('', 'var(--hue)')}
[data-tip]:hover{filter:brightness(1.12)}
#tip{position:fixed;z-index:1;max-width:420px;padding:6px 9px;border-radius:5px;background:var(--text);color:var(--page);
font-size:12.5px;line-height:1.4;white-space:pre-line;pointer-events:none;overflow-wrap:anywhere}
#tip[hidden]{display:none}
@media print{body{max-width:none;padding:0}#tip{display:none}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
`.trim();

/** One file that needs nothing beside it. `body` is markup already. */
export const htmlPage = (title: string, styleSheet: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeText(title)}</title>
<style>
${styleSheet}
</style>
</head>
<body>
${body}
<div id="tip" hidden></div>
<script>
${script}
</script>
</body>
</html>
`;
