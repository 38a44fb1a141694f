import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CellRecord } from '../../src/lab/arena/records.ts';
import { writeReport } from '../../src/lab/arena/report/report.ts';
import { aRun, mixedRecords, scoreRun } from '../../src/lab/arena/report/testing/records.ts';
import { hasChromium, launchChromium } from './chromium.ts';

const TIMEOUT = 60_000;

if (!hasChromium) console.warn('the browser test did not run: its Chromium is for Linux on x64');

describe.runIf(hasChromium)('arena report in a browser', () => {
  let browser: Browser;
  let folder: string;

  beforeAll(async () => {
    browser = await launchChromium();
    folder = await mkdtemp(join(tmpdir(), 'xlstm-report-'));
  }, TIMEOUT);
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Opens the report of some records and fails on whatever the page asks for or complains of. */
  async function open(
    name: string,
    records: CellRecord[],
    look: (page: Page) => Promise<void>,
    colorScheme: 'light' | 'dark' = 'light',
  ): Promise<void> {
    const out = join(folder, name);
    await writeReport(out, records);
    const address = pathToFileURL(join(out, 'report.html')).href;
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme });
    const page = await context.newPage();
    const requests: string[] = [];
    const complaints: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    try {
      await page.goto(address);
      await look(page);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(overflow, 'pixels beside the page').toBeLessThanOrEqual(0);
      expect(complaints).toEqual([]);
      expect(requests).toEqual([address]);
    } finally {
      await context.close();
    }
  }

  it.each(['light', 'dark'] as const)(
    'shows data in every chart on a %s screen',
    (scheme) =>
      open(
        scheme,
        mixedRecords(),
        async (page) => {
          const charts = await page.$$eval('svg.chart', (found) =>
            found.map((chart) => ({
              label: chart.getAttribute('aria-label') ?? '',
              lines: chart.querySelectorAll('path.line').length,
              marks: chart.querySelectorAll('[data-tip]').length,
              names: chart.querySelectorAll('.name').length,
            })),
          );
          expect(charts.map(({ label }) => label.split(':')[0])).toEqual([
            'Accuracy against length, Cycle navigation',
            'Accuracy against length, Parity',
            'Accuracy against length, Permutations S3',
            'Accuracy against length, Associative recall, 4 pairs',
            'Training loss against tokens, Text, sotu, bytes',
            'Training loss against time, Text, sotu, bytes',
            'Loss against length of evaluation, Text, sotu, bytes',
            'Training, Cost against length',
            'Decoding, Cost against length',
            'Memory of a state while decoding, Cost against length',
            'Memory of training, per sequence, Cost against length',
          ]);
          for (const { label, lines, marks, names } of charts) {
            // A task that is tested at one length has points and no lines.
            if (!label.includes('recall')) expect(lines, label).toBeGreaterThanOrEqual(5);
            expect(marks, label).toBeGreaterThanOrEqual(6);
            expect(names, label).toBeGreaterThanOrEqual(5);
          }
          expect(charts.map(({ names }) => names)).toEqual([6, 7, 5, 6, 7, 7, 6, 7, 7, 7, 7]);
          expect(await cutOff(page)).toEqual([]);
          for (const chart of await page.$$('svg.chart')) {
            const colors = await chart.$$eval('.marker, .line', (marks) => [
              ...new Set(marks.map((mark) => getComputedStyle(mark).getPropertyValue('--hue').trim())),
            ]);
            const found = await paintedPixels(await chart.screenshot(), colors);
            expect(Math.max(...found), (await chart.getAttribute('aria-label')) ?? '').toBeGreaterThan(30);
          }
        },
        scheme,
      ),
    TIMEOUT,
  );

  it(
    'marks every cell of the heat map',
    () =>
      open('heat', mixedRecords(), async (page) => {
        const cells = await page.$$eval('svg.heat .cell', (found) =>
          found.map((cell) => ({
            kind: cell.classList[1],
            text: cell.textContent,
            tip: (cell as HTMLElement).dataset.tip ?? '',
            flag: cell.querySelector('.flag') !== null,
          })),
        );
        expect(cells).toHaveLength(10 * 5);
        const lost = cells.filter(({ kind }) => kind === 'lost');
        expect(lost.map(({ text }) => text)).toEqual(['div.', 'fail', 'n/a']);
        expect(lost[0].tip).toContain('0 of 1 run finished, 1 diverged');
        expect(lost[0].tip).toContain('diverged at step 312: the loss was NaN');
        expect(lost[1].tip).toContain('out of memory: asked for 9.1 GB');
        expect(cells.filter(({ kind }) => kind === 'missing')).toHaveLength(23);
        const flagged = cells.filter(({ flag }) => flag);
        expect(flagged).toHaveLength(1);
        expect(flagged[0].tip).toContain('3 of 4 runs finished, 1 diverged');
        const lstm = cells.find(({ tip }) => tip.startsWith('LSTM, Parity'));
        expect(lstm).toMatchObject({ kind: 's10', text: '1.00' });
        expect(lstm?.tip).toContain('best 1.000, mean 0.870, least 0.610');
      }),
    TIMEOUT,
  );

  it(
    'tells what a mark is beside the pointer',
    () =>
      open('tips', mixedRecords(), async (page) => {
        const tip = page.locator('#tip');
        expect(await tip.isVisible()).toBe(false);
        await page.locator('svg.heat .cell.s10').first().hover();
        expect(await tip.textContent()).toContain('xLSTM[0:1], Parity\nbest 1.000');
        await page.locator('h1').hover();
        expect(await tip.isVisible()).toBe(false);
      }),
    TIMEOUT,
  );

  it(
    'says where linear meets quadratic, what was lost and what was not reproduced',
    () =>
      open('words', mixedRecords(), async (page) => {
        const body = await page.locator('body').textContent();
        expect(body).toContain(
          'xLSTM[1:0] is cheaper than the Transformer in training from about 1,800 tokens on; in decoding from about 440 tokens on.',
        );
        expect(body).toContain('Did not finish: minLSTM seed 1 failed: no decoding <step>.');
        expect(body).toContain('Not reproduced: xLSTM[1:0] on Cycle navigation; Mamba on Cycle navigation.');
        const markdown = await readFile(join(folder, 'words', 'report.md'), 'utf8');
        const headings = (text: string): string[] =>
          text.split('\n').filter((line) => line.startsWith('## '));
        expect(headings(markdown).map((line) => line.slice(3))).toEqual(
          await page.locator('h2').allTextContents(),
        );
        expect(markdown).toContain('from about 1,800 tokens on');
        expect(markdown).toContain('| Transformer | 1 | 200,000 | 3.28M | 1m 42s | 32,000 | 1.480 |');
      }),
    TIMEOUT,
  );

  it(
    'shows a single record',
    () =>
      open('single', [scoreRun('parity', 'lstm', 1, 1)], async (page) => {
        expect(await page.locator('svg.heat .cell').count()).toBe(1);
        expect(await page.locator('svg.chart path.line').count()).toBe(1);
        // A marker for each range of lengths: training, then 40 to 64, and so on to 256.
        expect(await page.locator('svg.chart path.marker').count()).toBe(8);
        expect(await cutOff(page)).toEqual([]);
      }),
    TIMEOUT,
  );

  it(
    'shows a failed run that is all there is',
    () =>
      open(
        'failed',
        [aRun({ task: 'text', model: 'gru', status: 'failed', message: 'no <disk> & no memory' })],
        async (page) => {
          expect(await page.locator('svg').count()).toBe(0);
          expect(await page.locator('body').textContent()).toContain('failed: no <disk> & no memory');
        },
      ),
    TIMEOUT,
  );

  it(
    'says that there is nothing',
    () =>
      open('empty', [], async (page) => {
        expect(await page.locator('body').textContent()).toContain('No run has been recorded yet.');
        expect(await page.locator('section').count()).toBe(0);
        expect(await readFile(join(folder, 'empty', 'report.md'), 'utf8')).toContain(
          'No run has been recorded yet.',
        );
      }),
    TIMEOUT,
  );

  /** Text of drawings that does not lie within them. */
  const cutOff = (page: Page): Promise<(string | null)[]> =>
    page.$$eval('svg', (drawings) =>
      drawings.flatMap((drawing) => {
        const frame = drawing.getBoundingClientRect();
        return [...drawing.querySelectorAll('text')]
          .filter((text) => {
            const { left, right, top, bottom } = text.getBoundingClientRect();
            return (
              left < frame.left - 1 ||
              right > frame.right + 1 ||
              top < frame.top - 1 ||
              bottom > frame.bottom + 1
            );
          })
          .map((text) => text.textContent);
      }),
    );

  /** How many pixels of a screenshot have each of the colours. */
  async function paintedPixels(screenshot: Buffer, colors: string[]): Promise<number[]> {
    const page = await browser.newPage();
    try {
      return await page.evaluate(
        async ([address, ...wanted]) => {
          const image = new Image();
          image.src = address;
          await image.decode();
          const canvas = new OffscreenCanvas(image.width, image.height);
          const context = canvas.getContext('2d')!;
          context.drawImage(image, 0, 0);
          const { data } = context.getImageData(0, 0, image.width, image.height);
          return wanted.map((color) => {
            const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
            let count = 0;
            for (let at = 0; at < data.length; at += 4) {
              if (data[at] === r && data[at + 1] === g && data[at + 2] === b) count++;
            }
            return count;
          });
        },
        [`data:image/png;base64,${screenshot.toString('base64')}`, ...colors],
      );
    } finally {
      await page.close();
    }
  }
});
