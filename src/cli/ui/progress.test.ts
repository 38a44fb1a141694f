import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { curveRange, drawCurve, History } from './curve.ts';
import type { OutputStream } from './live_block.ts';
import { type ProgressState, ProgressWriter, renderProgress, renderProgressLine } from './progress.ts';
import { createStyle } from './style.ts';

const plain = createStyle(false);
const losses = Array.from({ length: 200 }, (_, k) => 1.5 + 4 * Math.exp(-k / 30));
const state: ProgressState = {
  step: 1240,
  totalSteps: 5000,
  loss: 1.8432,
  bitsPerByte: 2.659,
  learningRate: 9.8e-4,
  tokensPerSecond: 12_345,
  elapsedSeconds: 64,
  secondsLeft: 192,
  losses,
};

describe('renderProgress', () => {
  it('draws three lines with a curve in a terminal of 80 columns', () => {
    expect(renderProgress(state, 79, plain)).toEqual([
      'step 1,240 / 5,000  ━━━━━╸──────────────────  24.8 %   5.25 ┤⠱⡀',
      'loss 1.8432   2.659 bits/byte   lr 9.8e-4                   │ ⠘⢄⡀',
      '12.3k tokens/s   1m 04s elapsed   3m 12s left          1.51 ┤   ⠈⠒⠢⠤⠤⢄⣀⣀⣀⣀⣀⣀⣀⣀⣀',
    ]);
  });

  it('leaves out the curve, then fields, then all but one line', () => {
    expect(renderProgress({ ...state, validationLoss: 1.9 }, 60, plain)).toEqual([
      'step 1,240 / 5,000  ━━━━━━━╸────────────────────────  24.8 %',
      'loss 1.8432   2.659 bits/byte   val 1.9000   lr 9.8e-4',
      '12.3k tokens/s   1m 04s elapsed   3m 12s left',
    ]);
    expect(renderProgress(state, 30, plain)).toEqual([
      'step 1,240 / 5,000   24.8 %',
      'loss 1.8432   2.659 bits/byte',
      '12.3k tokens/s  1m 04s elapsed',
    ]);
    expect(renderProgress(state, 20, plain)).toEqual(['24.8 % loss 1.843']);
    expect(renderProgress(state, 5, plain)).toEqual(['24.8…']);
  });

  it('never is wider than the terminal, and colour changes no character', () => {
    const measure = fc.oneof(fc.double({ min: 0, max: 1e4, noNaN: true }), fc.constant(Number.NaN));
    const states = fc.record({
      step: fc.nat(10_000_000),
      totalSteps: fc.integer({ min: 1, max: 10_000_000 }),
      loss: measure,
      bitsPerByte: fc.option(measure, { nil: undefined }),
      validationLoss: fc.option(measure, { nil: undefined }),
      learningRate: fc.double({ min: 0, max: 1, noNaN: true }),
      tokensPerSecond: fc.double({ min: 0, max: 1e12, noNaN: true }),
      elapsedSeconds: fc.double({ min: 0, max: 1e7, noNaN: true }),
      secondsLeft: fc.oneof(
        fc.double({ min: 0, max: 1e7, noNaN: true }),
        fc.constant(Number.POSITIVE_INFINITY),
      ),
      losses: fc.array(measure, { maxLength: 300 }),
    });
    fc.assert(
      fc.property(states, fc.integer({ min: 1, max: 200 }), (any, width) => {
        const lines = renderProgress(any, width, plain);
        expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(width);
        expect(renderProgress(any, width, createStyle(true)).map(stripVTControlCharacters)).toEqual(lines);
      }),
    );
  });

  it('keeps the text in place when the curve appears', () => {
    const [before] = renderProgress({ ...state, losses: [] }, 100, plain);
    const [after] = renderProgress(state, 100, plain);
    expect(after.startsWith(before)).toBe(true);
  });

  it('says it in one plain line for logs', () => {
    expect(renderProgressLine({ ...state, validationLoss: 1.9 })).toBe(
      'step 1240/5000 (24.8 %)  loss 1.8432  bits/byte 2.659  validation 1.9000  lr 9.8e-4  tokens/s 12.3k  elapsed 1m 04s  left 3m 12s',
    );
  });
});

