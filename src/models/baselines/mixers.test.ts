import { describe, expect, it } from 'vitest';
import { add } from '../../compute/graph/elementwise.ts';
import type { SequenceLayer } from '../../nn/layer.ts';
import { Random } from '../../random.ts';
import { AttentionMixer } from './attention_mixer.ts';
import { GatedDeltaMixer } from './gated_delta_mixer.ts';
import { LinearAttentionMixer } from './linear_attention_mixer.ts';
import { MambaMixer } from './mamba_mixer.ts';
import { MinLstmMixer } from './minlstm_mixer.ts';
import type { Mixer } from './mixer.ts';
import { RecurrentLayer } from './recurrent_layer.ts';
import {
  checkGradients,
  checkOracle,
  checkSteps,
  drawnValues,
  type MixerCase,
  type Vectors,
} from './testing/check_mixer.ts';
import { apply, convolve, dot, normed, sigmoid, silu, slices, softplus, turned } from './testing/plain.ts';

const DIM = 8;
const HEADS = 2;
const WIDTH = DIM / HEADS;
const WINDOW = 6;
const common = { dim: DIM, heads: HEADS, numBlocks: 2 };

/** R y of every gate for a recurrent cell with block-diagonal R [H, G·DH, DH]: result [G][D]. */
function recur(r: ArrayLike<number>, y: readonly number[], gates: number, heads: number): number[][] {
  const width = y.length / heads;
  return Array.from({ length: gates }, (_, g) =>
    y.map((_, d) => {
      const [head, out] = [Math.floor(d / width), d % width];
      let sum = 0;
      for (let i = 0; i < width; i++) {
        sum += r[((head * gates + g) * width + out) * width + i] * y[head * width + i];
      }
      return sum;
    }),
  );
}

/** A layer that has no residual of its own, as the part of a block that the checks below expect. */
const withResidual = (layer: SequenceLayer): Mixer => ({
  stateShapes: (batch) => layer.stateShapes(batch),
  forward(x, { pass }, state, residual) {
    const { y, state: last } = layer.forward(x, pass, state);
    return { y: add(residual, y), state: last };
  },
});

function recurrent(cell: 'rnn' | 'gru' | 'lstm', heads: number): MixerCase {
  return {
    dim: DIM,
    build: (scope) => withResidual(new RecurrentLayer(scope, { cell, inputDim: DIM, dim: DIM, heads })),
    oracle: (x, values) => {
      const r = values.recurrent_kernel;
      let y: number[] = new Array<number>(DIM).fill(0);
      let c: number[] = new Array<number>(DIM).fill(0);
      return x.map((input) => {
        const wx = slices(apply(values, '', input), DIM);
        const rec = recur(r, y, wx.length, heads);
        if (cell === 'rnn') y = wx[0].map((value, d) => Math.tanh(value + rec[0][d]));
        if (cell === 'gru') {
          y = y.map((before, d) => {
            const [reset, update] = [sigmoid(wx[0][d] + rec[0][d]), sigmoid(wx[1][d] + rec[1][d])];
            return (1 - update) * Math.tanh(wx[2][d] + reset * rec[2][d]) + update * before;
          });
        }
        if (cell === 'lstm') {
          const [i, f, z, o] = wx.map((gate, g) => gate.map((value, d) => value + rec[g][d]));
          c = c.map((before, d) => sigmoid(f[d]) * before + sigmoid(i[d]) * Math.tanh(z[d]));
          y = c.map((value, d) => sigmoid(o[d]) * Math.tanh(value));
        }
        return y;
      });
    },
  };
}

function attending(rotary: boolean): MixerCase {
  return {
    dim: DIM,
    build: (scope) => new AttentionMixer(scope, { ...common, window: WINDOW, rotary }),
    oracle: (x, values) => {
      const projected = x.map((input) =>
        slices(apply(values, 'qkv_proj', input), DIM).map((t) => slices(t, WIDTH)),
      );
      const place = (head: number[], t: number): number[] => (rotary ? turned(head, t) : head);
      return projected.map(([queries], t) => {
        const h = queries.flatMap((query, head) => {
          const seen = projected.slice(Math.max(0, t + 1 - WINDOW), t + 1);
          const first = t + 1 - seen.length;
          const weights = seen.map(([, keys], s) =>
            Math.exp(dot(place(query, t), place(keys[head], first + s)) / Math.sqrt(WIDTH)),
          );
          const total = weights.reduce((a, b) => a + b);
          return query.map((_, d) =>
            seen.reduce((sum, [, , v], s) => sum + (weights[s] / total) * v[head][d], 0),
          );
        });
        return apply(values, 'out_proj', h);
      });
    },
  };
}

