import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, launchChromium } from '../browser/chromium.ts';

const run = promisify(execFile);
const TIMEOUT = 120_000;
const project = fileURLToPath(new URL('../../', import.meta.url));

type Ask = (call: string, argument?: unknown) => Promise<unknown>;

describe('the site of docs/browser.md', () => {
  let guide = '';
  let folder = '';
  let expected = 0;
  let browser: Browser | undefined;

  beforeAll(async () => {
    guide = await readFile(join(project, 'docs', 'browser.md'), 'utf8');
    folder = await mkdtemp(join(tmpdir(), 'xlstm-site-'));
    await mkdir(join(folder, 'node_modules'));
    await symlink(project, join(folder, 'node_modules', 'xlstm'), 'dir');
    const blocks = [...guide.matchAll(/^```(js|html|sh)\n([\s\S]*?)^```$/gm)];
    expect(blocks.map(([, language]) => language)).toEqual(['sh', 'js', 'js', 'js', 'html']);
    await run('sh', ['-e', '-c', blocks[0][2]], { cwd: folder });
    for (const [, , text] of blocks.slice(1)) {
      const [, name] = text.match(/^(?:\/\/|<!--) (\S+)/) ?? [];
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const { stdout } = await run(process.execPath, ['make.mjs'], { cwd: folder });
    expected = Number(stdout);
    if (hasChromium) browser = await launchChromium();
  }, TIMEOUT);
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true });
  });

  /** Opens the site from the guide's own server. */
  async function opened(mode: string, visit: (page: Page) => Promise<void>): Promise<void> {
    const env = { ...process.env, PORT: '0' };
    const server = spawn(process.execPath, ['server.mjs', mode], { cwd: folder, env });
    const context = await browser!.newContext();
    try {
      const [line] = await once(server.stdout, 'data');
      const page = await context.newPage();
      const errors: string[] = [];
      page.on('pageerror', ({ message }) => errors.push(message));
      await page.goto(String(line).trim());
      await ready(page);
      await visit(page);
      expect(errors).toEqual([]);
    } finally {
      await context.close();
      server.kill();
    }
  }
  const ready = (page: Page): Promise<unknown> =>
    page.waitForFunction(`document.getElementById('forecast').textContent !== ''`);
  const ask = (page: Page, call: string, argument?: unknown): Promise<unknown> =>
    page.evaluate(
      ([name, value]) => (globalThis as unknown as { ask: Ask }).ask(name as string, value),
      [call, argument],
    );
  const forecast = async (page: Page): Promise<number> =>
    Number((await page.textContent('#forecast'))?.replace('next: ', ''));

  it('has files of the sizes that the table gives', async () => {
    const rows = [...guide.matchAll(/^\| `((?:web|wasm)\/\S+)` \| (\d+) kB \| (\d+) kB \|/gm)];
    expect(rows).toHaveLength(4);
    for (const [, name, size, zipped] of rows) {
      const bytes = await readFile(join(project, 'dist', name));
      expect(Math.abs(bytes.length / Number(size) - 1000), name).toBeLessThan(50);
      expect(Math.abs(gzipSync(bytes, { level: 9 }).length / Number(zipped) - 1000), name).toBeLessThan(50);
    }
  });

  it.runIf(hasChromium)(
    'isolated: it uses threads, predicts as Node does, learns, and keeps a model in IndexedDB',
    () =>
      opened('isolated', async (page) => {
        const cores = await page.evaluate(() => navigator.hardwareConcurrency);
        expect(await ask(page, 'engine')).toMatchObject({ isolated: true, threads: cores });
        expect(await forecast(page)).toBeCloseTo(expected, 4);
        const inputs = Array.from({ length: 40 }, (_, t) => Math.cos(t / 5));
        const before = await ask(page, 'predict', inputs);
        const loss = await ask(page, 'learn', [{ inputs, targets: inputs.map((x) => x + 1) }]);
        expect(loss).toBeGreaterThan(0);
        const learned = await ask(page, 'predict', inputs);
        expect(learned).not.toEqual(before);
        await ask(page, 'keep', 'mine');
        await page.reload();
        await ready(page);
        expect(await ask(page, 'predict', inputs)).toEqual(before);
        await ask(page, 'recall', 'mine');
        expect(await ask(page, 'predict', inputs)).toEqual(learned);
      }),
    TIMEOUT,
  );

  it.runIf(hasChromium)(
    'not isolated: one thread, the same forecast',
    () =>
      opened('plain', async (page) => {
        expect(await ask(page, 'engine')).toMatchObject({ isolated: false, threads: 1 });
        expect(await page.textContent('#engine')).toContain('no shared memory');
        expect(await forecast(page)).toBeCloseTo(expected, 4);
      }),
    TIMEOUT,
  );
});
