import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, launchChromium } from '../browser/chromium.ts';
import { installPacked, project } from './packed.ts';

const run = promisify(execFile);
const TIMEOUT = 120_000;
const here = join(project, 'test', 'package');

interface Outcome {
  readonly engine: string;
  readonly losses: readonly number[];
  readonly text: string;
}

/** Waits to be asked, and says what went wrong. */
const page = `
import { trainAndWrite } from './consumer.js';
globalThis.outcome = trainAndWrite('auto').catch((error) => String(error.stack));
`;

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};

if (!hasChromium) console.warn('bundles did not run: the Chromium of the tests is for Linux on x64');

describe('a bundle for browsers', () => {
  let folder = '';
  let browser: Browser | undefined;
  let expected: Outcome;
  beforeAll(async () => {
    ({ folder } = await installPacked());
    if (hasChromium) browser = await launchChromium();
    await cp(join(here, 'consumer.js'), join(folder, 'consumer.mjs'));
    const { trainAndWrite } = await import(pathToFileURL(join(folder, 'consumer.mjs')).href);
    expected = await trainAndWrite('wasm');
  }, TIMEOUT);
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A user's folder with the bundle in site/; what the bundle holds, by name. */
  async function bundled(bundler: string): Promise<Map<string, Buffer>> {
    const user = join(folder, bundler);
    await mkdir(user);
    await symlink(join(folder, 'node_modules'), join(user, 'node_modules'), 'dir');
    await cp(join(here, 'consumer.js'), join(user, 'consumer.js'));
    await writeFile(join(user, 'page.js'), page);
    await run(process.execPath, [join(here, 'bundle.js'), bundler, user]);
    const site = join(user, 'site');
    const names = await readdir(site, { recursive: true });
    const files = names.filter((name) => extname(name) !== '');
    return new Map(
      await Promise.all(
        files.map(async (name): Promise<[string, Buffer]> => [name, await readFile(join(site, name))]),
      ),
    );
  }

  async function opened(files: ReadonlyMap<string, Buffer>): Promise<Outcome | string> {
    const context = await browser!.newContext();
    try {
      const tab = await context.newPage();
      await tab.route('**/*', (route) => {
        const name = new URL(route.request().url()).pathname.slice(1);
        const body = files.get(name);
        if (name === '') {
          return route.fulfill({
            contentType: 'text/html',
            body: '<script type="module" src="/page.js"></script>',
          });
        }
        return body
          ? route.fulfill({ contentType: types[extname(name)], body })
          : route.fulfill({ status: 404 });
      });
      await tab.goto('http://site.test/');
      await tab.waitForFunction('globalThis.outcome !== undefined');
      return await tab.evaluate<Outcome | string>('globalThis.outcome');
    } finally {
      await context.close();
    }
  }

  it.each(['vite', 'esbuild', 'webpack'])(
    'by %s has nothing of Node, and trains and writes in Chromium as in Node',
    async (bundler) => {
      const files = await bundled(bundler);
      const bytes = { '.js': 0, '.wasm': 0 };
      for (const [name, { length }] of files) {
        const kind = extname(name);
        expect(Object.keys(bytes), name).toContain(kind);
        bytes[kind as keyof typeof bytes] += length;
      }
      // At most 232 kB of code (webpack), 229 kB that are imported when they are needed (104 of them WebGPU's), and the kernels with and without relaxed SIMD, of which a page fetches one.
      expect(bytes['.js']).toBeGreaterThan(100e3);
      expect(bytes['.js']).toBeLessThan(465e3);
      expect(bytes['.wasm']).toBeGreaterThan(800e3);
      expect(bytes['.wasm']).toBeLessThan(1300e3);
      const ofNode = [...files].flatMap(([name, code]) =>
        extname(name) === '.js'
          ? [...code.toString().matchAll(/["'`]node:|koffi|readFile/g)].map(([found]) => `${name}: ${found}`)
          : [],
      );
      expect(ofNode).toEqual([]);
      if (!browser) return;
      const outcome = await opened(files);
      expect(outcome).toMatchObject({ engine: 'wasm', text: expected.text });
      const { losses } = outcome as Outcome;
      expect(losses).toHaveLength(2);
      expect(losses[0]).toBeCloseTo(Math.log(256), 0);
      for (const [step, loss] of losses.entries()) expect(loss).toBeCloseTo(expected.losses[step], 5);
    },
    TIMEOUT,
  );
});
