import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

interface RotateAttributes {
  readonly heads: number;
  readonly direction: 1 | -1;
}

const rotateOp: Op<RotateAttributes> = {
  name: 'rotate',
  stridedOutputs: [0],
  inPlace: { 0: 0 },
  backward(node, [dy]) {
    const { heads, direction } = node.attributes;
    const positions = node.inputs[1] as Tensor;
    return [dy && turn(dy, positions, { heads, direction: direction === 1 ? -1 : 1 }), undefined];
  },
  emit(node, to) {
    const [x, positions] = node.inputs as [Tensor, Tensor];
    const { heads, direction } = node.attributes;
    const from = to.matrix(x);
    const y = to.matrix(node.outputs[0]);
    to.call('rotate', {
      rows: x.rows,
      heads,
      headDim: x.cols / heads,
      direction,
      positions: to.contiguous(positions),
      x: from.at,
      ldx: from.ld,
      y: y.at,
      ldy: y.ld,
    });
  },
};

const turn = (x: Tensor, positions: Tensor, attributes: RotateAttributes): Tensor =>
  createNode(rotateOp, [x, positions], attributes, [x.shape])[0];

/**
 * Rotary positions (Su et al. 2021): in each head of x [B, T, H·DH] the pair of columns j and j + DH/2 is turned by the
 * angle position · 10000^(−2j/DH). Products of two such vectors depend on the distance of their positions alone.
 */
export function rotate(x: Tensor, positions: Tensor, heads: number): Tensor {
  requireShape(
    Number.isInteger(x.cols / heads / 2),
    'rotate',
    `x [..., H·DH], H = ${heads}, with an even DH`,
    x,
  );
  requireShape(positions.rows * positions.cols === x.rows, 'rotate', `${x.rows} positions`, x, positions);
  return turn(x, positions, { heads, direction: 1 });
}
