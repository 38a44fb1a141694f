import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium } from '../browser/chromium.ts';
import { giveText, TEXT, trainFor } from './actions.ts';
import { type Playground, startPlayground } from './site.ts';

/** A view, and what is there when it has come. */
const VIEWS = [
  ['train', /unless you choose another/],
  ['look', /Likeliest next/],
  ['write', /Temperature/],
  ['question', /What is learnt/],
  ['forecast', /points have come/],
] as const;

const cases = VIEWS.flatMap(([view, text]) =>
  ([360, 1600] as const).flatMap((width) =>
    (['light', 'dark'] as const).map((colorScheme) => [view, width, colorScheme, text] as const),
  ),
);

describe.runIf(hasChromium)('the page for everybody', () => {
  let playground: Playground;
  let axe: string;
  beforeAll(async () => {
    playground = await startPlayground();
    axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  }, 180_000);
  afterAll(() => playground?.close());

  /** What axe finds, with what to do about it. */
  async function violationsOn(page: Page): Promise<string[]> {
    await page.evaluate(axe);
    const { violations } = (await page.evaluate('axe.run()')) as {
      violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
    };
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`);
  }

  it.each(cases)(
    '%s at %i px, %s: axe finds nothing, and nothing lies beside the page',
    async (view, width, colorScheme, text) => {
      const { page, complaints, close } = await playground.open(view, {
        viewport: { width, height: 900 },
        colorScheme,
      });
      try {
        await page.getByText(text).first().waitFor();
        expect(await violationsOn(page)).toEqual([]);
        expect(
          await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
        ).toBeLessThanOrEqual(0);
        expect(complaints).toEqual([]);
      } finally {
        await close();
      }
    },
  );

  it.each(['light', 'dark'] as const)(
    '%s: axe finds nothing in what comes while one works',
    async (colorScheme) => {
      const { page, close } = await playground.open('train', {
        viewport: { width: 360, height: 740 },
        colorScheme,
      });
      try {
        await giveText(page);
        await page.getByLabel('Width').selectOption('32');
        await page.getByText('Open a run or a model').click();
        await page.getByRole('button', { name: 'paste' }).click();
        await page.getByRole('button', { name: 'Train', exact: true }).click();
        await trainFor(page, 5);
        await page
          .getByLabel('The folder of a run')
          .setInputFiles(fileURLToPath(new URL('.', import.meta.url)));
        await page
          .getByRole('alert')
          .getByText(/no model/)
          .waitFor();
        expect(await violationsOn(page)).toEqual([]);
        await page.getByRole('link', { name: 'Look inside' }).click();
        await page.getByLabel('What goes through it').selectOption('recall');
        await page.getByText(/has learnt nothing yet/).waitFor();
        await page.locator('.token .right, .token .wrong').first().waitFor();
        expect(await violationsOn(page)).toEqual([]);
        expect(
          await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
        ).toBeLessThanOrEqual(0);
        await page.getByRole('link', { name: 'The question' }).click();
        await page.getByRole('button', { name: 'Start' }).click();
        await page.locator('tbody tr').nth(2).waitFor();
        await page.getByRole('button', { name: 'Stop', exact: true }).click();
        expect(await violationsOn(page)).toEqual([]);
      } finally {
        await close();
      }
    },
  );

  it('is used with the keyboard alone', async () => {
    const { page, complaints, close } = await playground.open('train');
    try {
      /** Goes on with Tab until what is called so has the focus. */
      const tabTo = async (
        role: 'button' | 'link' | 'combobox' | 'img',
        name: string | RegExp,
      ): Promise<void> => {
        const wanted = page.getByRole(role, { name, exact: true });
        for (let i = 0; i < 60; i++) {
          await page.keyboard.press('Tab');
          if (await wanted.evaluate((element) => element === document.activeElement)) return;
        }
        throw new Error(`${name} is not reached with Tab`);
      };
      await page.getByText(/Computing here/).waitFor();
      await tabTo('link', 'Skip to the content');
      await page.keyboard.press('Enter');
      await tabTo('button', /^Block 2: sLSTM/);
      await page.keyboard.press('Enter');
      await page.getByText('xLSTM[1:0], 2 blocks').waitFor();
      await tabTo('combobox', 'Width');
      await page.keyboard.press('3');
      await tabTo('button', 'paste');
      await page.keyboard.press('Enter');
      await page.keyboard.insertText(TEXT);
      await tabTo('button', 'Take it');
      await page.keyboard.press('Enter');
      await tabTo('button', 'Train');
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Pause' }).waitFor();
      await page.waitForFunction(() => Number(document.querySelector('.figures dd')?.textContent) > 3);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Go on' }).waitFor();

      await page.keyboard.press('Home');
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await tabTo('link', 'Look inside');
      await page.keyboard.press('Enter');
      await page.getByText(/Likeliest next/).waitFor();
      await tabTo('img', /^memory C/);
      await page.keyboard.press('ArrowDown');
      expect(await page.locator('.cell .reading').textContent()).toMatch(/row 2, column 1/);
      expect(complaints).toEqual([]);
    } finally {
      await close();
    }
  });
});
