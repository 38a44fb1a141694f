import { MLSTM_PROJECTIONS_WIDTH } from '../program/kernels/mlstm.ts';
import { add, multiply } from './elementwise.ts';
import { headwiseLinear, linear, SMALL_BLOCK } from './matmul.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';
import { concat, reshape, split } from './views.ts';

type Inputs = [
  a: Tensor,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  gateWeight: Tensor,
  gateBias: Tensor,
];

/** D = blocks · size is the width of a, x, q, k and v. */
const sizes = (weight: Tensor): { groups: number; size: number } => ({
  groups: weight.shape[0] / 3,
  size: weight.cols,
});

const mlstmProjectionsOp: Op = {
  name: 'mlstmProjections',
  stridedOutputs: [0, 1],
  absorbs: [0],
  backward(node, [dqkv, dgate], [sofar]) {
    if (!dqkv && !dgate) return [sofar];
    const [a, x, weight, bias, gateWeight, gateBias] = node.inputs as Inputs;
    const [qkv, gate] = node.outputs;
    const [da, dx, dweight, dbias, dgateWeight, dgateBias] = createNode(
      mlstmProjectionsBackwardOp,
      [a, x, weight, bias, gateWeight, dqkv ?? multiply(qkv, 0), dgate ?? multiply(gate, 0), sofar],
      undefined,
      [a.shape, x.shape, weight.shape, [qkv.cols], gateWeight.shape, gateBias.shape],
    );
    return [da, dx, dweight, bias && dbias, dgateWeight, dgateBias];
  },
  emit(node, to) {
    const [a, x, weight, bias, gateWeight, gateBias] = node.inputs as Inputs;
    const fromA = to.matrix(a);
    const fromX = to.matrix(x);
    const qkv = to.matrix(node.outputs[0]);
    const gate = to.matrix(node.outputs[1]);
    to.call('mlstmProjectionsForward', {
      rows: a.rows,
      ...sizes(weight),
      gates: gateWeight.rows,
      a: fromA.at,
      lda: fromA.ld,
      x: fromX.at,
      ldx: fromX.ld,
      weight: to.contiguous(weight),
      bias: to.contiguous(bias),
      gateWeight: to.contiguous(gateWeight),
      gateBias: to.contiguous(gateBias),
      qkv: qkv.at,
      ldqkv: qkv.ld,
      gate: gate.at,
      ldGate: gate.ld,
    });
  },
};

const mlstmProjectionsBackwardOp: Op = {
  name: 'mlstmProjectionsBackward',
  stridedOutputs: [0, 1],
  emit(node, to) {
    const [a, x, weight, bias, gateWeight, gradient, gateGradient, sofar] = node.inputs as [
      Tensor,
      Tensor,
      Tensor,
      Tensor | undefined,
      Tensor,
      Tensor,
      Tensor,
      Tensor?,
    ];
    const [daOut, dxOut, dweight, dbias, dgateWeight, dgateBias] = node.outputs;
    const fromA = to.matrix(a);
    const fromX = to.matrix(x);
    const dqkv = to.matrix(gradient);
    const dgate = to.matrix(gateGradient);
    const residual = to.matrix(sofar);
    const da = to.matrix(daOut);
    const dx = to.matrix(dxOut);
    to.call('mlstmProjectionsBackward', {
      rows: a.rows,
      ...sizes(weight),
      gates: gateWeight.rows,
      a: fromA.at,
      lda: fromA.ld,
      x: fromX.at,
      ldx: fromX.ld,
      weight: to.contiguous(weight),
      bias: to.contiguous(bias),
      gateWeight: to.contiguous(gateWeight),
      dqkv: dqkv.at,
      lddqkv: dqkv.ld,
      dgate: dgate.at,
      lddgate: dgate.ld,
      residual: residual.at,
      ldResidual: residual.ld,
      da: da.at,
      ldda: da.ld,
      dx: dx.at,
      lddx: dx.ld,
      dweight: to.contiguous(dweight),
      dbias: to.wantedContiguous(dbias),
      dgateWeight: to.contiguous(dgateWeight),
      dgateBias: to.contiguous(dgateBias),
    });
  },
};

/** One operation after the other: for blocks that are worth a matrix product, and for any width. */
function separately([a, x, weight, bias, gateWeight, gateBias]: Inputs): [qkv: Tensor, gates: Tensor] {
  const { groups, size } = sizes(weight);
  const elements = groups * size * size;
  const sets = split(reshape(weight, [3 * elements]), [elements, elements, elements]);
  const projected = concat(
    [a, a, x].map((input, i) => headwiseLinear(input, reshape(sets[i], [groups, size, size]))),
  );
  const qkv = bias ? add(projected, bias) : projected;
  return [qkv, linear(qkv, gateWeight, gateBias)];
}

/**
 * What an mLSTM cell reads: q and k from a, v from x, each by blocks on the diagonal; the gates' pre-activations from
 * all three:
 *   qkv = [blocks₀ a | blocks₁ a | blocks₂ x] + bias;  gates = gateWeight · qkv + gateBias
 * a, x [..., D]; weight [3 · D/S, S, S]; bias [3·D] or none; gateWeight [G, 3·D]; gateBias [G].
 * Returns qkv [..., 3·D] and gates [..., G]. Blocks up to 8 × 8 take one pass over a and x each way.
 */
export function mlstmProjections(
  { a, x }: { readonly a: Tensor; readonly x: Tensor },
  { weight, bias }: { readonly weight: Tensor; readonly bias?: Tensor },
  gate: { readonly weight: Tensor; readonly bias: Tensor },
): { qkv: Tensor; gates: Tensor } {
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
  const inputs: Inputs = [a, x, weight, bias, gate.weight, gate.bias];
  const leading = a.shape.slice(0, -1);
  const [qkv, gates] =
    size <= SMALL_BLOCK && width <= MLSTM_PROJECTIONS_WIDTH
      ? createNode(mlstmProjectionsOp, inputs, undefined, [
          [...leading, 3 * width],
          [...leading, gate.weight.rows],
        ])
      : separately(inputs);
  return { qkv, gates };
}
