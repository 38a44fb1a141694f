import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as xlstm from '../../src/index.ts';
import { hasChromium, launchChromium } from './chromium.ts';
import { type Site, serve } from './server.ts';
import { type Outcome, trainAndWrite } from './workload.ts';

const TIMEOUT = 300_000;
const STEPS = 4;

if (!hasChromium) console.warn('the test of webgpu did not run: its Chromium is for Linux on x64');

describe.runIf(hasChromium)('webgpu engine in a browser', { timeout: TIMEOUT }, () => {
  let browser: Browser;
  let site: Site;
  let page: Page;

  beforeAll(async () => {
    browser = await launchChromium({ gpu: true });
    site = await serve({ isolated: false });
    page = await browser.newPage();
    page.setDefaultTimeout(TIMEOUT);
    await page.goto(`${site.address}/page.html`);
  }, TIMEOUT);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  it('trains a model of both kinds of block as the CPU does, and writes with it', async () => {
    const inNode = await trainAndWrite(xlstm, { engine: 'wasm', threads: 1, steps: STEPS });
    const options = JSON.stringify({ engine: 'webgpu', steps: STEPS });
    const outcome = (await page.evaluate(`(async () => {
      const [xlstm, { trainAndWrite }] = await Promise.all([import('/dist/index.js'), import('/test/browser/workload.ts')]);
      return trainAndWrite(xlstm, ${options});
    })()`)) as Outcome;
    expect(outcome.engine).toContain('webgpu');
    const apart = outcome.losses.map((loss, step) => Math.abs(loss - inNode.losses[step]));
    expect(apart).toHaveLength(STEPS);
    expect(Math.max(...apart)).toBeLessThan(1e-3);
    expect(outcome.losses.at(-1)).toBeLessThan(outcome.losses[0] - 1);
    expect(outcome.text).toHaveLength(16);
  });
});
