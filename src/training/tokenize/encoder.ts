import { Worker } from 'node:worker_threads';
import { permits } from '../../compute/engines/host.ts';
import type { Document } from '../../data/text.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { describeForTokens } from '../token_file.ts';
import type { WorkerReply } from './encode_worker.ts';
import { type EncodedPart, encodePart } from './part.ts';

/** Encodes texts, several at a time where it has threads. */
export interface Encoder {
  /** Parts that keep all threads at work. */
  readonly parallel: number;
  encode(documents: readonly Document[]): Promise<EncodedPart>;
  close(): Promise<void>;
}

/** An encoder on the calling thread, or on so many threads of its own. Throws an engine error where none may be started. */
export function createEncoder(
  tokenizer: Tokenizer,
  threads: number,
  module = new URL('./encode_worker.js', import.meta.url),
): Encoder {
  if (threads > 1) return new EncoderThreads(tokenizer, threads, module);
  return {
    parallel: 1,
    encode: async (documents) => encodePart(tokenizer, documents),
    close: async () => {},
  };
}

interface Job {
  readonly documents: readonly Document[];
  readonly resolve: (part: EncodedPart) => void;
  readonly reject: (error: unknown) => void;
}

class EncoderThreads implements Encoder {
  /** One for each thread, and one that waits for the next. */
  readonly parallel: number;
  readonly #all: readonly Worker[];
  readonly #idle: Worker[];
  readonly #waiting: Job[] = [];
  readonly #atWork = new Map<Worker, Job>();
  #ended: XlstmError | undefined;

  constructor(tokenizer: Tokenizer, threads: number, module: URL) {
    if (!permits('worker')) {
      throw new XlstmError(
        'engine',
        `tokenizing on ${threads} threads: Node's permission model allows no workers`,
        'Start Node with --allow-worker, or take one thread: --threads 1',
      );
    }
    this.parallel = threads + 1;
    const workerData = describeForTokens(tokenizer);
    this.#all = Array.from({ length: threads }, () => this.#start(module, workerData));
    this.#idle = [...this.#all];
  }

  encode(documents: readonly Document[]): Promise<EncodedPart> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting.push({ documents, resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.terminate()));
  }

  #start(module: URL, workerData: unknown): Worker {
    // Options of the process, such as preloaded modules, are not for these threads.
    const worker = new Worker(module, { execArgv: [], workerData });
    worker.on('message', (reply: WorkerReply) => {
      const job = this.#atWork.get(worker);
      this.#atWork.delete(worker);
      this.#idle.push(worker);
      if ('part' in reply) job?.resolve(reply.part);
      else job?.reject(new XlstmError(reply.error.code, reply.error.message, reply.error.hint));
      this.#next();
    });
    worker.on('error', (error) => {
      this.#ended = new XlstmError('internal', `a thread that encodes texts ended: ${error.message}`);
      for (const { reject } of [...this.#atWork.values(), ...this.#waiting.splice(0)]) reject(this.#ended);
    });
    return worker;
  }

  #next(): void {
    while (this.#waiting.length > 0 && this.#idle.length > 0) {
      const worker = this.#idle.shift() as Worker;
      const job = this.#waiting.shift() as Job;
      this.#atWork.set(worker, job);
      worker.postMessage(job.documents);
    }
  }
}
