// What a user's worker looks like: the library as plain modules, nothing bundled.
// @ts-expect-error: an address of the test's server
import * as xlstm from '/dist/index.js';
// @ts-expect-error: another
import { trainAndWrite } from '/test/browser/workload.ts';

self.onmessage = async ({ data: threads }: MessageEvent<number>) => {
  try {
    self.postMessage({ outcome: await trainAndWrite(xlstm, { engine: 'wasm', threads }) });
  } catch (error) {
    self.postMessage({ error: (error as Error).stack });
  }
};
