import { LineChart, legend } from '../charts/line_chart.ts';
import { button, field, h, numberInput, select } from '../dom.ts';
import { download, dropZone, type GivenFile, type GivenText, readBeginning } from '../files.ts';
import { bytes, decimal, integer } from '../format.ts';
import type { Page, View } from '../page.ts';
import type { Point, RunOptions } from '../worker/run.ts';
import type { Progress, RunFacts } from '../worker/train.ts';
import { blocksStrip, notation } from './blocks_strip.ts';
import { readRunFiles } from './run_files.ts';
import { MOBY_DICK, mobyDick } from './texts.ts';

const MOST_SAMPLES = 5;
const MOST_POINTS = 2000;

/** A text is learnt while one watches. */
export function trainView(page: Page): View {
  const { client } = page;
  let facts: RunFacts | undefined;
  let text: GivenText | undefined;
  let running = false;
  let pace = 0;
  let learningRate = 3e-3;
  let losses: Point[] = [];
  let heldOut: Point[] = [];
  const options = { blocks: 'ms', dim: 64, heads: 4, length: 64, batchSize: 8 };

  const chart = new LineChart('The loss, step by step', 280);
  const figures = h('dl', { class: 'figures' });
  const samples = h('ol', {
    class: 'samples',
    reversed: true,
    'aria-label': 'What the model writes, the latest first',
  });
  const source = h('p', { class: 'hint' });
  const status = h('p', { class: 'status', 'aria-live': 'polite' });
  const main = button('Train', () => (running ? pause() : void go()), { class: 'primary' });
  const keep = button('Keep in this browser', () => void keepRun());
  const save = button('Save to a file', () => void saveFile());
  const fresh = button('Begin anew', () => void begin());
  const rate = numberInput(learningRate, { min: 1e-6, max: 1, step: 'any' }, (value) => {
    learningRate = value;
    if (facts) void page.attempt(() => client.ask('setLearningRate', value));
  });

  function take(next: RunFacts | undefined): void {
    facts = next;
    if (next) {
      losses = [...next.losses];
      heldOut = [...next.heldOut];
      learningRate = next.learningRate;
      rate.value = `${learningRate}`;
      source.textContent = saidOf(next);
    }
    draw(0);
  }

  function takeText(given: GivenText, from: string): void {
    text = given;
    source.textContent = from;
    if (facts && facts.used === undefined)
      void page.attemptLong('The text is read', async () => take(await client.ask('giveText', given)));
    else forget();
  }

  /** Another text or another model: the next run begins anew. */
  function forget(): void {
    pause();
    facts = undefined;
    losses = [];
    heldOut = [];
    samples.replaceChildren();
    draw(0);
  }

  async function begin(): Promise<boolean> {
    const made = await page.attemptLong('The text is read and the model is made', async () => {
      text ??= await mobyDick();
      return client.ask('beginRun', { text, options: { ...options } satisfies RunOptions, learningRate });
    });
    if (!made) return false;
    samples.replaceChildren();
    take(made);
    return true;
  }

  async function go(): Promise<void> {
    if (!facts && !(await begin())) return;
    if (facts?.used === undefined) {
      page.tell({
        message: 'There is no text to learn yet.',
        hint: 'Choose one: what was opened came without.',
      });
      return;
    }
    if (
      (await page.attempt(async () => {
        await client.ask('go', learningRate);
        return true;
      })) === true
    )
      setRunning(true);
  }

  function pause(): void {
    if (running) void page.attempt(() => client.ask('pause', undefined));
  }

  function setRunning(now: boolean): void {
    running = now;
    main.textContent = now ? 'Pause' : facts && facts.steps > 0 ? 'Go on' : 'Train';
    for (const other of [keep, save]) other.disabled = facts === undefined;
  }

  async function keepRun(): Promise<void> {
    const size = await page.attemptLong('The run is kept', () => client.ask('keepRun', undefined));
    if (size !== undefined)
      status.textContent = `Kept in this browser, ${bytes(size)}. It is here when you come back.`;
  }

  async function saveFile(): Promise<void> {
    const file = await page.attemptLong('The file is made', () => client.ask('runFile', undefined));
    if (!file) return;
    download('xlstm-run.zip', file);
    status.textContent = `${bytes(file.length)}: unpacked it is a run like those of the command line. This page opens it too.`;
  }

  async function open(files: readonly GivenFile[]): Promise<void> {
    const opened = await page.attempt(async () =>
      withText(await client.ask('openRun', await readRunFiles(files))),
    );
    if (!opened) return;
    samples.replaceChildren();
    take(opened);
    const at = opened.steps > 0 ? `, at step ${integer(opened.steps)}` : '';
    status.textContent = `Opened: ${notation(opened.blocks)} with ${integer(opened.parameters)} parameters${at}.`;
  }

  /** A run on a text that comes with the page gets it. */
  async function withText(opened: RunFacts): Promise<RunFacts> {
    if (opened.used !== undefined || opened.learnt?.data || opened.learnt?.corpus !== MOBY_DICK.corpus)
      return opened;
    return client.ask('giveText', await mobyDick());
  }

  function saidOf({ used, learnt }: RunFacts): string {
    if (used !== undefined) return used;
    if (!learnt) return 'A model alone. To train it on, choose a text.';
    return `To train on, choose its text: ${(learnt.data ?? [learnt.corpus]).join(', ')}`;
  }

  function draw(tokensPerSecond: number): void {
    const x = (points: readonly Point[]): number[] => points.map(({ step }) => step);
    const y = (points: readonly Point[]): number[] => points.map(({ loss }) => loss);
    const smooth = smoothed(y(losses));
    chart.show({
      lines: [
        { name: 'each step', look: 'faint', x: x(losses), y: y(losses) },
        { name: 'smoothed', look: 'ink', x: x(losses), y: smooth },
        { name: 'held out', look: 'blue', x: x(heldOut), y: y(heldOut) },
      ],
      xLabel: integer,
      hover: (step) => {
        const at = losses.findIndex((point) => point.step >= step);
        return at < 0
          ? ''
          : `step ${integer(losses[at].step)} · loss ${decimal(losses[at].loss)} nats, smoothed ${decimal(smooth[at])}`;
      },
    });
    const last = heldOut.at(-1);
    const rows: [string, string][] = [
      ['step', integer(losses.at(-1)?.step ?? facts?.steps ?? 0)],
      ['loss, nats a token', losses.length > 0 ? decimal(smooth.at(-1) as number) : '–'],
      ['held out', last ? decimal(last.loss) : '–'],
      ['tokens a second', tokensPerSecond > 0 ? integer(tokensPerSecond) : '–'],
      ['parameters', facts ? integer(facts.parameters) : '–'],
      ['state', facts ? bytes(facts.stateBytes) : '–'],
    ];
    figures.replaceChildren(
      ...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
    );
    setRunning(running);
  }

  client.on('progress', (data) => {
    const progress = data as Progress;
    losses = [...losses, ...progress.losses];
    // A long run is drawn as fast as a short one.
    if (losses.length > MOST_POINTS) losses = losses.filter((_, i) => i % 2 === 1);
    heldOut = [...heldOut, ...progress.heldOut];
    if (facts) facts = { ...facts, steps: progress.steps };
    if (progress.losses.length > 0 || progress.heldOut.length > 0) draw(progress.tokensPerSecond || pace);
    pace = progress.tokensPerSecond || pace;
  });
  client.on('sample', (data) => {
    const { step, text: written } = data as { step: number; text: string };
    samples.prepend(
      h('li', {}, h('span', { class: 'label' }, `after step ${integer(step)}`), h('pre', {}, written)),
    );
    while (samples.children.length > MOST_SAMPLES) samples.lastElementChild?.remove();
  });
  client.on('kept', (data) => {
    status.textContent = `Kept in this browser at step ${integer((data as { step: number }).step)}.`;
  });
  client.on('trouble', (data) => page.tell(data as { message: string; hint?: string }));
  client.on('paused', () => setRunning(false));
  document.addEventListener('visibilitychange', () => {
    if (document.hidden && running) void client.ask('keepSoon', undefined);
  });
  page.whenLost(() => {
    setRunning(false);
    forget();
  });

  const takeUp = button(
    'Take up the kept run',
    () =>
      void page.attemptLong('The run is read', async () => {
        const kept = await client.ask('takeUpRun', undefined);
        if (!kept)
          throw Object.assign(new Error('This browser has kept no run.'), {
            hint: 'Train one: it is kept as it goes on.',
          });
        const found = await withText(kept);
        samples.replaceChildren();
        take(found);
        status.textContent = `Taken up at step ${integer(found.steps)}.`;
      }),
  );

  const chooseSize = (value: string): void => {
    options.dim = Number(value);
    forget();
  };
  const element = h(
    'section',
    { 'aria-labelledby': 'train-title' },
    h('h1', { id: 'train-title' }, 'Train'),
    h(
      'p',
      { class: 'lead' },
      'A small xLSTM begins with random numbers and learns to write like a text of yours, here in the browser. Nothing leaves this page.',
    ),
    h(
      'div',
      { class: 'split' },
      h(
        'div',
        { class: 'side' },
        h(
          'div',
          { class: 'field' },
          h('span', { class: 'label' }, 'Blocks'),
          blocksStrip(options.blocks, (blocks) => {
            options.blocks = blocks;
            forget();
          }),
        ),
        field(
          'Width',
          select(
            [32, 64, 96, 128, 192].map((n) => ({ value: `${n}`, text: `${n}` })),
            '64',
            chooseSize,
          ),
        ),
        field('Learning rate', rate),
        dropZone({
          what: 'a text',
          accept: '.txt,.md,.csv,.json,.html,text/*',
          files: ([given]) =>
            void page.attempt(async () =>
              takeText(await readBeginning(given.file), `${given.file.name}, ${bytes(given.file.size)}`),
            ),
          pasted: (pasted) =>
            takeText(
              { name: 'the pasted text', text: pasted },
              `The pasted text, ${integer(pasted.length)} characters`,
            ),
        }),
        source,
        h(
          'details',
          {},
          h('summary', {}, 'Open a run or a model'),
          h(
            'div',
            { class: 'controls' },
            dropZone({
              what: 'a run, or the files of a model',
              accept: '.zip,.json,.jsonl,.safetensors,.txt,.bin,.pt,.pth,.ckpt',
              multiple: true,
              files: (files) => void open(files),
            }),
            takeUp,
          ),
        ),
      ),
      h(
        'div',
        { class: 'stage' },
        chart.element,
        legend([
          { name: 'loss of each step', look: 'faint' },
          { name: 'smoothed', look: 'ink' },
          { name: 'held-out text', look: 'blue' },
        ]),
        h('div', { class: 'transport' }, main, fresh, keep, save),
        status,
        figures,
        h('h2', {}, 'What it writes'),
        samples,
      ),
    ),
  );
  source.textContent = `${MOBY_DICK.title} (${MOBY_DICK.source}), unless you choose another.`;
  draw(0);
  return {
    element,
    shown: () => void page.attempt(async () => take(await client.ask('currentRun', undefined))),
    hidden: pause,
  };
}

/** A mean of the last steps, of later ones more. */
function smoothed(losses: readonly number[]): number[] {
  let mean = losses[0];
  let weight = 0;
  return losses.map((loss) => {
    weight = Math.min(weight + 1, 12);
    mean += (loss - mean) / weight;
    return mean;
  });
}
