import stringWidth from 'string-width';
import {
  formatCount,
  formatDuration,
  formatFixed,
  formatInteger,
  formatPercent,
  formatRate,
} from '../../format.ts';
import { curveRange, drawCurve } from './curve.ts';
import { LiveBlock, type OutputStream } from './live_block.ts';
import { createStyle, type Style, wantsColor } from './style.ts';
import { padEnd, truncate } from './width.ts';

/** Where a training run stands. */
export interface ProgressState {
  readonly step: number;
  readonly totalSteps: number;
  /** Nats per token. */
  readonly loss: number;
  readonly bitsPerByte?: number;
  /** The latest validation loss. */
  readonly validationLoss?: number;
  readonly learningRate: number;
  readonly tokensPerSecond: number;
  readonly elapsedSeconds: number;
  readonly secondsLeft: number;
  /** Losses of the run so far, in order. */
  readonly losses: readonly number[];
}

const LEAST_BLOCK = 30;
const LEAST_WITH_CURVE = 72;
const TEXT_WIDTH = 52;
const MOST_TEXT = 72;
const MOST_CURVE = 40;
const CURVE_ROWS = 3;
const LABEL_WIDTH = 5;
/** Two spaces, a label, a space and the axis. */
const AXIS_WIDTH = LABEL_WIDTH + 4;

/** A block of three lines for a terminal of this width, or one line where there is no room for them. */
export function renderProgress(state: ProgressState, width: number, style: Style): string[] {
  if (width < LEAST_BLOCK) {
    return [truncate(`${formatPercent(fraction(state))} loss ${formatFixed(state.loss, 3)}`, width)];
  }
  // The text has the same width before and after the first points of the curve.
  const curveWidth = width >= LEAST_WITH_CURVE ? Math.min(MOST_CURVE, width - TEXT_WIDTH - AXIS_WIDTH) : 0;
  const textWidth = curveWidth > 0 ? Math.min(width - curveWidth - AXIS_WIDTH, MOST_TEXT) : width;
  const lines = renderText(state, textWidth, style);
  if (curveWidth === 0 || state.losses.length < 2) return lines;
  const curve = renderCurve(state.losses, curveWidth, style);
  return lines.map((line, row) => `${padEnd(line, textWidth)}  ${curve[row]}`.trimEnd());
}

const fraction = ({ step, totalSteps }: ProgressState): number => (totalSteps > 0 ? step / totalSteps : 0);

function renderText(state: ProgressState, width: number, style: Style): string[] {
  const { dim, strong, accent } = style;
  const steps = `step ${formatInteger(state.step).padStart(formatInteger(state.totalSteps).length)} / ${formatInteger(state.totalSteps)}`;
  const percent = formatPercent(fraction(state)).padStart(6);
  const barWidth = width - steps.length - percent.length - 4;
  const head =
    barWidth >= 6
      ? `${steps}  ${renderBar(fraction(state), barWidth, style)}  ${percent}`
      : truncate(joinFitting([steps, percent], width) || steps, width);

  const bad = !Number.isFinite(state.loss);
  const loss = formatFixed(state.loss, 4);
  const measures = [
    `${dim('loss')} ${bad ? style.bad(loss) : strong(loss)}`,
    ...(state.bitsPerByte === undefined ? [] : [`${formatFixed(state.bitsPerByte, 3)} ${dim('bits/byte')}`]),
    ...(state.validationLoss === undefined ? [] : [`${dim('val')} ${formatFixed(state.validationLoss, 4)}`]),
    `${dim('lr')} ${formatRate(state.learningRate)}`,
  ];
  const pace = [
    `${formatCount(state.tokensPerSecond)} ${dim('tokens/s')}`,
    `${formatDuration(state.elapsedSeconds)} ${dim('elapsed')}`,
    `${accent(formatDuration(state.secondsLeft))} ${dim('left')}`,
  ];
  return [head, joinFitting(measures, width), joinFitting(pace, width)];
}

