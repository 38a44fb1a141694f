import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { ByteTokenizer, createModel, encodeModel, TextModel } from '../../src/index.ts';
import { hasChromium } from '../browser/chromium.ts';
import { openHideablePage } from '../browser/hideable_page.ts';
import {
  figure,
  giveText,
  lookInto,
  number,
  referenceReading,
  savedCheckpoint,
  trainFor,
} from './actions.ts';
import { type Playground, serve, startPlayground } from './site.ts';

const READ = 'the white whale';

describe.runIf(hasChromium)('the page', () => {
  let playground: Playground;
  beforeAll(async () => {
    playground = await startPlayground();
  }, 180_000);
  afterAll(() => playground?.close());

  it('loads little: 400 kB compressed without the engine, of which each takes 250 kB', async () => {
    const names = await readdir(join(playground.folder, 'assets'));
    const files = new Map<string, Buffer>();
    // The arena's report is a page of its own, behind a link.
    const own = names.filter((name) => !name.endsWith('.html'));
    for (const name of ['index.html', ...own.map((name) => `assets/${name}`)])
      files.set(name, await readFile(join(playground.folder, name)));
    const engines = [...files].filter(
      ([name, content]) => name.endsWith('.wasm') || content.includes('@workgroup_size'),
    );
    expect(engines.map(([name]) => extname(name)).sort()).toEqual(['.js', '.wasm', '.wasm']);
    for (const [name, content] of engines) {
      expect(gzipSync(content).length, name).toBeLessThan(250e3);
      files.delete(name);
    }
    const loaded = [...files].filter(([name]) => /\.(?:html|js|css)$/.test(name));
    const sizes = loaded.map(([, content]) => gzipSync(content).length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(400e3);
  });

  it('goes on training in the background, and after the browser froze it', async () => {
    const { page, hide, close } = await openHideablePage();
    const site = await serve(playground.folder);
    try {
      await page.goto(`${site.address}/sub/folder/index.html#train`);
      await giveText(page);
      await page.getByLabel('Width').selectOption('32');
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      const trainsOn = async (): Promise<void> => {
        const before = number(await figure(page, 'step'));
        await expect
          .poll(async () => number(await figure(page, 'step')), { timeout: 20_000 })
          .toBeGreaterThan(before + 5);
      };
      await trainsOn();
      await hide();
      expect(await page.evaluate('document.hidden')).toBe(true);
      await trainsOn();
      await hide(1000);
      await trainsOn();
      expect(await page.evaluate('document.hidden')).toBe(true);
      expect(await page.getByRole('alert').textContent()).toBe('');
    } finally {
      await close();
      await site.close();
    }
  });

  it('trains without a network, pauses, goes on, is kept and taken up, and shows what the reference engine computes', async () => {
    const { page, complaints, close } = await playground.open('train');
    try {
      await page.getByText(/Computing here/).waitFor();
      await page.context().setOffline(true);
      await giveText(page);
      await page.getByLabel('Width').selectOption('32');
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await trainFor(page, 40);
      const loss = number(await figure(page, 'held out'));
      expect(loss).toBeLessThan(3);
      expect(await page.locator('.samples li').count()).toBeGreaterThan(0);

      await page.getByLabel('Learning rate').fill('0.001');
      await page.getByLabel('Learning rate').press('Tab');
      await page.getByRole('button', { name: 'Go on' }).click();
      await trainFor(page, number(await figure(page, 'step')) + 20);
      expect(number(await figure(page, 'held out'))).toBeLessThan(loss);
      await page.getByRole('button', { name: 'Keep in this browser' }).click();
      await page.getByText(/It is here when you come back/).waitFor();
      const steps = await figure(page, 'step');
      const files = await savedCheckpoint(page);

      await page.context().setOffline(false);
      await page.reload();
      await page.getByText('Open a run or a model').click();
      await page.getByRole('button', { name: 'Take up the kept run' }).click();
      await page.getByText(`Taken up at step ${steps}`).waitFor();
      expect(await page.getByLabel('Learning rate').inputValue()).toBe('0.001');

      // The file is a checkpoint that the library opens; its reference engine sees what the page shows.
      const expected = await referenceReading(files, READ);
      await lookInto(page, READ);
      const shown = { I: expected.input, F: expected.forget, m: expected.m };
      for (const [name, values] of Object.entries(shown))
        expect(Math.abs(number(await figure(page, name)) - values[0]), name).toBeLessThan(2e-3);
      const memory = page.getByLabel(/^memory C/);
      await memory.press('ArrowRight');
      const told = (await page.locator('.cell .reading').textContent()) ?? '';
      expect(told).toContain('matrix memory C = F · C before');
      expect(Math.abs(number(/= (\S+)/.exec(told)?.[1] ?? '') - expected.c[1])).toBeLessThan(2e-3);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });

  it('opens a model of the library, writes on, forks, and compares models', async () => {
    const { page, complaints, close } = await playground.open('train', { isolated: true });
    try {
      const config = { vocabSize: 256, embeddingDim: 16, numHeads: 2, numBlocks: 2, slstmAt: [1] };
      const made = new TextModel(
        createModel(createReferenceEngine(), config, { seed: 3 }),
        new ByteTokenizer(),
      );
      const files = [...(await encodeModel(made))].map(([name, content]) => ({
        name,
        mimeType: 'application/octet-stream',
        buffer: Buffer.from(content),
      }));
      await page.getByText('Open a run or a model').click();
      await page.locator('input[type=file]').nth(1).setInputFiles(files);
      await page.getByText(/Opened: xLSTM\[1:1\]/).waitFor();

      await page.getByRole('link', { name: 'Write' }).click();
      await page.getByRole('button', { name: 'Write', exact: true }).click();
      await page.getByRole('button', { name: 'Fork' }).click();
      await page.getByText(/^\d+ and \d+$/).waitFor();
      await page.getByRole('button', { name: 'Write', exact: true }).waitFor();
      const [one, other] = await page.locator('.written').allInnerTexts();
      expect(one).not.toBe(other);
      const same = [...one].findIndex((letter, i) => letter !== other[i]);
      expect(same).toBeGreaterThan('The whale '.length);

      await page.getByRole('link', { name: 'The question' }).click();
      await page.getByRole('button', { name: 'Start' }).click();
      await page.locator('tbody tr').nth(2).waitFor();
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('button', { name: 'Start' }).waitFor();
      expect(await page.locator('tbody th').allInnerTexts()).toEqual(['xLSTM[1:1]', 'Transformer', 'LSTM']);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });

  it('says what is wrong, what to do, and goes on', async () => {
    const { page, close } = await playground.open('train');
    try {
      const notice = page.getByRole('alert');
      const says = (text: string | RegExp): Promise<void> => notice.getByText(text).waitFor();
      await giveText(page, 'empty.txt', '');
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await says(/expected at least 200 tokens/);
      await page.getByText('Open a run or a model').click();
      const opens = page.locator('input[type=file]').nth(1);
      await opens.setInputFiles({
        name: 'notes.txt',
        mimeType: 'text/plain',
        buffer: Buffer.from('no model'),
      });
      await says(/Expected config.json/);
      await opens.setInputFiles({
        name: 'broken.zip',
        mimeType: 'application/zip',
        buffer: Buffer.from('PK no archive'),
      });
      await says(/cannot be unpacked/);
      await page.getByRole('button', { name: 'Take up the kept run' }).click();
      await says(/has kept no run/);

      await giveText(page);
      await page.getByLabel('Width').selectOption('32');
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await trainFor(page, 3);
      const [worker] = page.workers();
      await worker.evaluate(() => {
        const open = (): never => {
          throw new DOMException('The operation is insecure.', 'SecurityError');
        };
        Object.defineProperty(globalThis, 'indexedDB', { value: { open } });
      });
      await page.getByRole('button', { name: 'Keep in this browser' }).click();
      await says(
        /This browser keeps nothing for this page \(The operation is insecure.*Save the run to a file/,
      );
      await worker.evaluate(() => {
        setTimeout(() => {
          throw new Error('out of memory');
        });
      });
      await says(/The worker that computes has ended.*out of memory/);
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await trainFor(page, 3);
      expect(await notice.textContent()).toBe('');
    } finally {
      await close();
    }
  });
});
