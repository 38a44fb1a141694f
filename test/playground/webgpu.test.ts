import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium } from '../browser/chromium.ts';
import {
  figure,
  giveText,
  lookInto,
  number,
  referenceReading,
  savedCheckpoint,
  trainFor,
} from './actions.ts';
import { type Playground, startPlayground } from './site.ts';

const READ = 'the';

/** Compiling for a GPU in software takes long on a machine that does other things too. */
const SLOW = 150_000;

/** Puts something before the program of the page's worker. */
const beforeWorker =
  (program: string) =>
  (page: Page): Promise<unknown> =>
    page.route(/\/worker-[^/]*\.js$/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${program};${await response.text()}` });
    });

const asHardware = beforeWorker(
  `Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false })`,
);

/** The device of the engine as \`device\`. */
const keepDevice = beforeWorker(`
const request = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (what) {
  globalThis.device = await request.call(this, what);
  return globalThis.device;
}`);

describe.runIf(hasChromium)('the page with a graphics processor', () => {
  let playground: Playground;
  beforeAll(async () => {
    playground = await startPlayground();
  }, 180_000);
  afterAll(() => playground?.close());

  it('says why it has none, and computes all the same', async () => {
    const { page, close } = await playground.open('train');
    try {
      await page.getByText(/wasm.*No graphics processor: WebGPU finds no graphics processor/).waitFor();
    } finally {
      await close();
    }
  });

  it('leaves one in software alone; on request the run goes there, and back when it is lost', async () => {
    const { page, close } = await playground.open('train', { gpu: true, before: keepDevice });
    try {
      await page
        .getByText(/wasm.*No graphics processor: WebGPU is there, but computed by the proc/)
        .waitFor();
      await giveText(page);
      await page.getByLabel('Width').selectOption('32');
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await trainFor(page, 3);
      const steps = await figure(page, 'step');
      await page.getByLabel('Compute with').selectOption('webgpu');
      await page.getByText(/Computing here.*webgpu, google swiftshader/).waitFor();
      await page.getByRole('button', { name: 'Go on' }).waitFor();
      expect(await figure(page, 'step')).toBe(steps);
      await page.reload();
      await page.getByText(/Computing here.*webgpu, google swiftshader/).waitFor();

      await page.getByText('Open a run or a model').click();
      await page.getByRole('button', { name: 'Take up the kept run' }).click();
      await page.getByText(`Taken up at step ${steps}`).waitFor();
      await page.workers()[0].evaluate('device.destroy()');
      await page.getByRole('button', { name: 'Go on' }).click();
      await page
        .getByRole('alert')
        .getByText(/The engine was lost: .*device was lost/)
        .waitFor();
      await page.getByText(/wasm.*No graphics processor: .*device was lost/).waitFor();
      await page.getByRole('button', { name: 'Take up the kept run' }).click();
      await page.getByText(`Taken up at step ${steps}`).waitFor();
      await page.getByRole('button', { name: 'Go on' }).click();
      await trainFor(page, number(steps) + 3);
    } finally {
      await close();
    }
  });

  it(
    'trains on it where it is no software, and shows what the reference engine computes',
    async () => {
      const { page, complaints, close } = await playground.open('train', { gpu: true, before: asHardware });
      try {
        page.setDefaultTimeout(SLOW);
        await page.getByText(/Computing here.*webgpu, google swiftshader/).waitFor();
        await giveText(page);
        await page.getByLabel('Width').selectOption('32');
        await page.getByLabel('Learning rate').fill('0.02');
        await page.getByRole('button', { name: 'Train', exact: true }).click();
        await trainFor(page, 3);
        expect(number(await figure(page, 'held out'))).toBeLessThan(Math.log(256));
        const files = await savedCheckpoint(page);
        const { input, forget, m } = await referenceReading(files, READ);
        await lookInto(page, READ);
        for (const [name, values] of Object.entries({ I: input, F: forget, m }))
          expect(Math.abs(number(await figure(page, name)) - values[0]), name).toBeLessThan(2e-3);
        expect(complaints).toEqual([]);
      } finally {
        await close();
      }
    },
    2 * SLOW,
  );
});
