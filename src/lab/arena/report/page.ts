import { escapeText } from '../../charts/svg.ts';
import { type Section, sectionHtml } from './section.ts';
import { styleSheet } from './style.ts';

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

/** One file that needs nothing beside it. */
export function page(title: string, lead: string, sections: readonly Section[]): string {
  const links = sections.map(
    (section) => `<a href="#${escapeText(section.id)}">${escapeText(section.title)}</a>`,
  );
  return `<!doctype html>
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
<header>
<h1>${escapeText(title)}</h1>
<p class="lead">${escapeText(lead)}</p>
${links.length > 0 ? `<nav>${links.join('\n')}</nav>` : ''}
</header>
<main>
${sections.map(sectionHtml).join('\n')}
</main>
<div id="tip" hidden></div>
<script>
${script}
</script>
</body>
</html>
`;
}
