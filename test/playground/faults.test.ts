import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { ByteTokenizer, createModel, encodeModel, TextModel } from '../../src/index.ts';
import { hasChromium } from '../browser/chromium.ts';
import { figure, giveText, number, savedCheckpoint, trainFor } from './actions.ts';
import { type Playground, startPlayground } from './site.ts';

const says = (page: Page, text: string | RegExp): Promise<void> =>
  page.getByRole('alert').getByText(text).waitFor();

async function trainSmall(page: Page, steps: number): Promise<void> {
  await giveText(page);
  await page.getByLabel('Width').selectOption('32');
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await trainFor(page, steps);
}

describe.runIf(hasChromium)('limits and faults of the page', () => {
  let playground: Playground;
  let folder = '';
  beforeAll(async () => {
    playground = await startPlayground();
    folder = await mkdtemp(join(tmpdir(), 'xlstm-faults-'));
  }, 180_000);
  afterAll(async () => {
    await playground?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('learns the beginning of a huge text, and says so', async () => {
    const path = join(folder, 'huge.txt');
    await writeFile(path, 'Wale, größer als alles. '.repeat(3_200_000));
    const { page, complaints, close } = await playground.open('train');
    try {
      await page.locator('input[type=file]').first().setInputFiles(path);
      await page.getByText('huge.txt, 83 MB').waitFor();
      await page.getByLabel('Width').selectOption('32');
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await page.getByText(/^the first 16 million characters of huge\.txt: \d+ tokens to learn/).waitFor();
      await trainFor(page, 2);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });

  it('refuses models that are too large before it reads them, and damaged ones', async () => {
    const { page, close } = await playground.open('train');
    try {
      const engine = createReferenceEngine();
      const made = new TextModel(
        createModel(engine, { vocabSize: 256, embeddingDim: 16 }),
        new ByteTokenizer(),
      );
      const files = new Map(await encodeModel(made));
      for (const [name, content] of files) await writeFile(join(folder, name), content);
      const weights = join(folder, 'model.safetensors');
      const opens = page.locator('input[type=file]').nth(1);
      const all = [...files.keys()].map((name) => join(folder, name));
      await page.getByText('Open a run or a model').click();

      await writeFile(weights, 'these are no weights');
      await opens.setInputFiles(all);
      await says(page, /model\.safetensors/);
      const large = await open(weights, 'w');
      await large.truncate(1.2e9);
      await large.close();
      await opens.setInputFiles(all);
      await says(page, /These files have 1200 MB: the page opens models up to 1000 MB.*quantize/);
      await writeFile(weights, files.get('model.safetensors')!);
      await writeFile(join(folder, 'config.json'), '{"embedding_dim": "wide"}');
      await opens.setInputFiles(all);
      await says(page, /config\.json/);
    } finally {
      await close();
    }
  });

  it('trains on where the storage is full, says so once, and the run can be saved', async () => {
    const { page, close } = await playground.open('train');
    try {
      const session = await page.context().newCDPSession(page);
      const { origin } = new URL(page.url());
      await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1000 });
      await trainSmall(page, 5);
      await says(page, /storage of this browser is full/);
      const step = number(await figure(page, 'step'));
      await page.getByRole('button', { name: 'Go on' }).click();
      await trainFor(page, step + 3);
      expect((await savedCheckpoint(page)).get('model.safetensors')?.length).toBeGreaterThan(1e5);
    } finally {
      await close();
    }
  });

  it('notices a worker that does not answer any more', async () => {
    const { page, close } = await playground.open('train', { before: ({ clock }) => clock.install() });
    try {
      await trainSmall(page, 3);
      const steps = await figure(page, 'step');
      void page
        .workers()[0]
        .evaluate('for (;;);')
        .catch(() => undefined);
      await page.clock.runFor(40_000);
      await says(page, /The worker that computes has ended: it has not answered for 32 seconds/);
      await page.getByText('Open a run or a model').click();
      await page.getByRole('button', { name: 'Take up the kept run' }).click();
      await page.getByText(`Taken up at step ${steps}`).waitFor();
    } finally {
      await close();
    }
  });

  it('loses less than 30 s of a run whose tab is closed', async () => {
    const { page, close } = await playground.open('train');
    try {
      await giveText(page);
      await page.getByLabel('Width').selectOption('32');
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      const began = performance.now();
      const status = page.getByText(/^Kept in this browser at step \d+/);
      await status.waitFor();
      expect(performance.now() - began).toBeLessThan(30_000);
      const step = number(/step (.*)\./.exec((await status.textContent()) ?? '')?.[1] ?? '');
      expect(step).toBeGreaterThan(0);
      const address = page.url();
      await page.close();

      const again = await page.context().newPage();
      await again.goto(address);
      await again.getByText('Open a run or a model').click();
      await again.getByRole('button', { name: 'Take up the kept run' }).click();
      await again.getByText(/Taken up at step/).waitFor();
      expect(number(await figure(again, 'step'))).toBeGreaterThanOrEqual(step);
    } finally {
      await close();
    }
  });

  it('stops what takes long, at once', async () => {
    const { page, close } = await playground.open('train');
    try {
      // Answers of the store never come.
      await page.getByText(/Computing here/).waitFor();
      await page.workers()[0].evaluate(`indexedDB.constructor.prototype.open = () => ({})`);
      await page.getByText('Open a run or a model').click();
      await page.getByRole('button', { name: 'Take up the kept run' }).click();
      await page.getByText('The run is read …').waitFor();
      await page.getByRole('button', { name: 'Stop' }).click();
      await says(page, /Stopped\. What was kept in this browser is still there/);
      await trainSmall(page, 3);
    } finally {
      await close();
    }
  });
});
