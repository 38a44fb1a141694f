import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium } from '../browser/chromium.ts';
import { figure, number, trainFor } from './actions.ts';
import { type Playground, serve, startPlayground } from './site.ts';

/** A small telephone. */
const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

describe.runIf(hasChromium)('the page on a telephone', () => {
  let playground: Playground;
  beforeAll(async () => {
    playground = await startPlayground();
  }, 180_000);
  afterAll(() => playground?.close());

  it('works when its server is gone, with threads that the server did not allow', async () => {
    const server = await serve(playground.folder);
    const { page, complaints, close } = await playground.open('train', { at: server.address, ...phone });
    try {
      await page.getByText(/Computing here.*no headers for shared memory/).waitFor();
      await page.getByText(/Works without a network/).waitFor();
      await server.close();
      await page.reload();
      await page.getByText(/Computing here/).waitFor();
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
      await page.getByLabel('Width').selectOption('32');
      await page.getByRole('button', { name: 'Train', exact: true }).tap();
      await trainFor(page, 10);
      expect(number(await figure(page, 'held out'))).toBeLessThan(5);

      await page.getByRole('link', { name: 'Look inside' }).tap();
      await page.getByText(/Likeliest next/).waitFor();
      await page.getByLabel(/^memory C/).tap();
      expect(await page.locator('.cell .reading').textContent()).toContain('matrix memory C = F · C before');
      await page.getByRole('link', { name: 'Forecast' }).tap();
      await page.getByText(/points have come/).waitFor();
      await page.getByRole('link', { name: 'The question' }).tap();
      await page.getByRole('link', { name: /report of the library’s arena/ }).tap();
      await page.getByRole('heading', { name: /arena/i }).first().waitFor();
      expect(complaints.filter((text) => !text.includes('service_worker.js'))).toEqual([]);
    } finally {
      await close();
      await server.close();
    }
  });

  it('is newer than what was kept, where its server is there', async () => {
    const server = await serve(playground.folder);
    const { page, close } = await playground.open('train', { at: server.address, ...phone });
    try {
      await page.getByText(/Works without a network/).waitFor();
      server.replace('index.html', '<!doctype html><title>newer</title><p>A newer page</p>');
      await page.reload();
      await page.getByText('A newer page').waitFor();
    } finally {
      await close();
      await server.close();
    }
  });
});
