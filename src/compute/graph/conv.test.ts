import { causalConv } from './conv.ts';
import * as e from './elementwise.ts';
import { describeFused } from './testing/fused.ts';

interface Case {
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly taps: number;
  readonly bias: boolean;
  readonly reset: boolean;
  readonly state: boolean;
  /** Whether another use of x has a gradient, to which the kernel adds its own. */
  readonly sofar: boolean;
}

// 4 taps have loops of their own; sequences shorter than the taps, within and past a strip of rows; columns past a block.
const cases: Case[] = [
  { batch: 2, length: 1, dim: 3, taps: 4, bias: true, reset: false, state: true, sofar: true },
  { batch: 3, length: 7, dim: 21, taps: 3, bias: false, reset: true, state: true, sofar: false },
  { batch: 1, length: 300, dim: 64, taps: 4, bias: true, reset: false, state: false, sofar: true },
  { batch: 5, length: 97, dim: 40, taps: 4, bias: true, reset: true, state: true, sofar: true },
  { batch: 2, length: 41, dim: 530, taps: 4, bias: false, reset: false, state: true, sofar: false },
  { batch: 2, length: 90, dim: 70, taps: 5, bias: true, reset: true, state: false, sofar: true },
];

await describeFused<Case>({
  name: 'convolution with SiLU',
  cases,
  marks: ['reset'],
  inputs: ({ batch, length, dim, taps, bias, reset, state }) => ({
    x: [batch, length, dim],
    weight: [dim, 1, taps],
    ...(bias && { bias: [dim] }),
    ...(reset && { reset: [batch, length] }),
    ...(state && { state: [batch, taps - 1, dim] }),
  }),
  fused({ x, weight, bias, reset, state }, { sofar }) {
    const { y, lastState } = causalConv(x, weight, bias, reset, state, 'silu');
    return [y, lastState, ...(sofar ? [e.tanh(x)] : [])];
  },
  parts({ x, weight, bias, reset, state }, { sofar }) {
    const { y, lastState } = causalConv(x, weight, bias, reset, state);
    return [e.silu(y), lastState, ...(sofar ? [e.tanh(x)] : [])];
  },
});
