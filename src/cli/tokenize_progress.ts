import { formatBytes, formatCount, formatDuration, formatPercent } from '../format.ts';
import type { TokenizeProgress } from '../training/write_token_file.ts';
import { LiveBlock, type OutputStream } from './ui/live_block.ts';
import { renderBar } from './ui/progress.ts';
import { createStyle, type Style, wantsColor } from './ui/style.ts';
import { truncate } from './ui/width.ts';

/** Between lines where there is no terminal. */
const LINE_MS = 10_000;

const BAR_WIDTH = 20;
/** Columns from which on there is room for the bar. */
const LEAST_WITH_BAR = 90;

/** A line for people: how much is read, how many tokens there are, how fast, how long still. */
export function renderTokenizing(
  { bytes, bytesBefore, totalBytes, tokens }: TokenizeProgress,
  seconds: number,
  width: number,
  style?: Style,
): string {
  const rate = (bytes - bytesBefore) / seconds;
  const pace = [`${formatCount(tokens)} tokens`, `${formatBytes(rate)}/s`];
  if (totalBytes === undefined) return truncate([`${formatBytes(bytes)} read`, ...pace].join('   '), width);
  const done = totalBytes > 0 ? bytes / totalBytes : 1;
  const read = `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`;
  const bar = style && width >= LEAST_WITH_BAR ? [renderBar(done, BAR_WIDTH, style)] : [];
  const left = `${formatDuration((totalBytes - bytes) / rate)} left`;
  return truncate([read, ...bar, formatPercent(done), ...pace, left].join('   '), width);
}

/** Tells how far tokenizing is: on a terminal a line that is redrawn, elsewhere one every ten seconds. */
export class TokenizeProgressWriter {
  readonly #stream: OutputStream;
  readonly #block: LiveBlock;
  readonly #start = performance.now();
  #latest: TokenizeProgress | undefined;
  #last = performance.now();

  constructor(stream: OutputStream = process.stderr, env: NodeJS.ProcessEnv = process.env) {
    const style = createStyle(wantsColor(stream, env));
    this.#stream = stream;
    this.#block = new LiveBlock(
      (width) => (this.#latest ? [renderTokenizing(this.#latest, this.#seconds, width, style)] : []),
      stream,
      env,
    );
  }

  /** May be called for every change. */
  update(progress: TokenizeProgress): void {
    if (!this.#latest && progress.bytesBefore > 0) {
      this.#block.print(`note    goes on after the first ${formatBytes(progress.bytesBefore)} of the texts`);
    }
    this.#latest = progress;
    this.#block.update();
    if (this.#block.interactive || performance.now() - this.#last < LINE_MS) return;
    this.#last = performance.now();
    this.#stream.write(`${renderTokenizing(progress, this.#seconds, Number.POSITIVE_INFINITY)}\n`);
  }

  /** Whether something was written. */
  get begun(): boolean {
    return this.#latest !== undefined;
  }

  /** The last state stays. */
  finish(): void {
    this.#block.finish();
  }

  get #seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }
}
