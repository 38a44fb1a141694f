import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium } from '../browser/chromium.ts';
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

  it.each(cases)(
    '%s at %i px, %s: axe finds nothing, and nothing lies beside the page',
    async (view, width, colorScheme, text) => {
      const { page, complaints, close } = await playground.open(view, {
        viewport: { width, height: 900 },
        colorScheme,
      });
      try {
        await page.getByText(text).first().waitFor();
        await page.evaluate(axe);
        const { violations } = (await page.evaluate('axe.run()')) as {
          violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
        };
        expect(
          violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`),
        ).toEqual([]);
        expect(
          await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
        ).toBeLessThanOrEqual(0);
        expect(complaints).toEqual([]);
      } finally {
        await close();
      }
    },
  );
});