/** As many fields as fit, from the first on; closer together where that lets one more in. */
function joinFitting(fields: readonly string[], width: number): string {
  for (let count = fields.length; count > 0; count--) {
    for (const gap of ['   ', '  ']) {
      const line = fields.slice(0, count).join(gap);
      if (stringWidth(line) <= width) return line;
    }
  }
  return '';
}

/** A line of `width` columns, filled to the share that is done. */
export function renderBar(done: number, width: number, style: Style): string {
  const halves = Math.max(0, Math.min(2 * width, Math.floor(done * width * 2)));
  const full = '━'.repeat(halves >> 1) + (halves & 1 ? '╸' : '');
  return style.accent(full) + style.dim('─'.repeat(width - full.length));
}

/** Three lines: the greatest value beside the top, the least beside the bottom. */
function renderCurve(losses: readonly number[], columns: number, style: Style): string[] {
  const { low, high } = curveRange(losses, columns);
  const label = (value: number): string => formatFixed(value, value < 99.995 ? 2 : 0).padStart(LABEL_WIDTH);
  const labels = Number.isFinite(low) ? [label(high), ' '.repeat(LABEL_WIDTH), label(low)] : ['', '', ''];
  return drawCurve(losses, columns, CURVE_ROWS).map(
    (row, index) =>
      `${style.dim(`${labels[index].padStart(LABEL_WIDTH)} ${index === 1 ? '│' : '┤'}`)}${style.accent(row.trimEnd())}`,
  );
}

/** One line without escape codes, for logs. */
export function renderProgressLine(state: ProgressState): string {
  return [
    `step ${state.step}/${state.totalSteps} (${formatPercent(fraction(state))})`,
    `loss ${formatFixed(state.loss, 4)}`,
    ...(state.bitsPerByte === undefined ? [] : [`bits/byte ${formatFixed(state.bitsPerByte, 3)}`]),
    ...(state.validationLoss === undefined ? [] : [`validation ${formatFixed(state.validationLoss, 4)}`]),
    `lr ${formatRate(state.learningRate)}`,
    `tokens/s ${formatCount(state.tokensPerSecond)}`,
    `elapsed ${formatDuration(state.elapsedSeconds)}`,
    `left ${formatDuration(state.secondsLeft)}`,
  ].join('  ');
}

const LINE_MS = 10_000;

/** Draws progress: in a terminal a block that is redrawn in place, elsewhere a line every ten seconds. */
export class ProgressWriter {
  readonly #block: LiveBlock;
  readonly #stream: OutputStream;
  readonly #now: () => number;
  #latest: ProgressState | undefined;
  /** Of the lines written where there is no block. */
  #written: ProgressState | undefined;
  #last = Number.NEGATIVE_INFINITY;

  constructor(
    stream: OutputStream = process.stderr,
    env: Readonly<Record<string, string | undefined>> = process.env,
    now: () => number = () => performance.now(),
  ) {
    const style = createStyle(wantsColor(stream, env));
    const render = (width: number): string[] =>
      this.#latest ? renderProgress(this.#latest, width, style) : [];
    this.#block = new LiveBlock(render, stream, env, now);
    this.#stream = stream;
    this.#now = now;
  }

  /** May be called after every step: it draws only so often. */
  update(state: ProgressState): void {
    this.#latest = state;
    this.#block.update();
    if (!this.#block.interactive && this.#now() - this.#last >= LINE_MS) this.#writeLine(state);
  }

  /** Writes a line that stays. */
  print(line: string): void {
    this.#block.print(line);
  }

  /** Shows the last state; the block stays where it is. */
  finish(): void {
    this.#block.finish();
    const unwritten = this.#latest !== this.#written && this.#latest;
    if (!this.#block.interactive && unwritten) this.#writeLine(unwritten);
    this.#latest = undefined;
  }

  #writeLine(state: ProgressState): void {
    this.#last = this.#now();
    this.#written = state;
    this.#stream.write(`${renderProgressLine(state)}\n`);
  }
}