describe('ProgressWriter', () => {
  function record(isTTY: boolean, env: Record<string, string> = {}, columns = 80) {
    let time = 0;
    const writes: string[] = [];
    const stream: OutputStream & { columns: number } = { isTTY, columns, write: (text) => writes.push(text) };
    return {
      writer: new ProgressWriter(stream, env, () => time),
      writes,
      stream,
      wait: (ms: number) => (time += ms),
    };
  }

  it('redraws in place in a terminal, at most ten times a second', () => {
    const { writer, writes, wait } = record(true);
    writer.update(state);
    wait(50);
    writer.update(state);
    expect(writes.length).toBe(1);
    expect(writes[0].startsWith('\x1b')).toBe(false);
    wait(60);
    writer.update({ ...state, step: 1250 });
    expect(writes.length).toBe(2);
    expect(writes[1].startsWith('\x1b[3A\r\x1b[J')).toBe(true);
    expect(writes[1].endsWith('\n')).toBe(true);
  });

  it('erases wrapped lines after the terminal became narrower', () => {
    const { writer, writes, stream, wait } = record(true, { NO_COLOR: '1' }, 80);
    writer.update(state);
    const rows = writes[0]
      .trimEnd()
      .split('\n')
      .map((line) => Math.ceil(line.length / 40));
    stream.columns = 40;
    wait(200);
    writer.update(state);
    expect(writes[1].startsWith(`\x1b[${rows[0] + rows[1] + rows[2]}A\r`)).toBe(true);
    expect(rows[0] + rows[1] + rows[2]).toBe(6);
  });

  it('shows the last state at the end', () => {
    const { writer, writes, wait } = record(true, { NO_COLOR: '1' });
    writer.update(state);
    wait(10);
    writer.update({ ...state, step: 5000 });
    writer.finish();
    expect(writes[1]).toContain('step 5,000 / 5,000');
    writer.finish();
    expect(writes.length).toBe(2);
  });

  it('writes a plain line every ten seconds elsewhere', () => {
    for (const [isTTY, env] of [
      [false, {}],
      [true, { TERM: 'dumb' }],
    ] as const) {
      const { writer, writes, wait } = record(isTTY, env);
      for (let step = 0; step <= 25; step++) {
        writer.update({ ...state, step });
        wait(1000);
      }
      writer.finish();
      expect(writes.map((line) => line.slice(0, 8))).toEqual([
        'step 0/5',
        'step 10/',
        'step 20/',
        'step 25/',
      ]);
      for (const line of writes) expect(line).toBe(`${stripVTControlCharacters(line.trimEnd())}\n`);
    }
  });
});

describe('drawCurve', () => {
  it('draws falling, flat and rising lines', () => {
    expect(drawCurve([7, 6, 5, 4, 3, 2, 1, 0], 4, 2)).toEqual(['⠑⢄  ', '  ⠑⢄']);
    expect(drawCurve([3, 3, 3, 3], 2, 1)).toEqual(['⠤⠤']);
    expect(drawCurve([0, 7], 1, 2)).toEqual(['⢸', '⡸']);
  });

  it('fills steep pieces without a break', () => {
    const rows = drawCurve([10, 10, 10, 10, 0, 0, 0, 0], 4, 3);
    expect(rows).toEqual(['⠉⠉⡆ ', '  ⡇ ', '  ⣇⣀']);
  });

  it('leaves gaps where there is no number', () => {
    expect(drawCurve([1, 1, Number.NaN, Number.NaN, 1, 1], 3, 1)).toEqual(['⠤ ⠤']);
    expect(drawCurve([Number.NaN, Number.NaN], 2, 1)).toEqual(['  ']);
    expect(drawCurve([], 2, 1)).toEqual(['  ']);
  });

  it('averages what falls into one dot', () => {
    expect(curveRange([0, 4, 10, 30], 1)).toEqual({ low: 2, high: 20 });
  });
});

describe('History', () => {
  it('keeps the shape of a run in bounded memory', () => {
    const history = new History(8);
    for (let k = 0; k < 32; k++) history.push(k);
    expect(history.values).toEqual([3.5, 11.5, 19.5, 27.5]);
    for (let k = 32; k < 1000; k++) {
      history.push(k);
      expect(history.values.length).toBeLessThan(8);
    }
    const short = new History(8);
    for (const value of [5, 4, 3]) short.push(value);
    expect(short.values).toEqual([5, 4, 3]);
  });
});