const INNER = 12;
const STATES = 16;

const mamba: MixerCase = {
  dim: DIM,
  near: { D: 1, 'dt_proj.bias': -1 },
  build: (scope) => new MambaMixer(scope, { dim: DIM, innerDim: INNER, numBlocks: 2 }),
  oracle: (x, values) => {
    const projected = x.map((input) => slices(apply(values, 'in_proj', input), INNER));
    const u = convolve(
      values,
      'conv1d',
      projected.map(([first]) => first),
      4,
    ).map((row) => row.map(silu));
    const h = Array.from({ length: INNER }, () => new Array<number>(STATES).fill(0));
    return u.map((row, t) => {
      const selected = apply(values, 'x_proj', row);
      const rank = selected.length - 2 * STATES;
      const b = selected.slice(rank, rank + STATES);
      const c = selected.slice(rank + STATES);
      const steps = apply(values, 'dt_proj', selected.slice(0, rank)).map(softplus);
      const y = row.map((input, d) => {
        for (let s = 0; s < STATES; s++) {
          const rate = -Math.exp(values.A_log[s * INNER + d]);
          h[d][s] = Math.exp(steps[d] * rate) * h[d][s] + steps[d] * b[s] * input;
        }
        return (dot(h[d], c) + values.D[d] * input) * silu(projected[t][1][d]);
      });
      return apply(values, 'out_proj', y);
    });
  },
};

const minLstm: MixerCase = {
  dim: DIM,
  build: (scope) => new MinLstmMixer(scope, DIM, 2),
  oracle: (x, values) => {
    let h: number[] = new Array<number>(DIM).fill(0);
    return x.map((input) => {
      const [f, i, candidate] = slices(apply(values, 'in_proj', input), DIM);
      h = h.map((before, d) => {
        const [forget, write] = [sigmoid(f[d]), sigmoid(i[d])];
        return (forget * before + write * candidate[d]) / (forget + write);
      });
      return apply(values, 'out_proj', h);
    });
  },
};

const valueWidthOf = (decay: 'gated' | 'retention'): number => (decay === 'retention' ? 2 : 1) * WIDTH;

/** The parallel form: every pair of tokens by itself. With `normalize` off the denominator is left out. */
const linearOracle =
  (decay: 'gated' | 'retention', normalize: boolean): MixerCase['oracle'] =>
  (x, values): Vectors => {
    const valueWidth = valueWidthOf(decay);
    const projected = x.map((input) => {
      const row = apply(values, 'in_proj', input);
      const inner = slices(row.slice(2 * DIM), HEADS * valueWidth);
      return [
        ...slices(row.slice(0, 2 * DIM), DIM).map((t) => slices(t, WIDTH)),
        ...inner.map((t) => slices(t, valueWidth)),
      ];
    });
    const gates = x.map((input) =>
      Array.from({ length: HEADS }, (_, head) =>
        decay === 'gated' ? sigmoid(apply(values, 'gate_proj', input)[head]) : 1 - 2 ** (-5 - head),
      ),
    );
    const place = (head: number[], t: number): number[] => (decay === 'gated' ? head : turned(head, t));
    return projected.map(([queries, , , z], t) => {
      const h = queries.flatMap((query, head) => {
        const sums: number[] = new Array<number>(valueWidth).fill(0);
        let normalizer = 0;
        for (let s = 0; s <= t; s++) {
          let weight = dot(place(query, t), place(projected[s][1][head], s)) / Math.sqrt(WIDTH);
          for (let r = s + 1; r <= t; r++) weight *= gates[r][head];
          normalizer += weight;
          projected[s][2][head].forEach((value, d) => {
            sums[d] += weight * value;
          });
        }
        return sums.map((value) => (normalize ? value / Math.max(Math.abs(normalizer), 1) : value));
      });
      const gated = normed(h, valueWidth, values['head_norm.norm']).map(
        (value, d) => value * silu(z.flat()[d]),
      );
      return apply(values, 'out_proj', gated);
    });
  };

