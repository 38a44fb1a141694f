import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as xlstm from '../../src/index.ts';
import type { Row } from '../../src/lab/verification/compare.ts';
import { hasChromium, launchChromium } from './chromium.ts';
import { type Site, serve } from './server.ts';
import { type Outcome, trainAndWrite } from './workload.ts';

const TIMEOUT = 300_000;
const STEPS = 4;

if (!hasChromium) console.warn('the test of webgpu did not run: its Chromium is for Linux on x64');

/** The page's own module in one file; what it never calls, reading of files, is left out. */
async function pageModule(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('gpu_page.ts', import.meta.url))],
    ...{ bundle: true, format: 'esm', platform: 'browser', write: false, logLevel: 'error' },
    plugins: [
      {
        name: 'without files',
        setup(build) {
          build.onResolve({ filter: /^node:|(native\/engine|node_host)\.ts$/ }, ({ path }) => ({
            path,
            namespace: 'nothing',
          }));
          build.onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'module.exports = {}' }));
        },
      },
    ],
  });
  return outputFiles[0].contents;
}

describe.runIf(hasChromium)('webgpu engine in a browser', { timeout: TIMEOUT }, () => {
  let browser: Browser;
  let site: Site;
  let page: Page;

  beforeAll(async () => {
    browser = await launchChromium({ gpu: true });
    site = await serve({ isolated: false, files: new Map([['/gpu_page.js', await pageModule()]]) });
    page = await browser.newPage();
    page.setDefaultTimeout(TIMEOUT);
    await page.goto(`${site.address}/page.html`);
  }, TIMEOUT);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  it('passes golden vectors, gradients included', async () => {
    const files = ['slstm_cell', 'lm_slstm'].map((name) => `/test/golden/${name}.safetensors`);
    expect(readdirSync(new URL('../golden/', import.meta.url))).toContain('slstm_cell.safetensors');
    const rows = (await page.evaluate(
      `import('/gpu_page.js').then(({ verifyAddresses }) => verifyAddresses(${JSON.stringify(files)}))`,
    )) as Row[];
    expect(rows).toHaveLength(84 + 32);
    expect(rows.filter(({ passed }) => !passed)).toEqual([]);
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
