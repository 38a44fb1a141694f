import type { Operands } from './operands.ts';

/** q, k of a and v of x, [3·D] of one row. */
function project(
  args: Operands<'mlstmProjectionsForward' | 'mlstmProjectionsBackward'>,
  row: number,
): Float64Array {
  const { groups, size, a, x, weight, bias } = args;
  const width = groups * size;
  const qkv = new Float64Array(3 * width);
  for (let column = 0; column < 3 * width; column++) {
    const block = Math.floor(column / size);
    let sum = bias ? bias[column] : 0;
    for (let i = 0; i < size; i++) {
      const from = (block % groups) * size + i;
      const input = column < 2 * width ? a[row * args.lda + from] : x[row * args.ldx + from];
      sum += weight[column * size + i] * input;
    }
    qkv[column] = sum;
  }
  return qkv;
}

export function mlstmProjectionsForward(args: Operands<'mlstmProjectionsForward'>): void {
  const { gates, gateWeight, gateBias, qkv, gate } = args;
  for (let row = 0; row < args.rows; row++) {
    const projected = project(args, row);
    qkv.set(projected, row * args.ldqkv);
    for (let j = 0; j < gates; j++) {
      const weights = gateWeight.subarray(j * projected.length, (j + 1) * projected.length);
      gate[row * args.ldGate + j] = projected.reduce(
        (sum, value, c) => sum + value * weights[c],
        gateBias[j],
      );
    }
  }
}

export function mlstmProjectionsBackward(args: Operands<'mlstmProjectionsBackward'>): void {
  const { groups, size, gates, a, x, weight, gateWeight, dqkv, dgate, residual, da, dx } = args;
  const width = groups * size;
  const all = 3 * width;
  const sums = {
    weight: new Float64Array(all * size),
    bias: new Float64Array(all),
    gateWeight: new Float64Array(gates * all),
    gateBias: new Float64Array(gates),
  };
  for (let row = 0; row < args.rows; row++) {
    const projected = project(args, row);
    const d = new Float64Array(all);
    for (let c = 0; c < all; c++) {
      d[c] = dqkv[row * args.lddqkv + c];
      for (let j = 0; j < gates; j++) {
        const upstream = dgate[row * args.lddgate + j];
        d[c] += upstream * gateWeight[j * all + c];
        sums.gateWeight[j * all + c] += upstream * projected[c];
      }
      sums.bias[c] += d[c];
    }
    for (let j = 0; j < gates; j++) sums.gateBias[j] += dgate[row * args.lddgate + j];
    const towardsA = new Float64Array(width);
    const towardsX = new Float64Array(width);
    for (let c = 0; c < all; c++) {
      for (let i = 0; i < size; i++) {
        const from = (Math.floor(c / size) % groups) * size + i;
        const input = c < 2 * width ? a[row * args.lda + from] : x[row * args.ldx + from];
        sums.weight[c * size + i] += d[c] * input;
        (c < 2 * width ? towardsA : towardsX)[from] += d[c] * weight[c * size + i];
      }
    }
    for (let i = 0; i < width; i++) {
      da[row * args.ldda + i] = towardsA[i] + (residual ? residual[row * args.ldResidual + i] : 0);
      dx[row * args.lddx + i] = towardsX[i];
    }
  }
  args.dweight.set(sums.weight);
  args.dbias?.set(sums.bias);
  args.dgateWeight.set(sums.gateWeight);
  args.dgateBias.set(sums.gateBias);
}