const linearAttention = (decay: 'gated' | 'retention'): MixerCase => ({
  dim: DIM,
  near: { 'gate_proj.bias': 1, 'head_norm.norm': 1 },
  build: (scope) => new LinearAttentionMixer(scope, { ...common, valueWidth: valueWidthOf(decay), decay }),
  oracle: linearOracle(decay, true),
});

/** Of a head; values are twice as wide. */
const KEY = 3;
const VALUE = 2 * KEY;

const gatedDelta = (eigenvalues: '[0,1]' | '[-1,1]'): MixerCase => ({
  dim: DIM,
  near: { 'head_norm.norm': 1 },
  build: (scope) => new GatedDeltaMixer(scope, { ...common, keyWidth: KEY, eigenvalues }),
  oracle: (x, values) => {
    const convolved = convolve(
      values,
      'conv1d',
      x.map((input) => apply(values, 'qkv_proj', input)),
      4,
    ).map((row) => {
      const [q, k] = slices(row.slice(0, 2 * HEADS * KEY).map(silu), HEADS * KEY);
      const v = row.slice(2 * HEADS * KEY).map(silu);
      return [slices(q, KEY), slices(k, KEY), slices(v, VALUE)];
    });
    const unit = (head: number[]): number[] => {
      const size = Math.sqrt(dot(head, head) + KEY * 1e-6);
      return head.map((value) => value / size);
    };
    // S [H][DK][DV]; the transition matrix is formed as it is written.
    let memory = Array.from({ length: HEADS }, () =>
      Array.from({ length: KEY }, () => new Array<number>(VALUE).fill(0)),
    );
    return x.map((input, t) => {
      const strength = apply(values, 'b_proj', input).map(
        (b) => (eigenvalues === '[0,1]' ? 1 : 2) * sigmoid(b),
      );
      const rate = apply(values, 'a_proj', input).map((a, head) =>
        Math.exp(-Math.exp(values.A_log[head]) * softplus(a)),
      );
      const [q, k, v] = convolved[t];
      memory = memory.map((s, head) => {
        const key = unit(k[head]);
        const transition = key.map((ki, i) =>
          key.map((kj, j) => rate[head] * ((i === j ? 1 : 0) - strength[head] * ki * kj)),
        );
        return transition.map((row, i) =>
          s[0].map(
            (_, d) =>
              dot(
                row,
                s.map((r) => r[d]),
              ) +
              strength[head] * key[i] * v[head][d],
          ),
        );
      });
      const h = memory.flatMap((s, head) =>
        s[0].map((_, d) =>
          dot(
            unit(q[head]),
            s.map((r) => r[d]),
          ),
        ),
      );
      const gate = apply(values, 'gate_proj', input);
      const gated = normed(h, VALUE, values['head_norm.norm']).map((value, d) => value * silu(gate[d]));
      return apply(values, 'out_proj', gated);
    });
  },
});

const cases: Readonly<Record<string, MixerCase>> = {
  'Elman RNN': recurrent('rnn', 1),
  GRU: recurrent('gru', 1),
  LSTM: recurrent('lstm', 1),
  'block-diagonal LSTM': recurrent('lstm', HEADS),
  'attention with rotary positions': attending(true),
  'attention without positions': attending(false),
  Mamba: mamba,
  minLSTM: minLstm,
  RetNet: linearAttention('retention'),
  'gated linear attention': linearAttention('gated'),
  'Gated DeltaNet [0, 1]': gatedDelta('[0,1]'),
  'Gated DeltaNet [-1, 1]': gatedDelta('[-1,1]'),
};

describe.each(Object.entries(cases))('%s', (_, mixer) => {
  it('is what plain loops compute, document by document', () => checkOracle(mixer));
  it('reads token by token and in pieces what it reads at once', () => checkSteps(mixer));
  it('has the gradients that central differences have', () => checkGradients(mixer));
});

describe.each(['retention', 'gated'] as const)('linear attention, %s', (decay) => {
  it('does not depend on the denominator of the cell: the norm takes it out', async () => {
    const mixer = linearAttention(decay);
    const values = drawnValues(mixer);
    const random = new Random(3);
    const x = Array.from({ length: 40 }, () => Array.from({ length: DIM }, () => random.uniform(-1, 1)));
    const [with_, without] = [true, false].map((normalize) =>
      linearOracle(decay, normalize)(x, values).flat(),
    );
    const error = Math.max(...with_.map((value, i) => Math.abs(value - without[i])));
    expect(error).toBeLessThan(1e-3 * Math.max(...without.map(Math.abs)));
  });
});
