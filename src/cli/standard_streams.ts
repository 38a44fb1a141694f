import { XlstmError } from '../errors.ts';

/** The reader has ended, or its terminal has closed. */
const READER_ENDED = new Set(['EPIPE', 'EIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED']);

/**
 * A reader of standard output such as `head` that has seen enough ends the program, quietly. Standard error is for
 * people: without a reader work goes on in silence. `onError` is told of every other fault of standard output.
 */
export function guardStandardStreams(onError: (error: XlstmError) => never): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (READER_ENDED.has(error.code ?? '')) process.exit(0);
    onError(
      new XlstmError(
        'data',
        `standard output cannot be written (${error.message})`,
        error.code === 'ENOSPC' ? 'Its disk is full.' : undefined,
      ),
    );
  });
  process.stderr.on('error', () => {});
}
