import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contest, contestants, type TaskName } from '../../playground/src/worker/contests.ts';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { CellTrace, type MlstmReading, type SlstmReading } from '../../src/generation/cell_trace.ts';
import { createModel, type Model } from '../../src/index.ts';
import { hasChromium } from '../browser/chromium.ts';
import { figure, number } from './actions.ts';
import { type Playground, startPlayground } from './site.ts';

const LENGTH = 16;

/** What the reference engine computes of the last token that is asked for, with the model of a task as it begins. */
async function expectedOf(task: TaskName) {
  const [{ config }] = contestants(contest(task, '', 1).vocabSize);
  const model = createModel(createReferenceEngine(), config, { seed: 1 }) as Model;
  using trace = new CellTrace(model);
  const { tokens, targets } = contest(task, '', 2).batch(1, LENGTH);
  const asked = Array.from(targets).findLastIndex((target) => target >= 0);
  let last: Awaited<ReturnType<CellTrace['read']>> | undefined;
  for (const token of Array.from(tokens).slice(0, asked + 1)) last = await trace.read(token);
  const [mlstm, slstm] = last!.readings as [MlstmReading, SlstmReading];
  return { mlstm, slstm };
}

describe.runIf(hasChromium)('looking into a model that learns a task', () => {
  let playground: Playground;
  beforeAll(async () => {
    playground = await startPlayground();
  }, 180_000);
  afterAll(() => playground?.close());

  it.each(['parity', 'recall'] as const)('shows what the reference engine computes of %s', async (task) => {
    const { mlstm, slstm } = await expectedOf(task);
    const { page, complaints, close } = await playground.open('look');
    try {
      await page.getByLabel('What goes through it').selectOption(task);
      await page.getByText(/has learnt nothing yet/).waitFor();
      await page.getByRole('heading', { name: /mLSTM, after/ }).waitFor();
      expect(await page.locator('.token').count()).toBe(LENGTH);
      const shown = { I: mlstm.input, F: mlstm.forget, m: mlstm.m };
      for (const [name, values] of Object.entries(shown))
        expect(Math.abs(number(await figure(page, name)) - values[0]), name).toBeLessThan(2e-3);

      /** The numbers of a row or a matrix of the cell, one after the other by arrow keys. */
      const told = async (label: RegExp, count: number): Promise<number[]> => {
        const map = page.getByLabel(label);
        const numbers: number[] = [];
        for (let i = 0; i < count; i++) {
          await map.press(i === 0 ? 'ArrowLeft' : 'ArrowRight');
          const text = (await page.locator('.cell .reading').textContent()) ?? '';
          numbers.push(number(/= (\S+)/.exec(text)?.[1] ?? ''));
        }
        return numbers;
      };
      for (const [i, value] of (await told(/^memory C/, 4)).entries())
        expect(Math.abs(value - mlstm.c[i])).toBeLessThan(2e-3);
      for (const [i, value] of (await told(/^normaliser n/, 4)).entries())
        expect(Math.abs(value - mlstm.n[i])).toBeLessThan(2e-3);
      await page.getByRole('button', { name: /sLSTM$/ }).click();
      await page.getByRole('heading', { name: /sLSTM, after/ }).waitFor();
      for (const [i, value] of (await told(/^memory c/, 4)).entries())
        expect(Math.abs(value - slstm.c[i])).toBeLessThan(2e-3);
      for (const [i, value] of (await told(/^forget gate F/, 4)).entries())
        expect(Math.abs(value - slstm.forget[i])).toBeLessThan(2e-3);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });

  it('learns recall while one watches, is stopped, goes on, and then knows the answers', async () => {
    const { page, complaints, close } = await playground.open('look', { isolated: true });
    try {
      page.setDefaultTimeout(60_000);
      await page.getByLabel('What goes through it').selectOption('recall');
      await page.getByText(/has learnt nothing yet/).waitFor();
      await page.getByRole('button', { name: 'Learn' }).click();
      await page.getByText(/has learnt for \d+ steps/).waitFor();
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('button', { name: 'Learn' }).click();
      await page.getByRole('button', { name: 'Learn' }).waitFor();
      await page.getByRole('button', { name: 'Another sequence' }).click();
      await page.getByText(/^Its answer: /).waitFor();
      await page.waitForFunction(() => document.querySelectorAll('.token .right').length >= 3);
      expect(await page.locator('.token .wrong, .token .right').count()).toBe(4);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  }, 120_000);
});
