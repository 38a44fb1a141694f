import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { launchChromium } from '../browser/chromium.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Headers that give a page shared memory. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** The page as it is built, on a plain file server, and a browser. */
export interface Playground {
  /** A tab on a view. What the page complains of is added to `complaints`. */
  open(view: string, options?: OpenOptions): Promise<Tab>;
  /** Where it was built. */
  readonly folder: string;
  close(): Promise<void>;
}

export interface OpenOptions extends BrowserContextOptions {
  /** Whether the server gives the page shared memory. Default: no, as most file servers. */
  readonly isolated?: boolean;
  /** The address of a server of the test's own. */
  readonly at?: string;
  /** Whether the browser has WebGPU, computed in software. Default: no. */
  readonly gpu?: boolean;
  /** What is told to the page before it opens; it then has no service worker, whose files could not be changed. */
  readonly before?: (page: Page) => Promise<unknown>;
}

export interface Tab {
  readonly page: Page;
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

/** Builds the page into a folder of the test's. */
export async function startPlayground(): Promise<Playground> {
  const folder = await mkdtemp(join(tmpdir(), 'xlstm-playground-'));
  // In a process of its own: the bundler's threads and those of the tests do not get on.
  const vite = [join(root, 'node_modules/vite/bin/vite.js'), 'build', join(root, 'playground')];
  await promisify(execFile)(process.execPath, [...vite, '--outDir', folder, '--logLevel', 'warn'], {
    cwd: root,
    // The tests' own would make another page of it.
    env: { ...process.env, NODE_ENV: 'production' },
  });
  const plain = await serve(folder, {});
  const isolated = await serve(folder, isolation);
  const browsers = new Map<boolean, Promise<Browser>>();
  const browserWith = (gpu: boolean): Promise<Browser> => {
    const browser = browsers.get(gpu) ?? launchChromium({ gpu });
    browsers.set(gpu, browser);
    return browser;
  };
  return {
    folder,
    async open(view, { isolated: withMemory = false, gpu = false, at, before, ...options } = {}) {
      const browser = await browserWith(gpu);
      const context = await browser.newContext({ ...(before && { serviceWorkers: 'block' }), ...options });
      context.setDefaultTimeout(30_000);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        const ours = !message.text().includes('blocked by Playwright');
        if (ours && ['error', 'warning'].includes(message.type())) complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(`${error.stack}`));
      await before?.(page);
      const { address } = withMemory ? isolated : plain;
      await page.goto(`${at ?? address}/sub/folder/index.html#${view}`);
      return { page, complaints, close: () => context.close() };
    },
    async close() {
      for (const browser of browsers.values()) await (await browser).close();
      await Promise.all([plain.close(), isolated.close()]);
      await rm(folder, { recursive: true });
    },
  };
}

/** A file server as there are many: it knows nothing of the page, which lies in a folder of its own. */
export async function serve(folder: string, headers: Readonly<Record<string, string>> = {}) {
  const replaced = new Map<string, string>();
  const server = createServer(async ({ url = '/' }, response) => {
    const path = normalize(new URL(url, 'http://site').pathname).replace(/^\/sub\/folder\//, '/');
    try {
      const name = path.endsWith('/') ? 'index.html' : path.slice(1);
      const body = replaced.get(name) ?? (await readFile(join(folder, name)));
      response.writeHead(200, {
        'Content-Type': types[extname(name)] ?? 'application/octet-stream',
        ...headers,
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    /** Serves another content under a name. */
    replace: (name: string, content: string): void => void replaced.set(name, content),
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
