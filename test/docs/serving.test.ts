import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createWasmEngine } from '../../src/compute/engines/wasm/engine.ts';
import { encodeChat } from '../../src/data/subword/chat.ts';
import { loadModel, Session } from '../../src/index_node.ts';
import { hasChromium, launchChromium } from '../browser/chromium.ts';
import { serve } from '../browser/server.ts';
import { start } from '../cli/command.ts';
import { url } from '../cli/serving.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const run = promisify(execFile);
const project = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGES = ['ai', '@ai-sdk', '.bin/esbuild'];

let folder = '';
let blocks: readonly { readonly language: string; readonly text: string }[] = [];

/** The one block of the guide that has this in it. */
function block(part: string): string {
  const found = blocks.filter(({ text }) => text.includes(part));
  expect(found, part).toHaveLength(1);
  return found[0].text;
}

/** What commands print, with other names in the place of some. */
async function shell(text: string, names: Readonly<Record<string, string>> = {}): Promise<string> {
  let script = text.replaceAll(/^npx /gm, 'npx --offline ').replaceAll(/^curl /gm, 'curl -sS ');
  for (const [name, other] of Object.entries(names)) script = script.replaceAll(name, other);
  return (await run('sh', ['-e', '-c', script], { cwd: folder })).stdout;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-serving-'));
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, '.bin'), { recursive: true });
  await symlink(project, join(modules, 'xlstm'), 'dir');
  await symlink(join(project, 'bin', 'xlstm.js'), join(modules, '.bin', 'xlstm'));
  for (const name of PACKAGES) await symlink(join(project, 'node_modules', name), join(modules, name));
  const guide = await readFile(join(project, 'docs', 'serving.md'), 'utf8');
  blocks = [...guide.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
    language,
    text,
  }));
  expect(blocks.map(({ language }) => language)).toEqual(['sh', 'sh', 'sh', 'sh', 'js', 'js', 'sh', 'html']);
  for (const { text } of blocks) {
    const [, name] = text.match(/^(?:\/\/|<!--) (\S+)/) ?? [];
    if (!name) continue;
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  await shell(block('npx esbuild'));
  for (const name of ['runs/moby-dick', 'models/assistant'])
    await cp(join(folder, 'site', 'model'), join(folder, name), { recursive: true });
});
afterAll(() => rm(folder, { recursive: true }));

it('docs/serving.md: the server, and the requests that curl makes', async () => {
  await symlink(join(project, 'models', 'forecaster-tiny'), join(folder, 'models', 'forecaster'), 'dir');
  const command = block('npx xlstm serve').trim().split(' ').slice(2);
  const started = start(folder, [...command, 'models/forecaster', '--port', '0']);
  try {
    const names = { 'http://127.0.0.1:8080': await url(started) };
    const asked = async (text: string): Promise<unknown> => JSON.parse(await shell(text, names));
    const text = { choices: [{ text: expect.any(String) }], usage: { completion_tokens: 40 } };
    expect(await asked(block('/v1/completions'))).toMatchObject(text);
    expect(await asked(block('/v1/forecasts'))).toMatchObject({ data: [expect.anything()] });
    const [server, begun, ...turns] = block('SERVER=').trim().split('\n');
    const { id } = (await asked(`${server}\n${begun}`)) as { id: string };
    const [first, second, exported, generated] = turns.map(
      (turn) => `${server}\n${turn.replace('4b1f…', id)}`,
    );
    expect(await asked(first)).toMatchObject(text);
    expect(await asked(second)).toMatchObject({
      ...text,
      usage: { prompt_tokens_details: { cached_tokens: expect.any(Number) } },
    });
    await asked(`${exported}\necho '{}'`);
    expect(await shell(generated)).not.toBe('');
  } finally {
    started.process.kill();
    await started.ended;
  }
});

it("docs/serving.md: a model of this process for Vercel's AI SDK", async () => {
  await writeFile(join(folder, 'ai.mjs'), block('generateText'));
  const { stdout } = await run(process.execPath, ['ai.mjs'], { cwd: folder });
  expect(stdout.trim()).not.toBe('');
});

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

describe.runIf(hasChromium)('docs/serving.md: an endpoint in a page', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  const ask = (page: Page, path: string, body?: object): Promise<Answer> =>
    page.evaluate(
      async ([path, body]) => {
        const headers = { 'content-type': 'application/json' };
        const options = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
        const response = await fetch(path as string, options);
        return { status: response.status, body: await response.json() };
      },
      [path, body],
    );

  /** Asks for as many texts as the service worker takes, begins to read each, and leaves. */
  const leaveMany = (page: Page, body: object): Promise<number[]> =>
    page.evaluate(async (body) => {
      const aborter = new AbortController();
      const responses = await Promise.all(
        Array.from({ length: 80 }, () =>
          fetch('/v1/completions', {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body),
            signal: aborter.signal,
          }),
        ),
      );
      await responses[0].body?.getReader().read();
      aborter.abort();
      return responses.map(({ status }) => status);
    }, body);

  it.each([true, false])('writes what Node writes; isolated: %s', async (isolated) => {
    const engine = await createWasmEngine({ threads: 1 });
    const { model, tokenizer } = await loadModel(join(folder, 'site', 'model'), { engine, kind: 'text' });
    if (!tokenizer) throw new Error('the model of the guide has a tokenizer');
    const written = async (prompt: string | Int32Array): Promise<string> => {
      using session = new Session(model, tokenizer);
      return (await session.complete(prompt, { maxTokens: 40, seed: 1 })).text;
    };
    const said = await written(await encodeChat(tokenizer, [{ role: 'user', content: 'Who are you?' }]));
    const whole = { status: 200, body: { choices: [{ text: await written('The whale') }] } };
    await engine.close();

    const site = await serve({ isolated, root: pathToFileURL(join(folder, 'site/')) });
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    try {
      await page.goto(`${site.address}/index.html`);
      await page.waitForFunction(`document.title === 'Answered'`);
      expect(await page.textContent('#answer')).toBe(said);
      expect(await ask(page, '/v1/models')).toMatchObject({ status: 200, body: { data: [{ id: 'small' }] } });
      const body = { model: 'small', prompt: 'The whale', max_tokens: 40, seed: 1 };
      expect(await ask(page, '/v1/completions', body)).toMatchObject(whole);
      expect(await leaveMany(page, { ...body, max_tokens: 4096, stream: true })).toEqual(Array(80).fill(200));
      expect(await ask(page, '/v1/completions', body)).toMatchObject(whole);
      expect(await ask(page, '/v1/completions', { ...body, n: 0 })).toMatchObject({ status: 400 });
      expect(errors).toEqual([]);
    } finally {
      await page.close();
      await site.close();
    }
  });
});
