import { fork } from 'node:child_process';
import type { EngineChoice } from '../../compute/engines/choose.ts';
import { permits } from '../../compute/engines/host.ts';
import { XlstmError } from '../../errors.ts';
import type { JobReply, JobRequest } from './job.ts';

/** Runs a cell to its record; an abort ends it without one. */
export type CellRunner<Spec, Progress, Result> = (
  spec: Spec,
  onProgress: (progress: Progress) => void,
  signal: AbortSignal,
) => Promise<Result>;

/**
 * Runs each cell in a process of its own: memory starts clean, and a crash ends no other cell. Throws an engine error
 * where no process may be started.
 *
 * @param module What the process runs: it calls `serveJobs`.
 */
export function inProcesses<Spec, Progress, Result>(
  module: URL,
  engine: EngineChoice,
  threads: number,
): CellRunner<Spec, Progress, Result> {
  requireProcesses();
  return (spec, onProgress, signal) =>
    new Promise((resolve, reject) => {
      const child = fork(module, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
      let errors = '';
      child.stderr?.on('data', (data: Buffer) => {
        errors = `${errors}${data.toString()}`.slice(-2000);
      });
      const stop = (): void => {
        child.kill('SIGKILL');
      };
      const end = (settle: () => void): void => {
        signal.removeEventListener('abort', stop);
        settle();
        if (child.connected) child.disconnect();
      };
      signal.addEventListener('abort', stop);
      child.on('message', (reply: JobReply<Progress, Result>) => {
        if (reply.kind === 'progress') onProgress(reply.progress);
        else if (reply.kind === 'record') end(() => resolve(reply.record));
        else end(() => reject(new XlstmError('internal', reply.message)));
      });
      child.on('error', (error) => end(() => reject(error)));
      // After an answer this settles nothing any more.
      child.on('close', (code, killedBy) => {
        const how = killedBy ? `was ended by ${killedBy}` : `ended with exit code ${code}`;
        end(() =>
          reject(new XlstmError('internal', `its process ${how}${errors ? `: ${errors.trim()}` : ''}`)),
        );
      });
      child.send({ spec, engine, threads } satisfies JobRequest<Spec>);
    });
}

function requireProcesses(): void {
  if (permits('child')) return;
  throw new XlstmError(
    'engine',
    "the arena runs each cell in a process of its own, which Node's permission model does not allow",
    'Start Node with --allow-child-process, or without that model.',
  );
}
