import { button, field, h, numberInput } from '../dom.ts';
import { bytes, integer } from '../format.ts';
import type { Page, View } from '../page.ts';
import type { WriteFacts } from '../worker/write.ts';
import { SHIPPED } from './equations.ts';

const FIRST_PROMPT = 'The whale ';
const TOKENS = 300;

/** The model writes on; its state is copied, and the copies go different ways. */
export function writeView(page: Page): View {
  const { client } = page;
  let temperature = 0.7;
  let facts: WriteFacts | undefined;
  let writing = false;

  const prompt = h('textarea', { rows: 2, 'aria-label': 'A beginning', maxlength: 20_000 });
  prompt.value = FIRST_PROMPT;
  const texts = [0, 1].map((branch) =>
    h('pre', { class: 'written', 'aria-label': `Continuation ${branch + 1}`, role: 'region', tabindex: 0 }),
  );
  const columns = h('div', { class: 'branches' }, texts[0]);
  const note = h('p', { class: 'hint' });
  const figures = h('dl', { class: 'figures' });
  const begin = button('Write', () => void (writing ? client.ask('stopWriting', undefined) : start()), {
    class: 'primary',
  });
  const on = button('Write on', () => void write());
  const fork = button('Fork', () => void forkIt());

  async function start(): Promise<void> {
    const begun = await page.attemptLong('The beginning is read', () =>
      client.ask('beginText', prompt.value),
    );
    if (!begun) return;
    columns.replaceChildren(texts[0]);
    texts[0].replaceChildren(h('b', {}, prompt.value));
    draw(begun);
    await write();
  }

  /** In all branches, one after the other. */
  async function write(): Promise<void> {
    if (!facts || writing) return;
    setWriting(true);
    for (let branch = 0; branch < facts.tokens.length && writing; branch++) {
      const order = { branch, tokens: TOKENS, temperature };
      const next = await page.attempt(() => client.ask('writeOn', order));
      if (!next) break;
      draw(next);
    }
    setWriting(false);
  }

  async function forkIt(): Promise<void> {
    const next = await page.attempt(() => client.ask('forkText', undefined));
    if (!next) return;
    texts[1].replaceChildren(h('b', {}, texts[0].textContent ?? ''));
    texts[0].replaceChildren(h('b', {}, texts[0].textContent ?? ''));
    columns.replaceChildren(...texts);
    draw(next);
    await write();
  }

  function setWriting(now: boolean): void {
    writing = now;
    begin.textContent = now ? 'Stop' : 'Write';
    for (const each of [on, fork]) each.disabled = now || !facts;
  }

  function draw(next: WriteFacts): void {
    facts = next;
    note.textContent = next.own ? '' : SHIPPED;
    const rows: [string, string][] = [
      ['tokens read', next.tokens.map(integer).join(' and ')],
      ['state of this model, each', bytes(next.stateBytes)],
      ['a Transformer’s cache by now', bytes(next.cacheBytes)],
      [
        'a token takes',
        next.microsecondsPerToken === undefined ? '–' : `${integer(next.microsecondsPerToken)} µs`,
      ],
    ];
    figures.replaceChildren(
      ...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
    );
  }

  client.on('written', (data) => {
    const { branch, piece } = data as { branch: number; piece: string };
    texts[branch].append(piece);
    texts[branch].scrollTop = texts[branch].scrollHeight;
  });
  page.whenLost(() => {
    facts = undefined;
    setWriting(false);
  });
  setWriting(false);

  const element = h(
    'section',
    { 'aria-labelledby': 'write-title' },
    h('h1', { id: 'write-title' }, 'Write'),
    h(
      'p',
      { class: 'lead' },
      'All that the model knows of a text is a state of constant size. Copy it in the middle of a sentence, and let both copies go on.',
    ),
    h(
      'div',
      { class: 'split asks-first' },
      h(
        'div',
        { class: 'side' },
        field('A beginning', prompt),
        field(
          'Temperature',
          numberInput(temperature, { min: 0, max: 5, step: 0.1 }, (value) => {
            temperature = value;
          }),
          '0 takes the likeliest token each time',
        ),
        h('div', { class: 'transport' }, begin, on, fork),
        note,
      ),
      h('div', { class: 'stage' }, columns, figures),
    ),
  );
  return {
    element,
    hidden: () => {
      if (writing) void client.ask('stopWriting', undefined);
    },
  };
}
