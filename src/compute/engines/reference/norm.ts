import type { Operands } from './operands.ts';

export function normForward(args: Operands<'normForward'>): void {
  const { groups, size, x, weight, bias, y, stats } = args;
  for (let row = 0; row < args.rows; row++) {
    for (let g = 0; g < groups; g++) {
      const at = row * args.ldx + g * size;
      let mean = 0;
      if (!args.rms) {
        for (let d = 0; d < size; d++) mean += x[at + d];
        mean /= size;
      }
      let variance = 0;
      for (let d = 0; d < size; d++) variance += (x[at + d] - mean) ** 2;
      const inverse = 1 / Math.sqrt(variance / size + args.eps);
      for (let d = 0; d < size; d++) {
        const column = g * size + d;
        const factor = weight ? args.weightOffset + weight[column] : 1;
        y[row * args.ldy + column] = (x[at + d] - mean) * inverse * factor + (bias ? bias[column] : 0);
      }
      stats[(row * groups + g) * 2] = mean;
      stats[(row * groups + g) * 2 + 1] = inverse;
    }
  }
}

/**
 * With x̂ = (x − μ) · s and g = dy · factor: dx = s · (g − mean(g) − x̂ · mean(g · x̂)); an RMS norm has no mean(g).
 */
export function normBackward(args: Operands<'normBackward'>): void {
  const { groups, size, x, weight, stats, dy, residual, dx, dweight, dbias } = args;
  const width = groups * size;
  const weightSum = new Float64Array(width);
  const biasSum = new Float64Array(width);
  for (let row = 0; row < args.rows; row++) {
    for (let g = 0; g < groups; g++) {
      const mean = stats[(row * groups + g) * 2];
      const inverse = stats[(row * groups + g) * 2 + 1];
      const normalized = new Float64Array(size);
      const gradient = new Float64Array(size);
      let gradientMean = 0;
      let productMean = 0;
      for (let d = 0; d < size; d++) {
        const column = g * size + d;
        const upstream = dy[row * args.lddy + column];
        normalized[d] = (x[row * args.ldx + column] - mean) * inverse;
        gradient[d] = upstream * (weight ? args.weightOffset + weight[column] : 1);
        gradientMean += gradient[d] / size;
        productMean += (gradient[d] * normalized[d]) / size;
        weightSum[column] += upstream * normalized[d];
        biasSum[column] += upstream;
      }
      if (args.rms) gradientMean = 0;
      for (let d = 0; d < size; d++) {
        const column = g * size + d;
        const through = inverse * (gradient[d] - gradientMean - normalized[d] * productMean);
        dx[row * args.lddx + column] = through + (residual ? residual[row * args.ldResidual + column] : 0);
      }
    }
  }
  dweight?.set(weightSum);
  dbias?.set(biasSum);
}
