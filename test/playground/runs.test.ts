import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium } from '../browser/chromium.ts';
import { workplace } from '../cli/command.ts';
import { figure, giveText, number, savedFiles, TEXT, trainFor } from './actions.ts';
import { type Playground, startPlayground } from './site.ts';

const SMALL = ['--blocks', '2', '--dim', '32', '--batch', '8', '--length', '64', '--engine', 'wasm'];

interface Line {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
}

const linesOf = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe.runIf(hasChromium)('runs go from the command line to the page and back', () => {
  const { path, xlstm } = workplace();
  let playground: Playground;
  beforeAll(async () => {
    playground = await startPlayground();
    await writeFile(path('sea.txt'), TEXT);
  }, 180_000);
  afterAll(() => playground?.close());

  it.each(['contiguous', 'shuffled'])(
    'a run of the command line, %s, goes on in the page as it would have there',
    async (order) => {
      const options = ['--data', 'sea.txt', '--order', order, '--warmup-steps', '1', '--final-fraction', '1'];
      const train = ['train', ...options, ...SMALL];
      expect((await xlstm([...train, '--steps', '12', '--out', `part-${order}`])).code).toBe(0);
      expect((await xlstm([...train, '--steps', '20', '--out', `whole-${order}`])).code).toBe(0);
      const expected = linesOf(await readFile(path(`whole-${order}`, 'metrics.jsonl'), 'utf8'));

      const { page, complaints, close } = await playground.open('train');
      try {
        await page.getByText('Open a run or a model').click();
        await page.getByLabel('The folder of a run').setInputFiles(path(`part-${order}`));
        await page.getByText(/Opened: xLSTM\[1:1\] .* at step 12/).waitFor();
        await page.getByText(/To train on, choose its text: .*sea\.txt/).waitFor();
        expect(await page.getByLabel('Learning rate').inputValue()).toBe('0.004');
        await giveText(page, 'sea.txt');
        await page.getByText(/2430 tokens to learn, 270 held out, in batches of 8 × 64$/).waitFor();
        await page.getByRole('button', { name: 'Go on' }).click();
        await trainFor(page, 20);
        const files = await savedFiles(page);
        const lines = linesOf(Buffer.from(files.get('xlstm-run/metrics.jsonl')!).toString());
        for (const { step, loss } of expected.slice(0, 20))
          expect(Math.abs(lines[step - 1].loss - loss), `loss of step ${step}`).toBeLessThan(1e-4);
        expect(complaints).toEqual([]);
      } finally {
        await close();
      }
    },
  );

  it('a run of the page writes, is measured and goes on with the command line', async () => {
    const { page, complaints, close } = await playground.open('train');
    try {
      await giveText(page, 'sea.txt');
      await page.getByLabel('Width').selectOption('32');
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await trainFor(page, 30);
      const step = number(await figure(page, 'step'));
      const loss = number(await figure(page, 'held out'));
      for (const [name, content] of await savedFiles(page)) {
        await mkdir(dirname(path(name)), { recursive: true });
        await writeFile(path(name), content);
      }
      const written = await xlstm(['generate', 'xlstm-run', '--prompt', 'the ', '--max-tokens', '20']);
      expect(written).toMatchObject({ code: 0 });
      const measured = await xlstm(['eval', 'xlstm-run', 'sea.txt']);
      expect(measured).toMatchObject({ code: 0 });
      const steps = `${step + 5}`;
      const resumed = await xlstm(['train', '--resume', 'xlstm-run', '--steps', steps, '--engine', 'wasm']);
      expect(resumed.stderr).not.toMatch(/warning|whether the texts/i);
      expect(resumed).toMatchObject({ code: 0 });
      const lines = linesOf(await readFile(path('xlstm-run', 'metrics.jsonl'), 'utf8'));
      expect(lines.at(-1)?.step).toBe(step + 5);
      expect(lines.map((line) => line.step)).toEqual(Array.from({ length: step + 5 }, (_, i) => i + 1));
      expect(lines.at(-1)?.loss).toBeLessThan(loss + 0.3);
      expect(lines.at(-1)?.learningRate).toBeCloseTo(3e-3, 8);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });

  it('a run on Moby-Dick finds its text by itself, both ways', async () => {
    const train = ['train', '--blocks', '2', '--dim', '16', '--batch', '4', '--length', '32', '--steps', '3'];
    const out = await xlstm([...train, '--evaluation-tokens', '0', '--engine', 'wasm', '--out', 'whale']);
    expect(out).toMatchObject({ code: 0 });
    const { page, complaints, close } = await playground.open('train');
    try {
      await page.getByText('Open a run or a model').click();
      await page.getByLabel('The folder of a run').setInputFiles(path('whale'));
      await page.getByText(/Opened: .* at step 3/).waitFor();
      await page.getByText(/^Moby-Dick: \d+ tokens to learn, \d+ held out, in batches of 4 × 32$/).waitFor();
      await page.getByRole('button', { name: 'Go on' }).click();
      await trainFor(page, 8);
      const step = number(await figure(page, 'step'));
      for (const [name, content] of await savedFiles(page)) {
        await mkdir(dirname(path('back', name)), { recursive: true });
        await writeFile(path('back', name), content);
      }
      const again = ['train', '--resume', 'back/xlstm-run', '--engine', 'wasm', '--steps'];
      expect(await xlstm([...again, `${step + 2}`])).toMatchObject({ code: 0 });
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });
});
