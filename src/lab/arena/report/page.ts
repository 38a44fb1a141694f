import { htmlPage } from '../../charts/html_page.ts';
import { escapeText } from '../../charts/svg.ts';
import { type Section, sectionHtml } from './section.ts';
import { styleSheet } from './style.ts';

/** One file that needs nothing beside it. */
export function page(title: string, lead: string, sections: readonly Section[]): string {
  const links = sections.map(
    (section) => `<a href="#${escapeText(section.id)}">${escapeText(section.title)}</a>`,
  );
  const body = `<header>
<h1>${escapeText(title)}</h1>
<p class="lead">${escapeText(lead)}</p>
${links.length > 0 ? `<nav>${links.join('\n')}</nav>` : ''}
</header>
<main>
${sections.map(sectionHtml).join('\n')}
</main>`;
  return htmlPage(title, styleSheet, body);
}
