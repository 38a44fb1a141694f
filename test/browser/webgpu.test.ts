import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as xlstm from '../../src/index.ts';
import { hasChromium } from './chromium.ts';
import { type HideablePage, openHideablePage } from './hideable_page.ts';
import { type Site, serve } from './server.ts';
import { type Outcome, trainAndWrite } from './workload.ts';

const TIMEOUT = 300_000;
const STEPS = 4;

if (!hasChromium) console.warn('the test of webgpu did not run: its Chromium is for Linux on x64');

describe.runIf(hasChromium)('webgpu engine in a browser', { timeout: TIMEOUT }, () => {
  let tab: HideablePage;
  let site: Site;

  beforeAll(async () => {
    tab = await openHideablePage({ gpu: true });
    site = await serve({ isolated: false });
    tab.page.setDefaultTimeout(TIMEOUT);
    await tab.page.goto(`${site.address}/page.html`);
  }, TIMEOUT);
  afterAll(async () => {
    await tab?.close();
    await site?.close();
  });

  it('trains a model of both kinds of block as the CPU does, and writes with it, in a tab in the background', async () => {
    const inNode = await trainAndWrite(xlstm, { engine: 'wasm', threads: 1, steps: STEPS });
    const options = JSON.stringify({ engine: 'webgpu', steps: STEPS });
    await tab.hide();
    const outcome = (await tab.page.evaluate(`(async () => {
      const [xlstm, { trainAndWrite }] = await Promise.all([import('/dist/index.js'), import('/test/browser/workload.ts')]);
      return trainAndWrite(xlstm, ${options});
    })()`)) as Outcome;
    expect(await tab.page.evaluate('document.hidden')).toBe(true);
    expect(outcome.engine).toContain('webgpu');
    const apart = outcome.losses.map((loss, step) => Math.abs(loss - inNode.losses[step]));
    expect(apart).toHaveLength(STEPS);
    expect(Math.max(...apart)).toBeLessThan(1e-3);
    expect(outcome.losses.at(-1)).toBeLessThan(outcome.losses[0] - 1);
    expect(outcome.text).toHaveLength(16);
  });
});
