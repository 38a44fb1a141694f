import { LineChart, legend } from '../charts/line_chart.ts';
import { button, field, h, select } from '../dom.ts';
import { decimal, integer } from '../format.ts';
import type { Page, View } from '../page.ts';
import type { ContestName } from '../worker/contests.ts';
import type { Costs, RaceFacts, RaceStep } from '../worker/question.ts';
import { mobyDick } from './texts.ts';

const LOOKS = ['blue', 'red', 'green'] as const;
const TASKS: Readonly<Record<ContestName, { readonly title: string; readonly about: string }>> = {
  parity: {
    title: 'Parity',
    about:
      'Bits come; after each one: was there an odd number of ones so far? One bit of state is enough, if one has a state.',
  },
  recall: {
    title: 'Recall',
    about:
      'Sixteen keys at most, each with a value; then the keys again in another order. Which value was it?',
  },
  text: { title: 'A text', about: 'The next letter of Moby-Dick.' },
};

/** The page that `xlstm arena` wrote for docs/arena.md; built with this one, it needs no network. */
const arenaReport = new URL('../../../docs/arena/report.html', import.meta.url).href;

const DRAW_EVERY = 120;
const MEASURE = 'Measure the cost of a token';

/** Three kinds of model learn the same, side by side. */
export function questionView(page: Page): View {
  const { client } = page;
  let task: ContestName = 'parity';
  let facts: RaceFacts | undefined;
  let running = false;
  let measuring = false;
  let drawn = 0;
  let steps: RaceStep[] = [];

  const losses = new LineChart('The loss of each model, step by step', 250);
  const longer = new LineChart('The loss on new sequences of twice the length', 200);
  const costs = new LineChart('Microseconds of a token against the length of the sequence', 220);
  const about = h('p', { class: 'hint' }, TASKS[task].about);
  const rows = h('tbody');
  const names = h('div');
  const go = button('Start', () => void (running ? client.ask('stopRace', undefined) : start()), {
    class: 'primary',
  });
  const measure = button(
    MEASURE,
    () => void (measuring ? client.ask('stopRace', undefined) : measureCosts()),
  );

  async function start(): Promise<void> {
    const begun = await page.attempt(async () => {
      const text = task === 'text' ? (await mobyDick()).text : '';
      return client.ask('beginRace', { task, text });
    });
    if (!begun) return;
    facts = begun;
    steps = [];
    names.replaceChildren(legend(begun.racers.map(({ name }, r) => ({ name, look: LOOKS[r] }))));
    setRunning(true);
    draw();
  }

  async function measureCosts(): Promise<void> {
    measuring = true;
    measure.textContent = 'Stop measuring';
    await page.attempt(async () => drawCosts(await client.ask('measureCosts', undefined)));
    measuring = false;
    measure.textContent = MEASURE;
  }

  function setRunning(now: boolean): void {
    running = now;
    go.textContent = now ? 'Stop' : 'Start';
  }

  function draw(): void {
    if (!facts) return;
    drawn = performance.now();
    const { racers, guessing } = facts;
    const measured = steps.filter((step) => step.longer !== undefined);
    const x = steps.map(({ step }) => step);
    const smooth = racers.map((_, r) => smoothed(steps.map((step) => step.losses[r])));
    const guess = (of: readonly number[]) => ({
      ...{ name: 'guessing', look: 'later', x: [of[0] ?? 0, of.at(-1) ?? 1], y: [guessing, guessing] },
    });
    losses.show({
      lines: [guess(x), ...racers.map(({ name }, r) => ({ name, look: LOOKS[r], x, y: smooth[r] }))],
      xLabel: integer,
      yDomain: [0, guessing],
      hover: (step) => {
        const at = Math.min(steps.length - 1, Math.max(0, step - 1));
        return `step ${integer(step)} · ${racers.map(({ name }, r) => `${name} ${decimal(smooth[r][at])}`).join(', ')} · guessing ${decimal(guessing)}`;
      },
    });
    const at = measured.map(({ step }) => step);
    longer.show({
      lines: [
        guess(at),
        ...racers.map(({ name }, r) => ({
          name,
          look: LOOKS[r],
          x: at,
          y: measured.map((step) => step.longer?.[r] ?? Number.NaN),
        })),
      ],
      xLabel: integer,
      yDomain: [0, guessing],
    });
    rows.replaceChildren(
      ...racers.map(({ name, parameters }, r) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, name),
          h('td', {}, integer(parameters)),
          h('td', {}, decimal(smooth[r].at(-1) ?? Number.NaN)),
          h('td', {}, decimal(measured.at(-1)?.longer?.[r] ?? Number.NaN)),
          h('td', {}, `${decimal(steps.at(-1)?.milliseconds[r] ?? Number.NaN)}`),
        ),
      ),
    );
  }

  function drawCosts(all: readonly Costs[]): void {
    costs.show({
      lines: all.map(({ name, lengths, costs: each }, r) => ({
        name,
        look: LOOKS[r],
        x: lengths.slice(0, each.length),
        y: each,
      })),
      xLabel: integer,
      yDomain: [0, 0],
      logX: true,
      hover: (length) =>
        `${integer(length)} tokens · ${all.map(({ name, lengths, costs: each }) => `${name} ${decimal(each[lengths.indexOf(length)])} µs`).join(', ')}`,
    });
    names.replaceChildren(legend(all.map(({ name }, r) => ({ name, look: LOOKS[r] }))));
  }

  client.on('race', (data) => {
    steps.push(data as RaceStep);
    if (performance.now() - drawn > DRAW_EVERY) draw();
  });
  client.on('raceOver', () => {
    setRunning(false);
    draw();
  });
  client.on('cost', (data) => drawCosts(data as readonly Costs[]));
  page.whenLost(() => setRunning(false));

  const element = h(
    'section',
    { 'aria-labelledby': 'question-title' },
    h('h1', { id: 'question-title' }, 'The question'),
    h(
      'p',
      { class: 'lead' },
      'Why not a Transformer, why not an LSTM? An xLSTM, a Transformer and an LSTM of about the same size learn from the same batches, here and now.',
    ),
    h(
      'div',
      { class: 'split asks-first' },
      h(
        'div',
        { class: 'side' },
        field(
          'What is learnt',
          select(
            Object.entries(TASKS).map(([value, { title }]) => ({ value, text: title })),
            task,
            (value) => {
              task = value as ContestName;
              about.textContent = TASKS[task].about;
              void client.ask('stopRace', undefined);
            },
          ),
        ),
        about,
        h('div', { class: 'transport' }, go),
        measure,
        h(
          'p',
          { class: 'hint' },
          'Minutes in a browser are an anecdote. Many tasks, lengths and seeds, with what xLSTM loses, are in ',
          h('a', { href: arenaReport }, 'the report of the library’s arena'),
          '.',
        ),
      ),
      h(
        'div',
        { class: 'stage' },
        names,
        h('h2', {}, 'While they learn'),
        losses.element,
        h('h2', {}, 'On sequences of twice the length'),
        longer.element,
        h(
          'div',
          { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'The models in numbers' },
          h(
            'table',
            {},
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                ...['model', 'parameters', 'loss', 'twice as long', 'ms a step'].map((text) =>
                  h('th', { scope: 'col' }, text),
                ),
              ),
            ),
            rows,
          ),
        ),
        h('h2', {}, 'What a token costs, in µs, by the length of the sequence'),
        costs.element,
      ),
    ),
  );
  return {
    element,
    hidden: () => {
      if (running || measuring) void client.ask('stopRace', undefined);
    },
  };
}

function smoothed(values: readonly number[]): number[] {
  let mean = values[0];
  let weight = 0;
  return values.map((value) => {
    weight = Math.min(weight + 1, 15);
    mean += (value - mean) / weight;
    return mean;
  });
}
