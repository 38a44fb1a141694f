import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decimal } from '../../playground/src/format.ts';
import { parseTable, seriesOfTable } from '../../src/forecasting.ts';
import { loadForecaster } from '../../src/forecasting_node.ts';
import { chooseEngine } from '../../src/index.ts';
import { hasChromium } from '../browser/chromium.ts';
import { type Playground, startPlayground } from './site.ts';

const root = new URL('../../', import.meta.url);
const LEVELS = [0.1, 0.5, 0.9];

if (!hasChromium) console.warn('the page was not tried: the Chromium of the tests is for Linux on x64');

describe.runIf(hasChromium)('the forecast view', () => {
  let playground: Playground;
  beforeAll(async () => {
    playground = await startPlayground();
  }, 180_000);
  afterAll(() => playground?.close());

  it.each([false, true])('shows the numbers of the library, with shared memory: %s', async (isolated) => {
    const text = await readFile(new URL('examples/series/co2.csv', root), 'utf8');
    const { series } = seriesOfTable(await parseTable(text, 'co2.csv'), { target: 'co2' });
    const { engine } = await chooseEngine('wasm', { threads: 1 });
    const { length } = series[0].values;
    const horizon = 20;
    const upTo = 600;
    using forecaster = await loadForecaster(fileURLToPath(new URL('models/forecaster-tiny', root)), {
      engine,
    });
    const { quantiles } = await forecaster.forecast(series[0].values.subarray(0, upTo), {
      horizon,
      levels: LEVELS,
    });

    const { page, complaints, close } = await playground.open('forecast', { isolated });
    try {
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(isolated);
      await page.getByLabel('A series', { exact: true }).selectOption('co2.csv');
      await page.getByText(`of ${length} points`).waitFor();
      await page.getByLabel('Horizon').fill(`${horizon}`);
      await page.getByLabel('Horizon').press('Tab');
      await page.getByLabel('The present').fill(`${upTo}`);
      await page.getByText(`${upTo} of ${length} points`).waitFor();
      await page.getByText('The numbers').click();
      const rows = await page.locator('#forecast-numbers tbody tr').all();
      expect(rows).toHaveLength(horizon);
      for (const [h, row] of rows.entries()) {
        const shown = await row.locator('td').allTextContents();
        expect(shown).toEqual(quantiles.map((level) => decimal(level[h])));
      }
      expect(await page.locator('#engine').textContent()).toContain(isolated ? 'thread' : 'no headers');
      expect(complaints).toEqual([]);
    } finally {
      await close();
      await engine.close();
    }
  });

  it('moves as points arrive, and goes on from the state of a stream', async () => {
    const { page, complaints, close } = await playground.open('forecast');
    try {
      await page.getByText('The numbers').click();
      const median = (): Promise<string | null> =>
        page.locator('#forecast-numbers tbody tr').first().textContent();
      await page.getByText(/points have come/).waitFor();
      const before = await median();
      await page.getByLabel('After each point').selectOption('stream');
      await page.getByText(/from a state of/).waitFor();
      await page.getByRole('button', { name: 'Play' }).click();
      await page.waitForFunction(
        (text) => document.querySelector('#forecast-numbers tbody tr')?.textContent !== text,
        before,
      );
      await page.getByRole('button', { name: 'Pause' }).click();
      expect(await median()).not.toBe(before);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });

  it.each([
    [
      'words where numbers belong',
      'day,load\n2024-01-01,high\n2024-01-02,low\n2024-01-03,high\n',
      'expected a column of numbers to forecast',
    ],
    ['no rows', 'a,b\n', 'expected at least one row'],
    ['two values', 'a\n1\n2\n', 'expected at least 3 values'],
    ['times that do not ascend', 'day,load\n2024-01-03,1\n2024-01-02,2\n2024-01-01,3\n', 'line 3'],
    ['nothing', '', 'found none'],
  ])('says what is wrong with %s', async (_, text, message) => {
    const { page, complaints, close } = await playground.open('forecast');
    try {
      await page.getByText(/points have come/).waitFor();
      await page
        .locator('input[type=file]')
        .setInputFiles({ name: 'mine.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
      const notice = page.getByRole('alert');
      await notice.getByText('mine.csv').waitFor();
      expect(await notice.textContent()).toContain(message);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });
});
