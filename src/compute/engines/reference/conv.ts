import { sigmoid } from './math.ts';
import type { Operands } from './operands.ts';

/**
 * Time of the oldest token that token t of a batch member may see: its document's first token, or, where no
 * document starts in this piece, the oldest row of the state that the piece continues.
 */
function horizon(
  reset: Float64Array | undefined,
  length: number,
  b: number,
  t: number,
  taps: number,
): number {
  for (let start = t; start >= 0; start--) if (reset && reset[b * length + start] === 1) return start;
  return 1 - taps;
}

/** x at a time that may lie before this piece: time −1 is the newest row of the state. */
function valueAt(
  { length, dim, taps, x, ldx, state }: Operands<'convForward' | 'convBackward'>,
  b: number,
  time: number,
  d: number,
): number {
  if (time >= 0) return x[(b * length + time) * ldx + d];
  return state ? state[((b + 1) * (taps - 1) + time) * dim + d] : 0;
}

/** The weighted sum at time t, of which the oldest token that counts is given. */
function sumAt(
  args: Operands<'convForward' | 'convBackward'>,
  b: number,
  t: number,
  d: number,
  oldest: number,
): number {
  const { taps, weight, bias } = args;
  let sum = bias ? bias[d] : 0;
  for (let j = 0; j < taps; j++) {
    const time = t - (taps - 1) + j;
    if (time >= oldest) sum += weight[d * taps + j] * valueAt(args, b, time, d);
  }
  return sum;
}

export function convForward(args: Operands<'convForward'>): void {
  const { length, dim, taps, silu, reset, y, lastState } = args;
  const history = taps - 1;
  for (let b = 0; b < args.batch; b++) {
    for (let t = 0; t < length; t++) {
      const oldest = horizon(reset, length, b, t, taps);
      for (let d = 0; d < dim; d++) {
        const sum = sumAt(args, b, t, d, oldest);
        y[(b * length + t) * args.ldy + d] = silu ? sum * sigmoid(sum) : sum;
      }
    }
    if (lastState) {
      const oldest = horizon(reset, length, b, length - 1, taps);
      for (let s = 0; s < history; s++) {
        const time = length - history + s;
        for (let d = 0; d < dim; d++) {
          lastState[(b * history + s) * dim + d] = time >= oldest ? valueAt(args, b, time, d) : 0;
        }
      }
    }
  }
}

export function convBackward(args: Operands<'convBackward'>): void {
  const {
    batch,
    length,
    dim,
    taps,
    silu,
    weight,
    reset,
    dy,
    dlastState,
    residual,
    dx,
    dweight,
    dbias,
    dstate,
  } = args;
  const history = taps - 1;
  dweight.fill(0, 0, dim * taps);
  dbias?.fill(0, 0, dim);
  dstate?.fill(0, 0, batch * history * dim);
  const addGradient = (b: number, time: number, d: number, gradient: number): void => {
    if (time >= 0) dx[(b * length + time) * args.lddx + d] += gradient;
    else if (dstate) dstate[(b * history + history + time) * dim + d] += gradient;
  };
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      const row = b * length + t;
      for (let d = 0; d < dim; d++)
        dx[row * args.lddx + d] = residual ? residual[row * args.ldResidual + d] : 0;
    }
    for (let t = 0; t < length; t++) {
      const oldest = horizon(reset, length, b, t, taps);
      for (let d = 0; d < dim; d++) {
        let upstream = dy[(b * length + t) * args.lddy + d];
        if (silu) {
          const sum = sumAt(args, b, t, d, oldest);
          const s = sigmoid(sum);
          upstream *= s * (1 + sum * (1 - s));
        }
        if (dbias) dbias[d] += upstream;
        for (let j = 0; j < taps; j++) {
          const time = t - history + j;
          if (time < oldest) continue;
          dweight[d * taps + j] += upstream * valueAt(args, b, time, d);
          addGradient(b, time, d, upstream * weight[d * taps + j]);
        }
      }
    }
    if (dlastState) {
      const oldest = horizon(reset, length, b, length - 1, taps);
      for (let s = 0; s < history; s++) {
        const time = length - history + s;
        if (time < oldest) continue;
        for (let d = 0; d < dim; d++) addGradient(b, time, d, dlastState[(b * history + s) * dim + d]);
      }
    }
  }
}
