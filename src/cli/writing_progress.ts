import { formatBytes, formatDuration, formatPercent } from '../format.ts';
import { LiveBlock } from './ui/live_block.ts';
import { truncate } from './ui/width.ts';

/** How much of a file of weights is written, in a line on a terminal; `bytes` takes it. */
export interface WritingProgress {
  readonly bytes: (written: number, total: number) => void;
  /** Waits for the writer, and leaves no line behind. */
  during<T>(writer: Promise<T>): Promise<T>;
}

export function writingProgress(name: string): WritingProgress {
  const start = performance.now();
  let line = '';
  const block = new LiveBlock((width) => (line ? [truncate(line, width)] : []));
  return {
    bytes(written, total) {
      const seconds = (performance.now() - start) / 1000;
      const left = (seconds * (total - written)) / written;
      line = `${name}   ${formatBytes(written)} of ${formatBytes(total)} (${formatPercent(written / total)})   ${formatDuration(left)} left`;
      block.update();
    },
    async during(writer) {
      try {
        return await writer;
      } finally {
        line = '';
        block.finish();
      }
    },
  };
}
