import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lossChart, type PredictedRow, predictionCharts } from '../../src/cli/plots.ts';
import { htmlFile } from '../../src/lab/charts/html_file.ts';
import type { ChartSpec } from '../../src/lab/charts/line_chart.ts';
import { svgFile } from '../../src/lab/charts/svg_file.ts';
import { sequenceConfig } from '../../src/models/sequence/config.ts';
import { prediction } from '../../src/sequences/prediction.ts';
import { hasChromium, launchChromium } from './chromium.ts';

const TIMEOUT = 60_000;

const wave = (row: number): number => 1013 + 7 * Math.sin(row / 9);
const quantiles = [0.05, 0.25, 0.5, 0.75, 0.95];

function forecasts(rows: number, scale = 1): ChartSpec[] {
  const names = ['pressure at the station', 'a column whose name is far longer than any axis has room for'];
  const config = sequenceConfig({ inputs: 1, outputs: 2, outputNames: names, quantiles });
  const predicted = Array.from({ length: rows }, (_, i): PredictedRow => {
    const numbers = quantiles.flatMap((q) => [scale * (wave(i + 1) + 4 * (q - 0.5)), scale * (q - 0.5)]);
    return { row: i + 2, prediction: prediction(config, numbers, 0, numbers.length) };
  });
  return predictionCharts(config, predicted, (output) =>
    Array.from({ length: rows }, (_, i) => ({
      x: i + 1,
      y: i === 20 ? Number.NaN : scale * (output === 0 ? wave(i) : 0),
    })),
  );
}

function labels(count: number): ChartSpec[] {
  const classes = Array.from({ length: count }, (_, c) => `label ${c} & <more>`);
  const config = sequenceConfig({ inputs: 1, classes, outputNames: ['activity'] });
  const predicted = Array.from({ length: 90 }, (_, i): PredictedRow => {
    const numbers = classes.map((_, c) => Math.sin((i + c) / 9));
    return { row: i + 1, prediction: prediction(config, numbers, 0, numbers.length) };
  });
  return predictionCharts(config, predicted, () => []);
}

const epochs = (count: number): ChartSpec =>
  lossChart(
    Array.from({ length: count }, (_, i) => ({
      ...{ epoch: i + 1, epochs: count, learningRate: 1e-3, stepsPerSecond: 1, seconds: i },
      loss: 2 / (i + 1),
      validationLoss: 2.1 / (i + 1) + 0.01,
    })),
  );

if (!hasChromium) console.warn('the browser test did not run: its Chromium is for Linux on x64');

describe.runIf(hasChromium)('plots in a browser', () => {
  let browser: Browser;
  let folder: string;
  beforeAll(async () => {
    browser = await launchChromium();
    folder = await mkdtemp(join(tmpdir(), 'xlstm-plots-'));
  }, TIMEOUT);
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each<[string, () => ChartSpec[]]>([
    ['forecasts with their quantiles', () => [...forecasts(60), epochs(30)]],
    ['a long series', () => forecasts(20_000)],
    ['large numbers', () => forecasts(300, -1e6)],
    ['small numbers', () => forecasts(300, -1e-8)],
    ['three labels', () => [...labels(3), epochs(1)]],
    ['many labels', () => labels(24)],
    ['many epochs', () => [epochs(1234)]],
  ])(
    'are drawn whole, no text upon another: %s',
    async (name, charts) => {
      const svg = svgFile('runs/weather: predictions on new.csv', charts());
      expect(svg).not.toContain('var(');
      expect(svg.length).toBeLessThan(400_000);
      const file = join(folder, `${name}.svg`);
      await writeFile(file, svg);
      const page = await browser.newPage({ viewport: { width: 1000, height: 1400 } });
      try {
        // What is no XML is a page that says so.
        await page.goto(pathToFileURL(file).href);
        expect(await page.evaluate(() => document.documentElement.tagName)).toBe('svg');
        const { outside, collisions, texts, empty } = await page.evaluate(() => {
          const frame = document.documentElement.getBoundingClientRect();
          const written = [...document.querySelectorAll('text')].map((text) => ({
            text: text.textContent ?? '',
            box: text.getBoundingClientRect(),
          }));
          const meet = (a: DOMRect, b: DOMRect): boolean =>
            Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
          return {
            texts: written.map(({ text }) => text),
            outside: written
              .filter(
                ({ box }) =>
                  box.left < 0 || box.top < 0 || box.right > frame.right || box.bottom > frame.bottom,
              )
              .map(({ text }) => text),
            collisions: written.flatMap((a, i) =>
              written.slice(i + 1).flatMap((b) => (meet(a.box, b.box) ? [`${a.text} | ${b.text}`] : [])),
            ),
            empty: [...document.querySelectorAll('path.line, path.band')].filter(
              (path) => path.getBoundingClientRect().width === 0,
            ).length,
          };
        });
        expect(outside).toEqual([]);
        expect(collisions).toEqual([]);
        expect(empty).toBe(0);
        expect(texts.filter((text) => ['row', 'epoch'].includes(text))).toHaveLength(charts().length);
      } finally {
        await page.close();
      }
    },
    TIMEOUT,
  );

  it.each(['light', 'dark'] as const)(
    'are a page by themselves, on a %s screen, whose points say what they are',
    async (colorScheme) => {
      const charts = forecasts(60).map((chart) => ({
        ...chart,
        series: chart.series.map((series) => ({
          ...series,
          points: series.points.map((point) => ({ ...point, tip: `row ${point.x}\n<${point.y}>` })),
        })),
      }));
      const file = join(folder, `${colorScheme}.html`);
      await writeFile(file, htmlFile('load & <price>: forecast', charts));
      const context = await browser.newContext({ viewport: { width: 700, height: 800 }, colorScheme });
      const page = await context.newPage();
      const requests: string[] = [];
      const complaints: string[] = [];
      page.on('request', (request) => requests.push(request.url()));
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      try {
        const address = pathToFileURL(file).href;
        await page.goto(address);
        expect(await page.locator('h1').textContent()).toBe('load & <price>: forecast');
        expect(await page.locator('svg.chart').count()).toBe(2);
        await page.locator('[data-tip]').nth(30).hover({ force: true });
        expect(await page.locator('#tip').textContent()).toMatch(/^row \d+\n<[\d.]+>$/);
        const { ground, overflow } = await page.evaluate(() => ({
          ground: getComputedStyle(document.body).backgroundColor,
          overflow: document.documentElement.scrollWidth - innerWidth,
        }));
        expect(ground).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(22, 24, 28)');
        expect(overflow).toBeLessThanOrEqual(0);
        expect(complaints).toEqual([]);
        expect(requests).toEqual([address]);
        // A drawing has no pointer.
        expect(svgFile('x', charts)).not.toContain('data-tip');
      } finally {
        await context.close();
      }
    },
    TIMEOUT,
  );
});
