/** What a worker is given to begin with. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly stackTop: number;
}

/** A Program for thread 0 to run with others. */
export interface WorkerRun {
  readonly words: number;
  readonly count: number;
  readonly threads: number;
}

/** `failed` comes from the first thread that traps; the others leave without a word. */
export type WorkerMessage =
  | { readonly event: 'ready' }
  | { readonly event: 'done' }
  | { readonly event: 'failed'; readonly cause: string };

/**
 * The source of a worker that lends its thread to the kernels: it sets up its own instance over the shared memory.
 * Thread 0 then runs what it is sent, one WorkerRun after the other; the others stay inside `serve` until the engine
 * closes. A string, so that it needs no file of its own: Node runs it as it is, browsers from a Blob.
 */
export const workerSource = `
const start = async ({ module, memory, thread, stackTop }, post) => {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  exports.__stack_pointer.value = stackTop;
  const guarded = (work) => {
    try {
      work();
      return true;
    } catch (error) {
      if (exports.abandon()) post({ event: 'failed', cause: String(error.message) });
      return false;
    }
  };
  post({ event: 'ready' });
  if (thread > 0) guarded(() => exports.serve(thread));
  return ({ words, count, threads }) => {
    if (guarded(() => exports.run(words, count, threads, 1))) post({ event: 'done' });
  };
};
if (typeof process !== 'undefined' && process.versions && process.versions.node) {
  const { parentPort, workerData } = require('worker_threads');
  start(workerData, (message) => parentPort.postMessage(message)).then((run) => {
    if (workerData.thread === 0) parentPort.on('message', run);
  });
} else {
  self.onmessage = ({ data }) => {
    self.onmessage = undefined;
    start(data, (message) => self.postMessage(message)).then((run) => {
      if (data.thread === 0) self.onmessage = (event) => run(event.data);
      else self.close();
    });
  };
}
`;
