import { inNode, nodeHost } from '../host.ts';
import { type WorkerMessage, type WorkerRun, type WorkerStart, workerSource } from './worker.ts';

/** A worker of Node or of a browser. */
interface Thread {
  post(run: WorkerRun): void;
  /** Whether Node waits for it before it exits. */
  hold(held: boolean): void;
  terminate(): Promise<void>;
}

interface Listener {
  heard(message: WorkerMessage): void;
  /** The worker threw, or is gone. */
  lost(error: Error): void;
}

async function spawn(start: WorkerStart, { heard, lost }: Listener): Promise<Thread> {
  if (inNode) {
    const worker = (await nodeHost()).startWorker(workerSource, start);
    worker.on('message', heard);
    worker.on('error', lost);
    worker.on('exit', () => lost(new Error(`thread ${start.thread} ended`)));
    return {
      post: (run) => worker.postMessage(run),
      hold: (held) => (held ? worker.ref() : worker.unref()),
      terminate: async () => {
        await worker.terminate();
      },
    };
  }
  const url = URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }));
  const worker = new Worker(url);
  URL.revokeObjectURL(url);
  worker.onmessage = ({ data }) => heard(data);
  worker.onerror = ({ message }) => lost(new Error(message));
  worker.postMessage(start);
  return {
    post: (run) => worker.postMessage(run),
    hold: () => {},
    terminate: async () => worker.terminate(),
  };
}

/** What a run, or the start of the workers, waits for. */
interface Awaited {
  resolve(): void;
  reject(error: Error): void;
}

/** The workers of an engine: number 0 runs Programs away from the calling thread, the others serve either of them. */
export class WasmThreads {
  #threads: readonly Thread[] = [];
  #running: Awaited | undefined;
  #ended = false;
  readonly #abandon: () => boolean;
  #failed: (error: Error) => void = () => {};

  /** `abandon` sends the threads home that wait for a lost one, and tells whether nobody has done so before. */
  constructor(abandon: () => boolean) {
    this.#abandon = abandon;
  }

  /** `failed` hears of the first thread that is lost. */
  watch(failed: (error: Error) => void): void {
    this.#failed = failed;
  }

  /** Resolves when all are ready; rejects, with none left, where the host refuses one. */
  async start(starts: readonly WorkerStart[]): Promise<void> {
    const spawned: Promise<Thread>[] = [];
    const ready = starts.map(
      (start) =>
        new Promise<void>((resolve, reject) => {
          let isReady = false;
          const heard = (message: WorkerMessage): void => {
            isReady = true;
            if (message.event === 'ready') resolve();
            else if (message.event === 'done') this.#done();
            else this.#lose(new Error(message.cause));
          };
          const lost = (error: Error): void => {
            if (!isReady) reject(error);
            else if (!this.#ended && this.#abandon()) this.#lose(error);
          };
          const thread = spawn(start, { heard, lost });
          spawned.push(thread);
          thread.catch(reject);
        }),
    );
    try {
      await Promise.all(ready);
      this.#threads = await Promise.all(spawned);
    } catch (error) {
      this.#ended = true;
      this.#abandon();
      const started = await Promise.allSettled(spawned);
      await Promise.all(started.map((thread) => thread.status === 'fulfilled' && thread.value.terminate()));
      throw error;
    }
    for (const thread of this.#threads) thread.hold(false);
  }

  /** Not while another run is on. */
  run(run: WorkerRun): Promise<void> {
    const [first] = this.#threads;
    first.hold(true);
    return new Promise((resolve, reject) => {
      this.#running = { resolve, reject };
      first.post(run);
    });
  }

  /** The threads have been told to leave. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #done(): void {
    this.#threads[0].hold(false);
    this.#running?.resolve();
    this.#running = undefined;
  }

  #lose(error: Error): void {
    this.#threads[0].hold(false);
    this.#running?.reject(error);
    this.#running = undefined;
    this.#failed(error);
  }
}
