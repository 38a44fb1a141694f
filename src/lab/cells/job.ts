import { chooseEngine, type EngineChoice } from '../../compute/engines/choose.ts';
import type { Engine } from '../../compute/engines/engine.ts';
import { XlstmError } from '../../errors.ts';

/** What a process is asked for: one cell. */
export interface JobRequest<Spec> {
  readonly spec: Spec;
  readonly engine: EngineChoice;
  readonly threads: number;
}

export type JobReply<Progress, Result> =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'record'; readonly record: Result }
  | { readonly kind: 'error'; readonly message: string };

/** Runs a cell to its record. */
export type RunCell<Spec, Progress, Result> = (
  spec: Spec,
  engine: Engine,
  onProgress: (progress: Progress) => void,
) => Promise<Result>;

/** A display needs no more. */
const PROGRESS_MS = 200;

async function answer<Spec, Progress, Result>(
  run: RunCell<Spec, Progress, Result>,
  { spec, engine: name, threads }: JobRequest<Spec>,
  send: (reply: JobReply<Progress, Result>) => void,
): Promise<void> {
  const { engine } = await chooseEngine(name, { threads });
  let latest = 0;
  try {
    const record = await run(spec, engine, (progress) => {
      const now = performance.now();
      if (now - latest < PROGRESS_MS) return;
      latest = now;
      send({ kind: 'progress', progress });
    });
    send({ kind: 'record', record });
  } finally {
    await engine.close();
  }
}

const messageOf = (error: unknown): string => {
  if (error instanceof XlstmError) return error.hint ? `${error.message} (${error.hint})` : error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
};

/** Answers the requests of the process that started this one, until that one hangs up. */
export function serveJobs<Spec, Progress, Result>(run: RunCell<Spec, Progress, Result>): void {
  // Ctrl-C reaches the whole group of processes; who started this one decides what becomes of it.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit());
  const send = (reply: JobReply<Progress, Result>): void => {
    process.send?.(reply);
  };
  process.on('message', (request: JobRequest<Spec>) => {
    answer(run, request, send).catch((error: unknown) => send({ kind: 'error', message: messageOf(error) }));
  });
}
