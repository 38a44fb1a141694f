import { XlstmError } from '../../errors.ts';

type Status = 400 | 401 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 503 | 504;

/** An answer that tells of a failure, in the form of OpenAI's API. */
export class Failure extends Error {
  readonly status: Status;
  readonly type: string;
  /** The key of the request that is wrong. */
  readonly param: string | null;
  readonly code: string | null;

  constructor(status: Status, message: string, { type, param, code, cause }: FailureDetails = {}) {
    super(message, { cause });
    this.status = status;
    this.type = type ?? (status < 500 ? 'invalid_request_error' : 'server_error');
    this.param = param ?? null;
    this.code = code ?? null;
  }

  /** Whether the server's log is to tell of it: it is no fault of the client, and nothing that a server does on purpose. */
  get isFault(): boolean {
    return this.status === 500 || this.cause !== undefined;
  }

  /** What is sent. */
  get body(): { readonly error: Readonly<Record<string, string | null>> } {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}

interface FailureDetails {
  readonly type?: string;
  readonly param?: string | undefined;
  readonly code?: string;
  /** For the server's log. */
  readonly cause?: unknown;
}

/** Codes that a request itself can cause; what is wrong with anything else is told to the server's log alone. */
const CAUSED_BY_REQUESTS = new Set(['usage', 'data']);

/** What a client is told of an error. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof XlstmError && CAUSED_BY_REQUESTS.has(error.code)) {
    return new Failure(400, error.hint ? `${error.message}. ${error.hint}` : error.message);
  }
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return new Failure(504, 'the answer took longer than the server gives one');
  return new Failure(500, 'the server failed; its log says more');
}
