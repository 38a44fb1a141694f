import { h } from './dom.ts';
import { engineChoice } from './engine_choice.ts';
import { keepOffline } from './offline.ts';
import { Page, type View } from './page.ts';
import { forecastView } from './views/forecast.ts';
import { lookView } from './views/look.ts';
import { questionView } from './views/question.ts';
import { trainView } from './views/train.ts';
import { writeView } from './views/write.ts';

const byId = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;

const VIEWS: Readonly<Record<string, { readonly title: string; readonly make: (page: Page) => View }>> = {
  train: { title: 'Train', make: trainView },
  look: { title: 'Look inside', make: lookView },
  write: { title: 'Write', make: writeView },
  question: { title: 'The question', make: questionView },
  forecast: { title: 'Forecast', make: forecastView },
};
const FIRST = 'train';

const page = new Page(byId('notice'));
const made = new Map<string, View>();
let current: View | undefined;

const links = new Map(
  Object.entries(VIEWS).map(([name, { title }]) => [name, h('a', { href: `#${name}` }, title)]),
);
byId('views').append(...links.values());

function show(): void {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : FIRST;
  const view = made.get(name) ?? VIEWS[name].make(page);
  made.set(name, view);
  if (view === current) return;
  current?.hidden?.();
  current = view;
  for (const [key, link] of links) {
    if (key === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${VIEWS[name].title} · xLSTM playground`;
  page.clear();
  byId('main').replaceChildren(view.element);
  view.shown?.();
}

byId('footer').prepend(engineChoice(page, () => current?.shown?.()));
addEventListener('hashchange', show);
show();

if (await keepOffline()) byId('offline').textContent = 'Works without a network from now on.';
