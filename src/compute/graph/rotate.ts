import { defineOp, type KernelNumbers, oneCall, type Tensor } from './op.ts';
import { requireCount } from './options.ts';
import { createNode, requireShape } from './tensor.ts';

const rotateOp = defineOp({
  name: 'rotate',
  ...oneCall('rotate'),
  constants: ['positions'],
  inPlace: { y: 'x' },
  gradient: ({ inputs: { positions }, attributes }, { dy }) => ({
    dx: turn(dy, positions, { ...attributes, direction: -attributes.direction }),
  }),
});

const turn = (x: Tensor, positions: Tensor, attributes: KernelNumbers<'rotate'>): Tensor =>
  createNode(rotateOp, { x, positions }, { y: x.shape }, attributes).y;

/**
 * Rotary positions (Su et al. 2021): in each head of x [B, T, H·DH] the pair of columns j and j + DH/2 is turned by the
 * angle position · 10000^(−2j/DH). Products of two such vectors depend on the distance of their positions alone.
 */
export function rotate(x: Tensor, positions: Tensor, heads: number): Tensor {
  requireCount('rotate', 'heads', heads);
  requireShape(
    Number.isInteger(x.cols / heads / 2),
    'rotate',
    `x [..., H·DH], H = ${heads}, with an even DH`,
    x,
  );
  requireShape(positions.rows * positions.cols === x.rows, 'rotate', `${x.rows} positions`, x, positions);
  return turn(x, positions, { rows: x.rows, heads, headDim: x.cols / heads, direction: 1 });
}
