import type { Operands } from './operands.ts';

export function selectiveScanForward(args: Operands<'selectiveScanForward'>): void {
  const { length, dim, states, chunk, x, delta, a, b, c, reset, state, y, lastState, chunkStates } = args;
  const chunks = Math.ceil(length / chunk);
  for (let member = 0; member < args.batch; member++) {
    const size = states * dim;
    const h = state ? state.slice(member * size, (member + 1) * size) : new Float64Array(size);
    for (let t = 0; t < length; t++) {
      const row = member * length + t;
      if (t % chunk === 0) chunkStates?.set(h, (member * chunks + t / chunk) * size);
      if (reset && reset[row] === 1) h.fill(0);
      for (let d = 0; d < dim; d++) {
        const step = delta[row * args.lddelta + d];
        let sum = 0;
        for (let s = 0; s < states; s++) {
          const at = s * dim + d;
          h[at] = Math.exp(step * a[at]) * h[at] + step * b[row * args.ldb + s] * x[row * args.ldx + d];
          sum += c[row * args.ldc + s] * h[at];
        }
        y[row * args.ldy + d] = sum;
      }
    }
    lastState?.set(h, member * size);
  }
}

/** Every state is computed again from the entry of the sequence: of chunkStates the first alone is read. */
export function selectiveScanBackward(args: Operands<'selectiveScanBackward'>): void {
  const { batch, length, dim, states, chunk, x, delta, a, b, c, reset, chunkStates, dy } = args;
  const { dx, ddelta, da, db, dc } = args;
  const size = states * dim;
  const starts = (row: number): boolean => reset !== undefined && reset[row] === 1;
  da.fill(0, 0, size);
  for (let member = 0; member < batch; member++) {
    const first = member * Math.ceil(length / chunk) * size;
    /** trace[t] is the state before token t, after a reset; trace[t + 1] follows from it. */
    const trace = [chunkStates.slice(first, first + size)];
    for (let t = 0; t < length; t++) {
      const row = member * length + t;
      if (starts(row)) trace[t] = new Float64Array(size);
      trace.push(
        trace[t].map((h, at) => {
          const [s, d] = [Math.floor(at / dim), at % dim];
          const step = delta[row * args.lddelta + d];
          return Math.exp(step * a[at]) * h + step * b[row * args.ldb + s] * x[row * args.ldx + d];
        }),
      );
    }
    const last = args.dlastState;
    const carried = last ? last.slice(member * size, (member + 1) * size) : new Float64Array(size);
    for (let t = length - 1; t >= 0; t--) {
      const row = member * length + t;
      for (let s = 0; s < states; s++) {
        db[row * args.lddb + s] = 0;
        dc[row * args.lddc + s] = 0;
      }
      for (let d = 0; d < dim; d++) {
        const step = delta[row * args.lddelta + d];
        const input = x[row * args.ldx + d];
        const upstream = dy[row * args.lddy + d];
        let dinput = 0;
        let dstep = 0;
        for (let s = 0; s < states; s++) {
          const at = s * dim + d;
          const decay = Math.exp(step * a[at]);
          const after = decay * trace[t][at] + step * b[row * args.ldb + s] * input;
          const g = carried[at] + upstream * c[row * args.ldc + s];
          dc[row * args.lddc + s] += upstream * after;
          db[row * args.lddb + s] += g * step * input;
          dinput += g * step * b[row * args.ldb + s];
          dstep += g * (b[row * args.ldb + s] * input + a[at] * decay * trace[t][at]);
          da[at] += g * step * decay * trace[t][at];
          carried[at] = starts(row) ? 0 : g * decay;
        }
        dx[row * args.lddx + d] = dinput;
        ddelta[row * args.ldddelta + d] = dstep;
      }
    }
    args.dstate?.set(carried, member * size);
  }
}
