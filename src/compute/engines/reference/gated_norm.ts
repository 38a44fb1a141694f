import { sigmoid } from './math.ts';
import { normBackward, normForward } from './norm.ts';
import type { Operands } from './operands.ts';

export function gatedNormForward(args: Operands<'gatedNormForward'>): void {
  const { rows, skip, addend, gate, y } = args;
  const width = args.groups * args.size;
  const normed = new Float64Array(rows * width);
  normForward({ ...args, y: normed, ldy: width });
  for (let row = 0; row < rows; row++) {
    for (let d = 0; d < width; d++) {
      const z = gate[row * args.ldGate + d];
      const added = skip && addend ? skip[d] * addend[row * args.ldAddend + d] : 0;
      y[row * args.ldy + d] = (normed[row * width + d] + added) * z * sigmoid(z);
    }
  }
}

/**
 * With s = σ(gate), n = x̂ · factor + bias and u = n + skip ∘ addend: du = dy ∘ gate ∘ s,
 * dgate = dy ∘ u ∘ s ∘ (1 + gate ∘ (1 − s)), daddend = du ∘ skip, dskip = Σ du ∘ addend; du is the norm's upstream.
 */
export function gatedNormBackward(args: Operands<'gatedNormBackward'>): void {
  const { rows, groups, size, x, weight, bias, stats, skip, addend, gate, dy, dgate, daddend, dskip } = args;
  const width = groups * size;
  const upstream = new Float64Array(rows * width);
  const skipSum = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    for (let d = 0; d < width; d++) {
      const at = (row * groups + Math.floor(d / size)) * 2;
      const normalized = (x[row * args.ldx + d] - stats[at]) * stats[at + 1];
      const factor = weight ? args.weightOffset + weight[d] : 1;
      const z = gate[row * args.ldGate + d];
      const s = sigmoid(z);
      const gradient = dy[row * args.lddy + d];
      const du = gradient * z * s;
      let u = normalized * factor + (bias ? bias[d] : 0);
      if (skip && addend) {
        const added = addend[row * args.ldAddend + d];
        u += skip[d] * added;
        skipSum[d] += du * added;
        if (daddend) daddend[row * args.lddaddend + d] = du * skip[d];
      }
      dgate[row * args.lddgate + d] = gradient * u * s * (1 + z * (1 - s));
      upstream[row * width + d] = du;
    }
  }
  dskip?.set(skipSum);
  normBackward({ ...args, dy: upstream, lddy: width });
}
