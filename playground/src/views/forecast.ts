import { LineChart, legend } from '../charts/line_chart.ts';
import { button, field, h, numberInput, on, select } from '../dom.ts';
import { dropZone, type GivenText, readTextFile } from '../files.ts';
import { bytes, decimal, integer } from '../format.ts';
import { inTurn, type Page, type View } from '../page.ts';
import type { ForecastShown, SeriesFacts, TableFacts } from '../worker/forecast.ts';
import { SERIES } from './samples.ts';

const MOST_HORIZON = 512;
/** Values between the beginning of a series and the first forecast that is asked for. */
const LEAST_READ = 3;
const PLAY_EVERY = 120;

const LOOKS = [
  { name: 'observed', look: 'ink' },
  { name: 'what came', look: 'later' },
  { name: 'median', look: 'blue' },
  { name: '25–75 %', look: 'blue inner' },
  { name: '10–90 %', look: 'blue outer' },
] as const;

/** A series of a table, forecast by the tiny forecaster while its points arrive. */
export function forecastView(page: Page): View {
  let facts: TableFacts | undefined;
  let all: readonly SeriesFacts[] = [];
  const chosen = { target: '', id: undefined as string | undefined, series: 0 };
  let horizon = 28;
  let upTo = 0;
  let streamed = false;
  let playing: number | undefined;
  let anomalies: { x: number; y: number }[] = [];
  let asked = 0;
  /** What was chosen last counts, also where what was chosen before comes later. */
  let opening = 0;
  /** Opens the table again, where the worker is gone that had read it. */
  let opened = (): Promise<void> => openSample(SERIES[0].name);
  const turn = inTurn();

  const chart = new LineChart('The series, and the forecast of what comes after it');
  const controls = h('div', { class: 'controls' });
  const source = h('p', { class: 'hint' });
  const said = h('p', { class: 'status', 'aria-live': 'polite' });
  const numbers = h('tbody');
  const now = on(h('input', { type: 'range', 'aria-label': 'The present, a step of the series' }), {
    input: () => moveTo(now.valueAsNumber),
  });
  const play = button('Play', () => (playing === undefined ? start() : stop()), { class: 'primary' });
  const step = button('One point', () => arrive());

  const series = (): SeriesFacts | undefined => all[chosen.series];

  async function open(file: GivenText, from = '', mine = ++opening): Promise<void> {
    stop();
    opened = () => open(file, from);
    const work = async (): Promise<void> => {
      if (mine !== opening) return;
      const read = await page.client.ask('openTable', file);
      if (mine !== opening) return;
      if (read.numeric.length === 0) {
        throw Object.assign(
          new Error(`${file.name}: expected a column of numbers to forecast, found none.`),
          {
            hint: `Its columns: ${read.columns.join(', ')}. Each value of a column has to be a number, or empty.`,
          },
        );
      }
      facts = read;
      Object.assign(chosen, { target: read.numeric[0], id: read.id, series: 0 });
      source.textContent = from;
      await takeColumns();
    };
    await page.attemptLong('The table is read', () => turn(work));
  }

  async function takeColumns(): Promise<void> {
    stop();
    all = await page.client.ask('openSeries', { target: chosen.target, id: chosen.id });
    chosen.series = Math.min(chosen.series, all.length - 1);
    drawControls();
    await beginSeries();
  }

  async function beginSeries(): Promise<void> {
    const length = series()?.length ?? 0;
    anomalies = [];
    now.min = `${Math.min(LEAST_READ, length)}`;
    now.max = `${length}`;
    await moveTo(Math.max(LEAST_READ, length - Math.min(2 * horizon, Math.floor(length / 3))));
  }

  async function moveTo(place: number): Promise<void> {
    upTo = place;
    now.value = `${place}`;
    const mine = ++asked;
    const question = { series: chosen.series, upTo, horizon, history: Math.max(120, 3 * horizon), streamed };
    const shown = await page.attempt(() => page.client.ask('forecastAt', question));
    if (shown && mine === asked) draw(shown);
  }

  async function arrive(): Promise<void> {
    if (upTo >= (series()?.length ?? 0)) return stop();
    await moveTo(upTo + 1);
  }

  function start(): void {
    if (!series()) return;
    if (upTo >= (series()?.length ?? 0)) void beginSeries();
    play.textContent = 'Pause';
    const tick = async (): Promise<void> => {
      await arrive();
      if (playing !== undefined) playing = window.setTimeout(tick, PLAY_EVERY);
    };
    playing = window.setTimeout(tick, 0);
  }

  function stop(): void {
    window.clearTimeout(playing);
    playing = undefined;
    play.textContent = 'Play';
  }

  function draw(shown: ForecastShown): void {
    const { from, observed, quantiles, median, times, levels } = shown;
    const steps = Array.from(observed, (_, i) => from + i);
    const place = upTo - from;
    const ahead = steps.slice(place - 1);
    const join = (row: Float64Array): number[] => [observed[place - 1], ...row];
    if (shown.anomaly) anomalies.push({ x: upTo - 1, y: observed[place - 1] });
    const [lowest, low, , high, highest] = quantiles.map(join);
    const timeAt = (x: number): string => times[Math.round(x) - from] ?? '';
    chart.show({
      lines: [
        { name: '10–90 %', look: 'blue outer', x: ahead, y: lowest, upTo: highest },
        { name: '25–75 %', look: 'blue inner', x: ahead, y: low, upTo: high },
        { name: 'what came', look: 'later', x: ahead, y: observed.slice(place - 1) },
        { name: 'observed', look: 'ink', x: steps.slice(0, place), y: observed.slice(0, place) },
        { name: 'median', look: 'blue', x: ahead, y: join(median) },
      ],
      xLabel: timeAt,
      mark: { x: upTo - 1, text: 'now' },
      rings: anomalies.filter(({ x }) => x >= from),
      hover: (x) => reading(shown, x),
    });
    numbers.replaceChildren(
      ...Array.from(median, (value, i) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, times[place + i]),
          ...[0, levels.indexOf(0.5), levels.length - 1].map((q) =>
            h('td', {}, decimal(q === levels.indexOf(0.5) ? value : quantiles[q][i])),
          ),
        ),
      ),
    );
    const cost = `${shown.milliseconds.toFixed(shown.milliseconds < 10 ? 2 : 0)} ms`;
    const state = shown.stateBytes === undefined ? '' : `, from a state of ${bytes(shown.stateBytes)}`;
    said.replaceChildren(
      `${integer(upTo)} of ${integer(series()?.length ?? 0)} points have come. This forecast took ${cost}${state}.`,
      ...shown.warnings.map((warning) => ` ${warning}`),
      shown.anomaly ? ' The last point is far from what was forecast of it.' : '',
    );
  }

  function reading({ from, observed, quantiles, times, levels }: ForecastShown, x: number): string {
    const i = x - from;
    const at = x - upTo;
    const value = Number.isNaN(observed[i]) ? '' : ` · ${chosen.target} ${decimal(observed[i])}`;
    if (at < 0) return `${times[i]}${value}`;
    const parts = levels.map((level, q) => `${level * 100} %: ${decimal(quantiles[q][at])}`);
    return `${times[i]}${value} · ${parts.join(', ')}`;
  }

  function drawControls(): void {
    if (!facts) return;
    const names = (list: readonly string[]): { value: string; text: string }[] =>
      list.map((name) => ({ value: name, text: name }));
    const again = (): void => void page.attempt(() => turn(takeColumns));
    const fields = [
      field(
        'Column',
        select(names(facts.numeric), chosen.target, (value) => {
          chosen.target = value;
          again();
        }),
      ),
    ];
    const texts = facts.columns.filter((name) => !facts?.numeric.includes(name));
    if (texts.length > 0) {
      fields.push(
        field(
          'Series by',
          select([{ value: '', text: 'one series' }, ...names(texts)], chosen.id ?? '', (value) => {
            chosen.id = value === '' ? undefined : value;
            again();
          }),
        ),
      );
    }
    if (all.length > 1) {
      fields.push(
        field(
          'Series',
          select(
            all.map(({ id }, i) => ({ value: `${i}`, text: id })),
            `${chosen.series}`,
            (value) => {
              chosen.series = Number(value);
              void beginSeries();
            },
          ),
        ),
      );
    }
    fields.push(
      field(
        'Horizon, steps',
        numberInput(horizon, { min: 1, max: MOST_HORIZON, step: 1 }, (value) => {
          horizon = value;
          void moveTo(upTo);
        }),
      ),
      field(
        'After each point',
        select(
          [
            { value: 'whole', text: 'forecast from all points' },
            { value: 'stream', text: 'go on with a stream' },
          ],
          streamed ? 'stream' : 'whole',
          (value) => {
            streamed = value === 'stream';
            anomalies = [];
            void moveTo(upTo);
          },
        ),
      ),
    );
    controls.replaceChildren(...fields);
  }

  const sample = select(
    SERIES.map(({ name, title }) => ({ value: name, text: title })),
    SERIES[0].name,
    (name) => void openSample(name),
  );
  async function openSample(name: string): Promise<void> {
    const found = SERIES.find((one) => one.name === name);
    if (!found) return;
    const mine = ++opening;
    const file = await page.attempt(async () => ({ name, text: await (await fetch(found.address)).text() }));
    if (file) await open(file, `${found.title}. ${found.source}.`, mine);
  }

  page.whenLost(() => {
    stop();
    facts = undefined;
  });

  const element = h(
    'section',
    { 'aria-labelledby': 'forecast-title' },
    h('h1', { id: 'forecast-title' }, 'Forecast'),
    h(
      'p',
      { class: 'lead' },
      'A small recurrent network that has seen only made-up series reads yours, and says what comes next and how sure it is. Let the points arrive one by one and watch it change its mind.',
    ),
    h(
      'div',
      { class: 'split' },
      h(
        'div',
        { class: 'side' },
        field('A series', sample),
        source,
        dropZone({
          what: 'a table as CSV',
          accept: '.csv,.tsv,.txt,.jsonl,.ndjson',
          files: ([given]) =>
            void page.attempt(async () =>
              open(await readTextFile(given), `${given.file.name}, ${bytes(given.file.size)}`),
            ),
          pasted: (text) => void open({ name: 'the pasted table', text }),
        }),
        controls,
      ),
      h(
        'div',
        { class: 'stage' },
        chart.element,
        legend(LOOKS),
        h('div', { class: 'transport' }, play, step, now),
        said,
        h(
          'details',
          {},
          h('summary', {}, 'The numbers'),
          h(
            'div',
            { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'The forecast in numbers' },
            h(
              'table',
              { id: 'forecast-numbers' },
              h(
                'thead',
                {},
                h(
                  'tr',
                  {},
                  ...['step', '10 %', 'median', '90 %'].map((text) => h('th', { scope: 'col' }, text)),
                ),
              ),
              numbers,
            ),
          ),
        ),
      ),
    ),
  );
  return {
    element,
    shown: () => {
      if (!facts) void opened();
    },
    hidden: stop,
  };
}
