import type { Operands } from './operands.ts';

export function linearScanForward(args: Operands<'linearScanForward'>): void {
  const { length, dim, a, b, reset, state, y, lastState } = args;
  for (let member = 0; member < args.batch; member++) {
    for (let d = 0; d < dim; d++) {
      let h = state ? state[member * dim + d] : 0;
      for (let t = 0; t < length; t++) {
        const row = member * length + t;
        if (reset && reset[row] === 1) h = 0;
        h = a[row * args.lda + d] * h + b[row * args.ldb + d];
        y[row * args.ldy + d] = h;
      }
      if (lastState) lastState[member * dim + d] = h;
    }
  }
}

export function linearScanBackward(args: Operands<'linearScanBackward'>): void {
  const { length, dim, a, reset, state, y, dy, dlastState, da, db, dstate } = args;
  for (let member = 0; member < args.batch; member++) {
    for (let d = 0; d < dim; d++) {
      let carried = dlastState ? dlastState[member * dim + d] : 0;
      for (let t = length - 1; t >= 0; t--) {
        const row = member * length + t;
        const starts = reset !== undefined && reset[row] === 1;
        const g = carried + dy[row * args.lddy + d];
        let before = state ? state[member * dim + d] : 0;
        if (t > 0) before = y[(row - 1) * args.ldy + d];
        if (starts) before = 0;
        db[row * args.lddb + d] = g;
        da[row * args.ldda + d] = g * before;
        carried = starts ? 0 : g * a[row * args.lda + d];
      }
      if (dstate) dstate[member * dim + d] = carried;
    }
  }
}
