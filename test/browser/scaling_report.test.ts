import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUICK_STUDY, studySettings } from '../../src/lab/scaling/options.ts';
import { writeStudyReport } from '../../src/lab/scaling/report/report.ts';
import { aStudyRecord } from '../../src/lab/scaling/testing/records.ts';
import { hasChromium, launchChromium } from './chromium.ts';

const TIMEOUT = 60_000;

if (!hasChromium) console.warn('the browser test did not run: its Chromium is for Linux on x64');

const records = ['xlstm[1:0]', 'transformer'].flatMap((model, m) =>
  [30_000, 60_000, 100_000].flatMap((size) =>
    [10, 20].map((tokensPerParameter) => {
      const tokens = size * tokensPerParameter;
      const token = 3 + m / 10 + 40 * size ** -0.3 + 60 * tokens ** -0.3;
      const cost = { flops: size * tokens, seconds: tokens / 1e5, cpuSeconds: tokens / 1e5 };
      const loss = { token, byte: token / 3 };
      const recall = [16, 1024].map((distance) => ({ distance, planted: 5 - m, control: 6 }));
      return aStudyRecord({
        model,
        size,
        parameters: size,
        tokensPerParameter,
        tokens,
        ...cost,
        loss,
        recall,
      });
    }),
  ),
);

describe.runIf(hasChromium)('the report of a scaling study in a browser', () => {
  let browser: Browser;
  let folder: string;
  let address: string;
  beforeAll(async () => {
    browser = await launchChromium();
    folder = await mkdtemp(join(tmpdir(), 'xlstm-scaling-'));
    const settings = studySettings({ quick: true });
    await writeStudyReport(folder, {
      ...{ records, notRun: [] },
      facts: {
        ...{ name: 'A text', vocabSize: 1024, tokens: 3e6, bytes: 9e6, digest: '0123' },
        ...{ heldOutTokens: 3e5, heldOutBytes: 9e5 },
      },
      settings: { ...QUICK_STUDY, engine: 'native', study: 'scaling', digest: '0123', settings },
    });
    address = pathToFileURL(join(folder, 'report.html')).href;
  }, TIMEOUT);
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['a wide light screen', 1280, 'light'],
    ['a dark phone', 360, 'dark'],
  ] as const)(
    'fits %s, asks for nothing, and opens the data of a chart with a click',
    async (_, width, colorScheme) => {
      const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
      try {
        const page = await context.newPage();
        const requests: string[] = [];
        page.on('request', (request) => requests.push(request.url()));
        page.on('console', (message) => requests.push(message.text()));
        await page.goto(address);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(overflow, 'pixels beside the page').toBeLessThanOrEqual(0);
        const charts = await page.locator('figure').count();
        expect(charts).toBeGreaterThan(4);
        expect(await page.locator('figure details').count()).toBe(charts);
        const numbers = page.locator('figure pre').first();
        expect(await numbers.isVisible()).toBe(false);
        await page.locator('figure summary').first().click();
        expect(await numbers.isVisible()).toBe(true);
        expect(await numbers.textContent()).toMatch(/^"model",.*\n"xLSTM\[1:0\]",30000,/);
        await page.emulateMedia({ media: 'print' });
        expect(await numbers.isVisible()).toBe(false);
        expect(requests).toEqual([address]);
      } finally {
        await context.close();
      }
    },
    TIMEOUT,
  );
});
