import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createServer } from 'vite';
import { expect, it } from 'vitest';
import { hasChromium, launchChromium } from '../browser/chromium.ts';
import { installPacked } from './packed.ts';

/** Waits to be asked, and says what went wrong. */
const page = `
import { chooseEngine, createModel, TokenBatches, Trainer } from 'xlstm';
const train = async () => {
  const { engine } = await chooseEngine('auto', { threads: 2 });
  const model = createModel(engine, { vocabSize: 4, embeddingDim: 32, numBlocks: 1 }, { seed: 1 });
  const shape = { batchSize: 2, length: 16 };
  const batches = new TokenBatches(Int32Array.from({ length: 200 }, (_, i) => i % 4), { ...shape, order: 'contiguous' });
  const { loss } = await new Trainer(model, shape).step(batches.next(), 1e-2);
  return { description: engine.description, loss };
};
globalThis.outcome = train().catch((error) => String(error.stack));
`;

// As it comes, Vite bundles the package for its development server; left out, it serves the package's own files.
it.runIf(hasChromium).each([
  ['as it comes', {}],
  ['with the package left out of what it bundles', { exclude: ['xlstm'] }],
])(
  "Vite's development server %s serves what trains on two threads",
  async (_, optimizeDeps) => {
    const { folder: root } = await installPacked();
    const browser = await launchChromium();
    try {
      await writeFile(join(root, 'page.js'), page);
      await writeFile(join(root, 'index.html'), '<script type="module" src="/page.js"></script>');
      const server = await createServer({
        root,
        configFile: false,
        logLevel: 'silent',
        optimizeDeps,
        cacheDir: join(root, '.vite'),
        server: {
          port: 0,
          hmr: false,
          headers: {
            'Cross-Origin-Opener-Policy': 'same-origin',
            'Cross-Origin-Embedder-Policy': 'require-corp',
          },
          // What the package needs lies outside its folder in this test, behind links.
          fs: { strict: false },
        },
      });
      try {
        await server.listen();
        const tab = await browser.newPage();
        await tab.goto(server.resolvedUrls?.local[0] as string);
        await tab.waitForFunction('globalThis.outcome !== undefined');
        const outcome = await tab.evaluate<{ description: string; loss: number }>('globalThis.outcome');
        expect(outcome).toMatchObject({ description: expect.stringMatching(/^wasm, .*, 2 threads$/) });
        expect(outcome.loss).toBeCloseTo(Math.log(4), 0);
      } finally {
        await server.close();
      }
    } finally {
      await browser.close();
      await rm(root, { recursive: true, force: true });
    }
  },
  120_000,
);
