import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium, type Page } from 'playwright-core';
import { launchChromium } from './chromium.ts';

/** A page that can go into the background; Playwright sees to it that its own always count as seen. */
export interface HideablePage {
  readonly page: Page;
  /** Freezes it for so many milliseconds, as browsers do to save energy; from then on it is in the background. */
  hide(frozen?: number): Promise<void>;
  close(): Promise<void>;
}

export async function openHideablePage({ gpu = false } = {}): Promise<HideablePage> {
  const debugPort = await freePort();
  const launched = await launchChromium({ gpu, debugPort });
  const address = `http://127.0.0.1:${debugPort}`;
  const browser = await chromium.connectOverCDP(address, { noDefaults: true });
  const page = await browser.contexts()[0].newPage();
  const protocol = await page.context().newCDPSession(page);
  return {
    page,
    async hide(frozen = 0) {
      // Without a window there is nothing else that puts a page into the background, and it stays there.
      await protocol.send('Page.setWebLifecycleState', { state: 'frozen' });
      await new Promise((resolve) => setTimeout(resolve, frozen));
      await protocol.send('Page.setWebLifecycleState', { state: 'active' });
    },
    async close() {
      await browser.close();
      await launched.close();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
