import { readFile } from 'node:fs/promises';
import { unzipSync } from 'fflate';
import type { Page } from 'playwright-core';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { CellTrace, type MlstmReading } from '../../src/generation/cell_trace.ts';
import { ByteTokenizer, loadModel } from '../../src/index.ts';

/** What tests do on the page, as a person does. */

export const TEXT = 'the sea, the sea, and the white whale in it. '.repeat(60);

/** The figure under a name. */
export const figure = (page: Page, name: string): Promise<string> =>
  page
    .locator('.figures div')
    .filter({ has: page.getByText(name, { exact: true }) })
    .locator('dd')
    .textContent()
    .then((text) => text ?? '');

export const number = (text: string): number => Number(text.replace('−', '-').replace(/\s/g, ''));

/** Chooses a text to learn as a file. */
export async function giveText(page: Page, name = 'sea.txt', text = TEXT): Promise<void> {
  const buffer = Buffer.from(text);
  await page.locator('input[type=file]').first().setInputFiles({ name, mimeType: 'text/plain', buffer });
}

/** Lets it train up to a step, and pauses. */
export async function trainFor(page: Page, steps: number): Promise<void> {
  await page.waitForFunction(
    (least) => Number(document.querySelector('.figures dd')?.textContent?.replace(/\s/g, '')) >= least,
    steps,
  );
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Go on' }).waitFor();
}

/** Saves the run to a file: what is in it, by path. */
export async function savedFiles(page: Page): Promise<Map<string, Uint8Array>> {
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save to a file' }).click();
  const file = await readFile(await (await downloading).path());
  return new Map(Object.entries(unzipSync(file)));
}

/** The files of its checkpoint, by name. */
export async function savedCheckpoint(page: Page): Promise<Map<string, Uint8Array>> {
  const folder = 'xlstm-run/checkpoint/';
  const files = [...(await savedFiles(page))].filter(([path]) => path.startsWith(folder));
  return new Map(files.map(([path, content]) => [path.slice(folder.length), content]));
}

/** Has it read a text in Look inside, to the end. */
export async function lookInto(page: Page, text: string): Promise<void> {
  await page.getByRole('link', { name: 'Look inside' }).click();
  await page.getByLabel('A text to read').fill(text);
  await page.getByRole('button', { name: 'Read' }).click();
  await page.waitForFunction(
    (count) => document.querySelectorAll('.token').length === count && document.querySelector('.cell'),
    text.length,
  );
}

/** What the reference engine finds in the first cell of a checkpoint, an mLSTM, once it has read a text. */
export async function referenceReading(files: Map<string, Uint8Array>, text: string): Promise<MlstmReading> {
  const model = await loadModel({ files }, { engine: createReferenceEngine(), kind: 'text' });
  using trace = new CellTrace(model.model);
  let reading: MlstmReading | undefined;
  for (const token of new ByteTokenizer().encode(text))
    reading = (await trace.read(token)).readings[0] as MlstmReading;
  return reading as MlstmReading;
}
