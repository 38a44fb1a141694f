import { cells, type Unit } from './cells.ts';
import type { Operands } from './operands.ts';

/** rec_g = R_g · y_{t−1} + b_g of every unit: [G, D]. */
function recurrence(a: Operands<'recurrentForward'>, y: Float64Array): Float64Array {
  const { heads, headDim, gatesPerUnit } = a;
  const width = heads * headDim;
  const rec = new Float64Array(gatesPerUnit * width);
  for (let g = 0; g < gatesPerUnit; g++) {
    for (let head = 0; head < heads; head++) {
      for (let out = 0; out < headDim; out++) {
        const column = g * width + head * headDim + out;
        let sum = a.bias ? a.bias[column] : 0;
        for (let i = 0; i < headDim; i++) {
          sum += a.r[((head * gatesPerUnit + g) * headDim + out) * headDim + i] * y[head * headDim + i];
        }
        rec[column] = sum;
      }
    }
  }
  return rec;
}

/** Σ_g R_gᵀ · drec_g, clipped: the gradient that flows into y_{t−1} [D] through R. */
function recurrenceGradient(a: Operands<'recurrentBackward'>, drec: Float64Array): Float64Array {
  const { heads, headDim, gatesPerUnit, recurrentClip } = a;
  const width = heads * headDim;
  const dy = new Float64Array(width);
  if (a.cutRecurrent) return dy;
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < headDim; i++) {
      let sum = 0;
      for (let g = 0; g < gatesPerUnit; g++) {
        for (let out = 0; out < headDim; out++) {
          const weight = a.r[((head * gatesPerUnit + g) * headDim + out) * headDim + i];
          sum += weight * drec[g * width + head * headDim + out];
        }
      }
      if (recurrentClip > 0) sum = Math.min(Math.max(sum, -recurrentClip), recurrentClip);
      dy[head * headDim + i] = sum;
    }
  }
  return dy;
}

/** Row `index` of an array of rows, or zeros. */
const rowOf = (x: Float64Array | undefined, index: number, width: number): Float64Array =>
  x ? x.slice(index * width, (index + 1) * width) : new Float64Array(width);

export function recurrentForward(a: Operands<'recurrentForward'>): void {
  const { batch, length, heads, headDim, gatesPerUnit } = a;
  const width = heads * headDim;
  const cell = cells[a.cell];
  for (let b = 0; b < batch; b++) {
    const y = rowOf(a.y0, b, width);
    const c = rowOf(a.c0, b, width);
    const n = rowOf(a.n0, b, width);
    const m = rowOf(a.m0, b, width);
    for (let t = 0; t < length; t++) {
      const row = b * length + t;
      if (a.reset && a.reset[row] === 1) for (const x of [y, c, n, m]) x.fill(0);
      a.previous?.set(y, row * width);
      const rec = recurrence(a, y);
      for (let d = 0; d < width; d++) {
        const before: Unit = { y: y[d], c: c[d], n: n[d], m: m[d] };
        const gates = Array.from({ length: gatesPerUnit }, (_, g) => g * width + d);
        const { unit, saved } = cell.forward(
          before,
          gates.map((column) => a.wx[row * a.ldwx + column]),
          gates.map((column) => rec[column]),
          a.exponentialForget === 1,
        );
        y[d] = unit.y;
        c[d] = unit.c;
        n[d] = unit.n;
        m[d] = unit.m;
        saved.forEach((gate, plane) => {
          a.gates?.set([gate], (row * cell.saved + plane) * width + d);
        });
      }
      a.y.set(y, row * a.ldy);
      if (cell.hasCell) a.cells?.set(c, row * 2 * width);
      if (cell.hasNormalizer) a.cells?.set(n, (row * 2 + 1) * width);
    }
    a.lastY?.set(y, b * width);
    if (cell.hasCell) a.lastC?.set(c, b * width);
    if (cell.hasNormalizer) {
      a.lastN?.set(n, b * width);
      a.lastM?.set(m, b * width);
    }
  }
}

export function recurrentBackward(a: Operands<'recurrentBackward'>): void {
  const { batch, length, heads, headDim, gatesPerUnit } = a;
  const width = heads * headDim;
  const cell = cells[a.cell];
  for (let b = 0; b < batch; b++) {
    /** Gradients of y, c and n after the token at hand, from what follows it. */
    let dy = rowOf(a.dlastY, b, width);
    const dc = rowOf(a.dlastC, b, width);
    const dn = rowOf(a.dlastN, b, width);
    const empty = new Float64Array(width);
    for (let t = length - 1; t >= 0; t--) {
      const row = b * length + t;
      const reset = a.reset !== undefined && a.reset[row] === 1;
      const c = cell.hasCell ? rowOf(a.cells, 2 * row, width) : empty;
      const n = cell.hasNormalizer ? rowOf(a.cells, 2 * row + 1, width) : empty;
      let cBefore: Float64Array = empty;
      let nBefore: Float64Array = empty;
      if (!reset && cell.hasCell)
        cBefore = t > 0 ? rowOf(a.cells, 2 * row - 2, width) : rowOf(a.c0, b, width);
      if (!reset && cell.hasNormalizer) {
        nBefore = t > 0 ? rowOf(a.cells, 2 * row - 1, width) : rowOf(a.n0, b, width);
      }
      const direct = new Float64Array(width);
      const dwx = new Float64Array(gatesPerUnit * width);
      const drec = new Float64Array(gatesPerUnit * width);
      for (let d = 0; d < width; d++) {
        const planes = Array.from(
          { length: cell.saved },
          (_, plane) => (row * cell.saved + plane) * width + d,
        );
        const down = cell.backward(
          {
            saved: planes.map((at) => a.gates![at]),
            y: a.y[row * a.ldy + d],
            c: c[d],
            n: n[d],
            cBefore: cBefore[d],
            nBefore: nBefore[d],
          },
          { dy: dy[d] + a.dy[row * a.lddy + d], dc: dc[d], dn: dn[d] },
        );
        down.dwx.forEach((gradient, g) => {
          dwx[g * width + d] = gradient;
        });
        down.drec.forEach((gradient, g) => {
          drec[g * width + d] = gradient;
        });
        direct[d] = down.dy;
        dc[d] = down.dc;
        dn[d] = down.dn;
      }
      a.dwx.set(dwx, row * a.lddwx);
      a.drec?.set(drec, row * a.lddrec);
      dy = recurrenceGradient(a, drec).map((through, d) => through + direct[d]);
      if (reset) for (const x of [dy, dc, dn]) x.fill(0);
    }
    a.dy0?.set(dy, b * width);
    if (cell.hasCell) a.dc0?.set(dc, b * width);
    if (cell.hasNormalizer) a.dn0?.set(dn, b * width);
  }
}
