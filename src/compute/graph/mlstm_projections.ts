import { fitsThread } from '../program/kernels.ts';
import { add } from './elementwise.ts';
import { gateLinear, headwiseLinear } from './matmul.ts';
import { defineOp, oneCall, type Tensor } from './op.ts';
import { createNode, requireShape } from './tensor.ts';
import { concat, reshape, split } from './views.ts';

const mlstmProjectionsOp = defineOp({
  name: 'mlstmProjections',
  ...oneCall('mlstmProjectionsForward'),
  absorbs: ['a'],
  parts: {
    // Larger blocks are worth matrix products.
    replace: ({ attributes }, limits) =>
      attributes.size > limits.smallBlock || !fitsThread('mlstmProjectionsBackward', attributes, limits),
    build: separately,
  },
  gradient(node, d, sofar) {
    const { a, x, weight, gateWeight, gateBias } = node.inputs;
    return createNode(
      mlstmProjectionsBackwardOp,
      { ...node.inputs, ...d, residual: sofar.a },
      {
        da: a.shape,
        dx: x.shape,
        dweight: weight.shape,
        dbias: [node.outputs.qkv.cols],
        dgateWeight: gateWeight.shape,
        dgateBias: gateBias.shape,
      },
      node.attributes,
      node,
    );
  },
});

const mlstmProjectionsBackwardOp = defineOp({
  name: 'mlstmProjectionsBackward',
  backwardOf: 'mlstmProjections',
  ...oneCall('mlstmProjectionsBackward'),
});

type Inputs = Readonly<Record<'a' | 'x' | 'weight' | 'gateWeight' | 'gateBias', Tensor>> & {
  readonly bias: Tensor | undefined;
};

/** One operation after the other: for blocks of any size, and for any width. */
function separately({ a, x, weight, bias, gateWeight, gateBias }: Inputs): { qkv: Tensor; gate: Tensor } {
  const size = weight.cols;
  const groups = weight.shape[0] / 3;
  const elements = groups * size * size;
  const sets = split(reshape(weight, [3 * elements]), [elements, elements, elements]);
  const projected = concat(
    [a, a, x].map((input, i) => headwiseLinear(input, reshape(sets[i], [groups, size, size]))),
  );
  const qkv = bias ? add(projected, bias) : projected;
  return { qkv, gate: gateLinear(qkv, gateWeight, gateBias) };
}

/**
 * What an mLSTM cell reads: q and k from a, v from x, each by blocks on the diagonal; the gates' pre-activations from
 * all three:
 *
 * ```text
 * qkv = [blocks₀ a | blocks₁ a | blocks₂ x] + bias
 * gates = gate.weight · qkv + gate.bias
 * ```
 *
 * Small blocks take one pass over a and x each way.
 *
 * @param inputs a and x: [..., D].
 * @param projections weight [3 · D/S, S, S]; bias [3·D], or none.
 * @param gate weight [G, 3·D]; bias [G].
 */
export function mlstmProjections(
  { a, x }: { readonly a: Tensor; readonly x: Tensor },
  { weight, bias }: { readonly weight: Tensor; readonly bias?: Tensor },
  gate: { readonly weight: Tensor; readonly bias: Tensor },
): {
  /** q, k and v side by side: [..., 3·D]. */
  qkv: Tensor;
  /** [..., G] */
  gates: Tensor;
} {
  const width = a.cols;
  const [blocks, out, size] = weight.shape;
  requireShape(a.shape.join() === x.shape.join(), 'mlstmProjections', 'a and x of the same shape', a, x);
  requireShape(
    weight.shape.length === 3 && out === size && blocks * size === 3 * width,
    'mlstmProjections',
    `a weight [3 · ${width} / S, S, S]`,
    weight,
  );
  requireShape(
    !bias || bias.shape.join() === String(3 * width),
    'mlstmProjections',
    `a bias [${3 * width}]`,
    bias,
  );
  requireShape(
    gate.weight.shape.length === 2 &&
      gate.weight.cols === 3 * width &&
      gate.bias.shape.join() === String(gate.weight.rows),
    'mlstmProjections',
    `gates with a weight [G, ${3 * width}] and a bias [G]`,
    gate.weight,
    gate.bias,
  );
  const leading = a.shape.slice(0, -1);
  const gates = gate.weight.rows;
  const made = createNode(
    mlstmProjectionsOp,
    { a, x, weight, bias, gateWeight: gate.weight, gateBias: gate.bias },
    { qkv: [...leading, 3 * width], gate: [...leading, gates] },
    { rows: a.rows, groups: blocks / 3, size, gates },
  );
  return { qkv: made.qkv, gates: made.gate };
}
