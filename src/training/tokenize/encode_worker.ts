/** A thread that encodes texts, with a tokenizer rebuilt from its files. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Document } from '../../data/text.ts';
import { type ErrorCode, XlstmError } from '../../errors.ts';
import { rebuildTokenizer, type TokenFileFacts } from '../token_file.ts';
import { type EncodedPart, encodePart } from './part.ts';

/** What a thread answers to a part. */
export type WorkerReply =
  | { readonly part: EncodedPart }
  | { readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint?: string } };

const port = parentPort as MessagePort;
const tokenizer = await rebuildTokenizer(workerData as TokenFileFacts['tokenizer']);

port.on('message', (documents: readonly Document[]) => {
  try {
    const part = encodePart(tokenizer, documents);
    port.postMessage({ part } satisfies WorkerReply, [part.bytes.buffer, part.starts.buffer]);
  } catch (error) {
    const { code, message, hint } =
      error instanceof XlstmError ? error : new XlstmError('internal', String((error as Error).stack));
    port.postMessage({ error: { code, message, hint } } satisfies WorkerReply);
  }
});
