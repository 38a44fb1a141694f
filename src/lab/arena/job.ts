import { chooseEngine, type EngineChoice } from '../../compute/engines/choose.ts';
import { XlstmError } from '../../errors.ts';
import type { CellSpec } from './cell.ts';
import type { CellRecord } from './records.ts';
import { runCell } from './run_cell.ts';
import type { CourseProgress } from './training.ts';

/** What a process is asked for: one cell. */
export interface JobRequest {
  readonly spec: CellSpec;
  readonly engine: EngineChoice;
  readonly threads: number;
}

export type JobReply =
  | { readonly kind: 'progress'; readonly progress: CourseProgress }
  | { readonly kind: 'record'; readonly record: CellRecord }
  | { readonly kind: 'error'; readonly message: string };

/** A display needs no more. */
const PROGRESS_MS = 200;

async function answer(
  { spec, engine: name, threads }: JobRequest,
  send: (reply: JobReply) => void,
): Promise<void> {
  const { engine } = await chooseEngine(name, { threads });
  let latest = 0;
  try {
    const record = await runCell(spec, engine, (progress) => {
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
function serve(): void {
  // Ctrl-C reaches the whole group of processes; the arena decides what becomes of its jobs.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit());
  const send = (reply: JobReply): void => {
    process.send?.(reply);
  };
  process.on('message', (request: JobRequest) => {
    answer(request, send).catch((error: unknown) => send({ kind: 'error', message: messageOf(error) }));
  });
}

serve();
