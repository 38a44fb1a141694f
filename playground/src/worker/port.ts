import type { Reply } from '../protocol.ts';

/** What a worker has of its own; the types of the page's scope, which the project has, name a window's. */
interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: Reply, transfer?: Transferable[]): void;
}

/** The worker's end of the line to the page. */
export const port = globalThis as unknown as WorkerScope;

/** Tells the page of something that happened. */
export const tell = (event: string, data: unknown): void => port.postMessage({ event, data });
