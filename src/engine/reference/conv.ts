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

export function convForward(args: Operands<'convForward'>): void {
  const { length, dim, taps, x, weight, bias, reset, state, y, lastState } = args;
  const history = taps - 1;
  /** x at a time that may lie before this piece: time −1 is the newest row of the state. */
  const at = (b: number, time: number, d: number): number => {
    if (time >= 0) return x[(b * length + time) * args.ldx + d];
    return state ? state[(b * history + history + time) * dim + d] : 0;
  };
  for (let b = 0; b < args.batch; b++) {
    for (let t = 0; t < length; t++) {
      const oldest = horizon(reset, length, b, t, taps);
      for (let d = 0; d < dim; d++) {
        let sum = bias ? bias[d] : 0;
        for (let j = 0; j < taps; j++) {
          const time = t - history + j;
          if (time >= oldest) sum += weight[d * taps + j] * at(b, time, d);
        }
        y[(b * length + t) * args.ldy + d] = sum;
      }
    }
    if (lastState) {
      const oldest = horizon(reset, length, b, length - 1, taps);
      for (let s = 0; s < history; s++) {
        const time = length - history + s;
        for (let d = 0; d < dim; d++) {
          lastState[(b * history + s) * dim + d] = time >= oldest ? at(b, time, d) : 0;
        }
      }
    }
  }
}

export function convBackward(args: Operands<'convBackward'>): void {
  const { batch, length, dim, taps, x, weight, reset, state, dy, dlastState, dx, dweight, dbias, dstate } =
    args;
  const history = taps - 1;
  dweight.fill(0, 0, dim * taps);
  dbias?.fill(0, 0, dim);
  dstate?.fill(0, 0, batch * history * dim);
  const at = (b: number, time: number, d: number): number => {
    if (time >= 0) return x[(b * length + time) * args.ldx + d];
    return state ? state[(b * history + history + time) * dim + d] : 0;
  };
  const addGradient = (b: number, time: number, d: number, gradient: number): void => {
    if (time >= 0) dx[(b * length + time) * args.lddx + d] += gradient;
    else if (dstate) dstate[(b * history + history + time) * dim + d] += gradient;
  };
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let d = 0; d < dim; d++) dx[(b * length + t) * args.lddx + d] = 0;
    }
    for (let t = 0; t < length; t++) {
      const oldest = horizon(reset, length, b, t, taps);
      for (let d = 0; d < dim; d++) {
        const upstream = dy[(b * length + t) * args.lddy + d];
        if (dbias) dbias[d] += upstream;
        for (let j = 0; j < taps; j++) {
          const time = t - history + j;
          if (time < oldest) continue;
          dweight[d * taps + j] += upstream * at(b, time, d);
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
