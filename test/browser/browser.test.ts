import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as xlstm from '../../src/index.ts';
import { hasChromium, launchChromium } from './chromium.ts';
import { serve } from './server.ts';
import { type Outcome, trainAndWrite } from './workload.ts';

const TIMEOUT = 60_000;

if (!hasChromium) console.warn('the browser test did not run: its Chromium is for Linux on x64');

describe.runIf(hasChromium)('wasm engine in a browser', () => {
  let browser: Browser;
  let inNode: Outcome;

  beforeAll(async () => {
    browser = await launchChromium();
    inNode = await trainAndWrite(xlstm, { engine: 'wasm', threads: 1 });
  }, TIMEOUT);
  afterAll(() => browser?.close());

  /** Runs the workload in a worker of a page, with so many threads asked for. */
  async function inWorker(isolated: boolean, threads: number): Promise<Outcome> {
    const site = await serve({ isolated });
    const page = await browser.newPage();
    try {
      await page.goto(`${site.address}/page.html`);
      const { outcome, error } = await page.evaluate(
        (threads) =>
          new Promise<{ outcome?: Outcome; error?: string }>((resolve) => {
            const worker = new Worker('/test/browser/worker.ts', { type: 'module' });
            worker.onmessage = ({ data }) => resolve(data);
            worker.onerror = ({ message }) => resolve({ error: `the worker did not load: ${message}` });
            worker.postMessage(threads);
          }),
        threads,
      );
      if (!outcome) throw new Error(error);
      return outcome;
    } finally {
      await page.close();
      await site.close();
    }
  }

  function expectSameTraining(outcome: Outcome): void {
    expect(outcome.losses).toHaveLength(inNode.losses.length);
    for (const [step, loss] of outcome.losses.entries()) {
      expect(Math.abs(loss - inNode.losses[step]), `loss of step ${step + 1}`).toBeLessThan(1e-5);
    }
    expect(outcome.losses[0]).toBeCloseTo(Math.log(256), 0);
    expect(outcome.losses.at(-1)).toBeLessThan(outcome.losses[0] - 1.5);
    expect(outcome.text).toHaveLength(16);
    expect(outcome.text).toBe(inNode.text);
  }

  it(
    'trains and writes on two threads where the page is cross-origin isolated',
    async () => {
      const outcome = await inWorker(true, 2);
      expect(outcome.crossOriginIsolated).toBe(true);
      expect(outcome.threads).toBe(2);
      expectSameTraining(outcome);
    },
    TIMEOUT,
  );

  it(
    'trains and writes on one thread and plain memory where it is not',
    async () => {
      const outcome = await inWorker(false, 2);
      expect(outcome.crossOriginIsolated).toBe(false);
      expect(outcome.threads).toBe(1);
      expect(outcome.engine).toContain('no shared memory');
      expectSameTraining(outcome);
    },
    TIMEOUT,
  );

  it(
    'loads saved models over fetch: one writes, one predicts, and their files are those of Node',
    async () => {
      const { ByteTokenizer, SequenceModel, TextModel } = xlstm;
      const { engine } = await xlstm.chooseEngine('wasm', { threads: 1 });
      const config = { vocabSize: 256, embeddingDim: 16, numHeads: 2, numBlocks: 2, slstmAt: [1] };
      const text = new TextModel(xlstm.createModel(engine, config), new ByteTokenizer());
      const sensors = await SequenceModel.create({
        inputs: 2,
        outputs: 1,
        depth: 2,
        dim: 8,
        heads: 2,
        engine,
      });
      const steps = [
        [1, 2],
        [3, 4],
      ];
      const written = await text.session().complete('The whale', { maxTokens: 12, temperature: 0 });
      const predicted = await sensors.predict(steps);
      const folders = { '/models/text/': text, '/models/sensors/': sensors };
      const files = new Map<string, Uint8Array>();
      for (const [folder, model] of Object.entries(folders))
        for (const [name, content] of await xlstm.encodeModel(model)) files.set(folder + name, content);
      await engine.close();

      const site = await serve({ isolated: false, files });
      const page = await browser.newPage();
      try {
        await page.goto(`${site.address}/page.html`);
        const found = (await page.evaluate(`(async () => {
          const { encodeModel, loadModel } = await import('/dist/index.js');
          const text = await loadModel('/models/text/');
          const sensors = await loadModel('models/sensors', { kind: 'sequence' });
          const copy = await loadModel({ files: await encodeModel(text) });
          return {
            written: await text.session().complete('The whale', { maxTokens: 12, temperature: 0 }),
            again: await copy.session().complete('The whale', { maxTokens: 12, temperature: 0 }),
            predicted: await sensors.predict(${JSON.stringify(steps)}),
            missing: await loadModel('/models/other/').catch(({ message }) => message),
          };
        })()`)) as Record<string, unknown>;
        expect(found.written).toEqual(written);
        expect(found.again).toEqual(written);
        expect(found.missing).toBe(
          `${site.address}/models/other/config.json: there is no such file (HTTP 404 Not Found)`,
        );
        const values = found.predicted as typeof predicted;
        expect(values).toHaveLength(2);
        for (const [i, { value }] of predicted.entries())
          expect(Math.abs(Number(values[i].value) - Number(value))).toBeLessThan(1e-5);
      } finally {
        await page.close();
        await site.close();
      }
    },
    TIMEOUT,
  );
});
