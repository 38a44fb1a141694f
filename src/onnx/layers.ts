import type { KernelNumbers, Named, Tensor } from '../compute/graph/op.ts';
import { type Emitter, type Emitting, emitter, requireOneStep, stateOr0 } from './emitter.ts';

interface MatmulAttributes {
  readonly batch: number;
  readonly transA: boolean;
  readonly transB: boolean;
}

interface BlockAttributes {
  readonly groups: number;
  readonly inSize: number;
  readonly outSize: number;
  readonly transW: boolean;
}

type NormAttributes = KernelNumbers<'normForward'>;

/** norm(x) in rows [rows, groups · size]. */
function normed({ x, weight, bias }: Named, attributes: NormAttributes, to: Emitting): string {
  const { rows, groups, size, rms, eps, weightOffset } = attributes;
  const { graph } = to;
  const grouped = to.shaped(x, [rows, groups, size]);
  const centered = rms ? grouped : graph.subtract(grouped, graph.mean(grouped, 2));
  const variance = graph.mean(graph.multiply(centered, centered), 2);
  const deviation = graph.node('Sqrt', [graph.add(variance, graph.number(eps))]);
  let y = graph.reshape(graph.divide(centered, deviation), [rows, groups * size]);
  if (weight) {
    const factor = to.of(weight);
    y = graph.multiply(y, weightOffset ? graph.add(factor, graph.number(weightOffset)) : factor);
  }
  return bias ? graph.add(y, to.of(bias)) : y;
}

const asRows = (t: Tensor, to: Emitting): string => to.shaped(t, [t.rows, t.cols]);

export const layerEmitters: Readonly<Record<string, Emitter>> = {
  matmul: emitter<MatmulAttributes>(({ inputs, outputs: { c }, attributes }, to) => {
    const { a, b, bias, residual } = inputs;
    const { batch, transA, transB } = attributes;
    if (batch !== 1) to.refuse('it multiplies a batch of matrices');
    const { graph } = to;
    const operands = [asRows(a, to), asRows(b, to), ...(bias ? [to.shaped(bias, [c.cols])] : [])];
    const product = graph.node('Gemm', operands, { transA: Number(transA), transB: Number(transB) });
    const shaped = graph.reshape(product, c.shape);
    return { c: residual ? graph.add(shaped, to.shaped(residual, c.shape)) : shaped };
  }),

  headwiseLinear: emitter<BlockAttributes>(
    ({ inputs: { x, w, residual }, outputs: { y }, attributes }, to) => {
      const { groups, inSize, outSize, transW } = attributes;
      const { graph } = to;
      const weight = transW
        ? to.shaped(w, [groups, inSize, outSize])
        : graph.node('Transpose', [to.shaped(w, [groups, outSize, inSize])], { perm: [0, 2, 1] });
      const product = graph.matmul(to.shaped(x, [x.rows, groups, 1, inSize]), weight);
      const shaped = graph.reshape(product, y.shape);
      return { y: residual ? graph.add(shaped, to.shaped(residual, y.shape)) : shaped };
    },
  ),

  norm: emitter<NormAttributes>(({ inputs, outputs: { y }, attributes }, to) => ({
    y: to.graph.reshape(normed(inputs, attributes, to), y.shape),
  })),

  // (norm(x) + skip ∘ addend) ∘ SiLU(gate)
  gatedNorm: emitter<NormAttributes>(({ inputs, outputs: { y }, attributes }, to) => {
    const { gate, skip, addend } = inputs;
    const { graph } = to;
    let inner = normed(inputs, attributes, to);
    if (skip && addend) inner = graph.add(inner, graph.multiply(to.of(skip), asRows(addend, to)));
    return { y: graph.reshape(graph.multiply(inner, graph.silu(asRows(gate, to))), y.shape) };
  }),

  embedding: emitter(({ inputs: { tokens, table } }, to) => ({
    y: to.graph.node('Gather', [to.of(table), to.graph.cast(to.of(tokens), 'int64')], { axis: 0 }),
  })),

  causalConv: emitter<KernelNumbers<'convForward'>>((node, to) => {
    const { x, weight, bias, state } = node.inputs;
    const { batch, length, dim, taps, silu } = node.attributes;
    requireOneStep(node, length, to);
    const { graph } = to;
    const before = stateOr0(state, [batch, taps - 1, dim], to);
    const seen = graph.concat([before, to.of(x)], 1); // [B, taps, D]
    const weights = graph.node('Transpose', [to.shaped(weight, [dim, taps])], { perm: [1, 0] });
    let y = graph.sum(graph.multiply(seen, weights), 1);
    if (bias) y = graph.add(y, to.of(bias));
    const [, lastState] = graph.split(seen, [1, taps - 1], 1);
    return { y: silu ? graph.silu(y) : y, lastState };
  }),
};
