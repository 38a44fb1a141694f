import { invariant } from '../../../errors.ts';
import type { Operands } from './operands.ts';

type Inputs = Operands<'attentionForward'> | Operands<'attentionBackward'>;

/** A token that a query sees; `time` is its place in the sequence, undefined for one of the state. */
interface Seen {
  readonly key: Float64Array;
  readonly value: Float64Array;
  readonly time: number | undefined;
}

const slice = (x: Float64Array, from: number, count: number): Float64Array => x.slice(from, from + count);

/** What token t of batch member b sees with one head, oldest first. */
function seenBy(a: Inputs, b: number, head: number, t: number): Seen[] {
  const { length, heads, headDim, window, counts } = a;
  const count = counts[b * length + t];
  return Array.from({ length: Math.min(count, window) }, (_, i) => {
    const age = Math.min(count, window) - 1 - i;
    const time = t - age;
    if (time >= 0) {
      const row = b * length + time;
      return {
        key: slice(a.k, row * a.ldk + head * headDim, headDim),
        value: slice(a.v, row * a.ldv + head * headDim, headDim),
        time,
      };
    }
    invariant(
      a.keys !== undefined && a.values !== undefined,
      `attention: token ${t} has ${count - 1} predecessors and no state`,
    );
    const at = ((b * heads + head) * window + ((count - age - 1) % window)) * headDim;
    return { key: slice(a.keys, at, headDim), value: slice(a.values, at, headDim), time: undefined };
  });
}

const dot = (x: Float64Array, y: Float64Array): number => x.reduce((sum, value, i) => sum + value * y[i], 0);

export function attentionForward(a: Operands<'attentionForward'>): void {
  const { batch, length, heads, headDim, window, counts } = a;
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      const member = b * heads + head;
      for (let t = 0; t < length; t++) {
        const row = b * length + t;
        const query = slice(a.q, row * a.ldq + head * headDim, headDim);
        const seen = seenBy(a, b, head, t);
        const scores = seen.map(({ key }) => a.scale * dot(query, key));
        const largest = Math.max(...scores);
        const logSum = largest + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - largest), 0));
        const h = new Float64Array(headDim);
        seen.forEach(({ value }, i) => {
          for (let d = 0; d < headDim; d++) h[d] += Math.exp(scores[i] - logSum) * value[d];
        });
        a.h.set(h, row * a.ldh + head * headDim);
        a.logSums?.set([logSum], member * length + t);
      }
    }
  }
  // The state may be overwritten in place: only now has every token read it.
  for (const [last, before, x, ld] of [
    [a.lastKeys, a.keys, a.k, a.ldk],
    [a.lastValues, a.values, a.v, a.ldv],
  ] as const) {
    if (!last) continue;
    const size = batch * heads * window * headDim;
    last.set(before ? before.slice(0, size) : new Float64Array(size));
    for (let row = 0; row < batch * length; row++) {
      const b = Math.floor(row / length);
      for (let head = 0; head < heads; head++) {
        const at = ((b * heads + head) * window + ((counts[row] - 1) % window)) * headDim;
        last.set(slice(x, row * ld + head * headDim, headDim), at);
      }
    }
  }
}

export function attentionBackward(a: Operands<'attentionBackward'>): void {
  const { batch, length, heads, headDim } = a;
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      const column = head * headDim;
      for (let t = 0; t < length; t++) {
        const row = b * length + t;
        for (let d = 0; d < headDim; d++) {
          a.dq[row * a.lddq + column + d] = 0;
          a.dk[row * a.lddk + column + d] = 0;
          a.dv[row * a.lddv + column + d] = 0;
        }
      }
      for (let t = 0; t < length; t++) {
        const row = b * length + t;
        const query = slice(a.q, row * a.ldq + column, headDim);
        const dh = slice(a.dh, row * a.lddh + column, headDim);
        const mean = dot(dh, slice(a.h, row * a.ldh + column, headDim));
        const logSum = a.logSums[(b * heads + head) * length + t];
        for (const { key, value, time } of seenBy(a, b, head, t)) {
          const probability = Math.exp(a.scale * dot(query, key) - logSum);
          const dscore = probability * (dot(dh, value) - mean) * a.scale;
          for (let d = 0; d < headDim; d++) {
            a.dq[row * a.lddq + column + d] += dscore * key[d];
            if (time === undefined) continue;
            const from = b * length + time;
            a.dk[from * a.lddk + column + d] += dscore * query[d];
            a.dv[from * a.lddv + column + d] += probability * dh[d];
          }
        }
      }
    }
  }
}
