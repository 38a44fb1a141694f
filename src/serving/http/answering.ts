import { Failure, failureOf } from './failure.ts';
import type { CommonRequest } from './requests.ts';
import { ResponseFormats } from './response_format.ts';
import { type Answers, type Asking, ask, type ServedModel } from './served_model.ts';

/** What texts become in answers: completions, or the messages of a chat. */
export interface Form {
  readonly events: (model: ServedModel, request: CommonRequest, answers: Answers) => AsyncIterable<string>;
  readonly whole: (model: ServedModel, answers: Answers) => Promise<object>;
}

export interface AnsweringOptions {
  readonly maxSeconds: number;
  readonly onError: (error: unknown) => void;
}

/** Answers requests for texts, whole or as streams, until the server is about to stop. */
export class Answering {
  readonly #options: AnsweringOptions;
  readonly #formats = new ResponseFormats();
  #draining = false;

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** New requests are refused from here on; those at work go on. */
  drain(): void {
    this.#draining = true;
  }

  /** Throws a Failure where the server is about to stop. */
  checkOpen(): void {
    if (this.#draining) throw new Failure(503, 'the server is about to stop');
  }

  /** Until the client is gone or the time is over; `left` ends it before that. */
  signal(raw: Request, left?: AbortSignal): AbortSignal {
    const signals = [raw.signal, AbortSignal.timeout(1000 * this.#options.maxSeconds)];
    return AbortSignal.any(left ? [...signals, left] : signals);
  }

  async answer(
    raw: Request,
    model: ServedModel,
    request: CommonRequest,
    prompts: readonly ArrayLike<number>[],
    asking: Omit<Asking, 'grammar' | 'signal'>,
    form: Form,
  ): Promise<Response> {
    this.checkOpen();
    const left = new AbortController();
    const grammar = this.#formats.grammar(request.response_format);
    const signal = this.signal(raw, left.signal);
    const answers = ask(model, prompts, request, { ...asking, grammar, signal });
    if (!request.stream) return Response.json(await form.whole(model, answers));
    return new Response(this.#stream(form.events(model, request, answers), left, raw.signal), {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
    });
  }

  /** Server-sent events; what fails after the first of them is told as one. A client that leaves ends the answer. */
  #stream(
    events: AsyncIterable<string>,
    left: AbortController,
    client: AbortSignal,
  ): ReadableStream<Uint8Array> {
    const { onError } = this.#options;
    const iterator = events[Symbol.asyncIterator]();
    const encoder = new TextEncoder();
    return new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await iterator.next();
          if (done) controller.close();
          else controller.enqueue(encoder.encode(`data: ${value}\n\n`));
        } catch (error) {
          if (left.signal.aborted) return;
          const failure = failureOf(error);
          if (failure.isFault && !client.aborted) onError(error);
          controller.enqueue(encoder.encode(`data: ${JSON.stringify(failure.body)}\n\n`));
          controller.close();
        }
      },
      async cancel() {
        left.abort();
        await iterator.return?.();
      },
    });
  }
}
