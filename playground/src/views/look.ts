import { HeatMap } from '../charts/heat_map.ts';
import { button, field, h, on, select } from '../dom.ts';
import { bytes, decimal } from '../format.ts';
import { inTurn, type Page, type View } from '../page.ts';
import type { Answer, CellLook, Looked, LookOrder, TracedCell } from '../worker/look.ts';
import { cellPanel } from './cell_panel.ts';
import { MEANING, SHIPPED } from './equations.ts';
import { type LookSubject, lookTask } from './look_task.ts';

const FIRST_TEXT = 'The whale, the whale! There she blows.';
const PLAY_EVERY = 350;

/** A text goes through the model token by token, while one looks at its gates and memories. */
export function lookView(page: Page): View {
  let looked: Looked | undefined;
  let token = 0;
  let cell = 0;
  let head = 0;
  let playing: number | undefined;
  let asked = 0;

  let subject: LookSubject = 'text';
  let reading = false;
  let reads = 0;
  const turn = inTurn();

  const input = h('input', {
    type: 'text',
    value: FIRST_TEXT,
    'aria-label': 'A text to read',
    maxlength: 4000,
  });
  const submit = h('button', { type: 'submit', class: 'primary' }, 'Read');
  const note = h('p', { class: 'hint' });
  const tokens = on(
    h('div', { class: 'tokens', role: 'group', 'aria-label': 'Tokens: choose one, with arrow keys' }),
    {
      keydown: ({ key }) => {
        const place = token + (key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0);
        if (place === token || place < 0 || place >= tokens.children.length) return;
        (tokens.children[place] as HTMLElement).focus();
        void moveTo(place);
      },
    },
  );
  const strips = h('div', { class: 'strips' });
  const told = h('p', { class: 'reading', 'aria-live': 'polite' }, '\u00a0');
  const panel = h('div', {});
  const next = h('p', { class: 'status' });
  const slider = on(h('input', { type: 'range', min: 0, max: 0, value: 0, 'aria-label': 'Token' }), {
    input: () => void moveTo(slider.valueAsNumber),
  });
  const play = button('Play', () => (playing === undefined ? start() : stop()), { class: 'primary' });

  const task = lookTask(page, () => void read());
  const choice = select(
    [
      { value: 'text', text: 'a text' },
      { value: 'parity', text: 'parity: odd or even so far?' },
      { value: 'recall', text: 'recall: which value had the key?' },
    ],
    subject,
    (value) => {
      subject = value as LookSubject;
      ask.hidden = subject !== 'text';
      task.choose(subject);
      void read();
    },
  );

  function setReading(now: boolean): void {
    reading = now;
    submit.textContent = now ? 'Stop' : 'Read';
  }

  /** What was asked for last counts: what is being read for another is let be. */
  async function read(): Promise<void> {
    const mine = ++reads;
    if (reading) void page.client.ask('stopLooking', undefined);
    await turn(() => (mine === reads ? readOnce(mine) : Promise.resolve()));
  }

  async function readOnce(mine: number): Promise<void> {
    stop();
    const order: LookOrder =
      subject === 'text' ? { text: input.value } : { task: subject, seed: task.seed() };
    setReading(true);
    const found = await page.attempt(() => page.client.ask('lookInto', order));
    setReading(false);
    if (mine !== reads) return;
    looked = found;
    if (!looked) return;
    task.show(looked);
    note.textContent = [looked.own ? undefined : SHIPPED, looked.note].filter(Boolean).join(' ');
    cell = Math.min(cell, looked.cells.length - 1);
    head = 0;
    slider.max = `${looked.tokens.length - 1}`;
    tokens.replaceChildren(...looked.tokens.map((text, t) => tokenButton(text, t, looked?.answers[t])));
    drawStrips();
    const asked = looked.answers.findLastIndex((answer) => answer !== undefined);
    await moveTo(asked < 0 ? looked.tokens.length - 1 : asked);
  }

  function tokenButton(text: string, t: number, answer: Answer | undefined): HTMLElement {
    const made = button(visible(text), () => void moveTo(t), { class: 'token' });
    if (!answer) {
      made.setAttribute('aria-label', `Token ${t + 1}: ${text}`);
      return made;
    }
    const { given, expected } = answer;
    const right = given === expected;
    const unseen = (words: string): HTMLElement => h('span', { class: 'unseen' }, words);
    made.prepend(unseen(`Token ${t + 1}: `));
    made.append(
      unseen(', the model says '),
      h('span', { class: right ? 'right' : 'wrong' }, `${given} ${right ? '✓' : '✗'}`),
      unseen(right ? '' : `, expected ${expected}`),
    );
    return made;
  }

  function drawStrips(): void {
    if (!looked) return;
    const { cells } = looked;
    strips.replaceChildren(...cells.map((each, c) => strip(each, c)));
  }

  function strip(each: TracedCell, c: number): HTMLElement {
    const { input: gates, forget, stabiliser, tokens: texts } = looked as Looked;
    const rows = [
      { name: 'input', values: gates[c], most: 1, meaning: MEANING.input },
      { name: 'forget', values: forget[c], most: 1, meaning: MEANING.forget },
      { name: 'stabiliser', values: stabiliser[c], most: largest(stabiliser[c]), meaning: MEANING.m },
    ];
    const mean = each.kind === 'slstm' ? ', mean of its units' : '';
    return h(
      'div',
      { class: 'strip-of-cell' },
      button(
        `${each.name} · ${each.kind === 'mlstm' ? 'mLSTM' : 'sLSTM'}`,
        () => {
          cell = c;
          head = 0;
          void moveTo(token);
        },
        { class: 'quiet', 'aria-pressed': c === cell ? 'true' : 'false' },
      ),
      ...rows.map(({ name, values, most, meaning }) => {
        const byHead = transposed(values, each.heads);
        const map = new HeatMap(
          `${name} of ${each.name}, a row a head, a column a token`,
          (row, column) => {
            const value = byHead[row * texts.length + column];
            told.textContent = `${each.name}, head ${row + 1}, token ${column + 1} “${visible(texts[column])}”: ${decimal(value)}${mean} · ${meaning}`;
          },
          (row, column) => {
            cell = c;
            head = row;
            void moveTo(column);
          },
        );
        map.show({ rows: each.heads, columns: texts.length, values: byHead, most });
        return h('div', { class: 'gate' }, h('span', { class: 'label' }, name), map.element);
      }),
    );
  }

  async function moveTo(place: number): Promise<void> {
    if (!looked) return;
    token = place;
    slider.value = `${place}`;
    const mine = ++asked;
    const found = await page.attempt(() => page.client.ask('lookAt', { token, cell }));
    if (found && mine === asked) draw(found);
  }

  function draw(found: CellLook): void {
    if (!looked) return;
    for (const [t, each] of [...tokens.children].entries()) {
      if (t === token) each.setAttribute('aria-current', 'step');
      else each.removeAttribute('aria-current');
      // One stop for all of them.
      (each as HTMLElement).tabIndex = t === token ? 0 : -1;
    }
    for (const [c, each] of [...strips.children].entries())
      each.querySelector('button')?.setAttribute('aria-pressed', `${c === cell}`);
    const each = looked.cells[cell];
    const heads = Array.from({ length: each.heads }, (_, i) =>
      button(
        `Head ${i + 1}`,
        () => {
          head = i;
          draw(found);
        },
        { class: 'small', 'aria-pressed': i === head ? 'true' : 'false' },
      ),
    );
    panel.replaceChildren(
      h(
        'h2',
        {},
        `${each.name}, ${each.kind === 'mlstm' ? 'mLSTM' : 'sLSTM'}, after “${visible(looked.tokens[token])}”`,
      ),
      h('div', { class: 'transport' }, ...heads),
      cellPanel(each, found, head),
    );
    next.textContent = `${looked.answers[token] ? 'Its answer' : 'Likeliest next'}: ${found.next.map(({ token: text, probability }) => `“${visible(text)}” ${(100 * probability).toFixed(0)} %`).join(', ')}. The state takes ${bytes(looked.stateBytes)}, however long the text is.`;
  }

  function start(): void {
    if (!looked) return;
    play.textContent = 'Pause';
    if (token >= looked.tokens.length - 1) token = -1;
    const tick = async (): Promise<void> => {
      await moveTo(token + 1);
      if (playing === undefined || !looked) return;
      if (token >= looked.tokens.length - 1) stop();
      else playing = window.setTimeout(tick, PLAY_EVERY);
    };
    playing = window.setTimeout(tick, 0);
  }

  function stop(): void {
    window.clearTimeout(playing);
    playing = undefined;
    play.textContent = 'Play';
  }

  page.whenLost(() => {
    stop();
    looked = undefined;
  });

  const ask = on(h('form', { class: 'ask' }, input, submit), {
    submit: (event) => {
      event.preventDefault();
      void (reading ? page.client.ask('stopLooking', undefined) : read());
    },
  });

  const element = h(
    'section',
    { 'aria-labelledby': 'look-title' },
    h('h1', { id: 'look-title' }, 'Look inside'),
    h(
      'p',
      { class: 'lead' },
      'A text or a task goes through a model token by token. Each gate decides what is written and what stays; each matrix memory is what a head remembers. Every number is one that the engine computed.',
    ),
    h('div', { class: 'subject' }, field('What goes through it', choice), ask, task.element),
    note,
    tokens,
    h(
      'div',
      { class: 'transport' },
      play,
      button('Back', () => void moveTo(Math.max(0, token - 1))),
      button('Step', () => void moveTo(Math.min((looked?.tokens.length ?? 1) - 1, token + 1))),
      slider,
    ),
    next,
    strips,
    told,
    panel,
  );
  return {
    element,
    shown: () => void read(),
    hidden: () => {
      stop();
      task.stop();
    },
  };
}

/** Spaces and line breaks as signs that one sees. */
const visible = (text: string): string =>
  text.replaceAll(' ', '·').replaceAll('\n', '↵').replaceAll('\t', '→');

const transposed = (values: Float64Array, heads: number): number[] => {
  const tokens = values.length / heads;
  return Array.from(
    { length: values.length },
    (_, i) => values[(i % tokens) * heads + Math.floor(i / tokens)],
  );
};

const largest = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
