import type { EngineLimits } from '../program/limits.ts';
import type { Shape } from '../program/region.ts';
import { AdaptedMatrix, type LowRank } from './adapted_matrix.ts';
import { multiply, sumRows } from './elementwise.ts';
import { attributes, defineOp, type Emitter, type Tensor } from './op.ts';
import { requireCount } from './options.ts';
import { PackedMatrix, packedLinear } from './packed_linear.ts';
import { PanelMatrix, panelLinear } from './panel_linear.ts';
import { createNode, requireShape } from './tensor.ts';
import { concat, reshape, split } from './views.ts';

/**
 * Matrix products. A product may run over `batch` pairs of matrices. In each operand the members of the batch either
 * follow each other ("leading": the first dimension counts them) or lie side by side in the columns ("columns": the
 * heads of a layer). A result may also have one member in each of its rows ("rows": to be joined with others).
 */
type Arrangement = 'leading' | 'columns' | 'rows';

interface MatmulAttributes {
  readonly batch: number;
  readonly a: Arrangement;
  readonly b: Arrangement;
  readonly c: Arrangement;
  /** op(A) is [m, k]: A is stored so, or transposed. */
  readonly transA: boolean;
  readonly transB: boolean;
  /** Its operands, and those of its gradients, are never rounded, whatever the precision of the Program. */
  readonly exact: boolean;
}

/** Rows and columns of one member of an operand. */
function member(t: Tensor, arrangement: Arrangement, batch: number): [rows: number, cols: number] {
  return arrangement === 'leading' ? [t.rows / batch, t.cols] : [t.rows, t.cols / batch];
}

function sizes(
  factors: Factors,
  attributes: MatmulAttributes,
): { m: number; n: number; k: number; kOfB: number } {
  const { batch, a, b, transA, transB } = attributes;
  const [ra, ca] = member(factors.a, a, batch);
  const [rb, cb] = member(factors.b, b, batch);
  const [m, k] = transA ? [ca, ra] : [ra, ca];
  const [kOfB, n] = transB ? [cb, rb] : [rb, cb];
  return { m, n, k, kOfB };
}

const matmulOp = defineOp({
  name: 'matmul',
  inputs: ['a', 'b', 'bias?', 'residual?'],
  outputs: ['c'],
  ...attributes<MatmulAttributes>(),
  absorbs: ['a'],
  strided: ['c'],
  // C = A·B + bias + residual: dA = dC·Bᵀ, dB = Aᵀ·dC, each transposed where the operand is stored transposed.
  gradient({ inputs, attributes: { batch, exact, transA, transB, ...lie } }, { dc }, sofar) {
    const { a, b, bias, residual } = inputs;
    const da = transA
      ? product(
          { a: b, b: dc, residual: sofar.a },
          { batch, exact, a: lie.b, b: lie.c, c: lie.a, transA: transB, transB: true },
          a.shape,
        )
      : product(
          { a: dc, b, residual: sofar.a },
          { batch, exact, a: lie.c, b: lie.b, c: lie.a, transA: false, transB: !transB },
          a.shape,
        );
    const db = transB
      ? product(
          { a: dc, b: a },
          { batch, exact, a: lie.c, b: lie.a, c: lie.b, transA: true, transB: transA },
          b.shape,
        )
      : product(
          { a, b: dc },
          { batch, exact, a: lie.a, b: lie.c, c: lie.b, transA: !transA, transB: false },
          b.shape,
        );
    return { da, db, dbias: bias && reshape(sumRows(dc), bias.shape), dresidual: residual && dc };
  },
  emit: ({ inputs, outputs, attributes }, to) => emitProduct(to, { ...inputs, ...outputs }, attributes),
});

interface Factors {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly bias?: Tensor | undefined;
  readonly residual?: Tensor | undefined;
}

function emitProduct(
  to: Emitter,
  { c, ...inputs }: Factors & { readonly c: Tensor },
  attributes: MatmulAttributes,
): void {
  const { batch, transA, transB } = attributes;
  const { m, n, k } = sizes(inputs, attributes);
  /** Distances between the rows of a member, and between members. */
  const distances = (t: Tensor, arrangement: Arrangement): [ld: number, stride: number] => {
    const [rows, cols] = member(t, arrangement, batch);
    const { ld } = to.matrix(t);
    if (arrangement === 'rows') return [n, ld];
    return [ld, arrangement === 'columns' ? cols : rows * ld];
  };
  const [lda, strideA] = distances(inputs.a, attributes.a);
  const [ldb, strideB] = distances(inputs.b, attributes.b);
  const [ldc, strideC] = distances(c, attributes.c);
  const { residual } = inputs;
  const [ldResidual, strideResidual] = residual ? distances(residual, attributes.c) : [0, 0];
  to.call(
    !attributes.exact && to.precision === 'bf16' ? 'gemmBf16' : 'gemm',
    { inputs, outputs: { c } },
    {
      batch,
      m,
      n,
      k,
      lda,
      strideA,
      transA: Number(transA),
      ldb,
      strideB,
      transB: Number(transB),
      ldc,
      strideC,
      strideBias: n,
      ldResidual,
      strideResidual,
    },
  );
}

function product(factors: Factors, attributes: MatmulAttributes, c: Shape): Tensor {
  const { a, b, bias, residual } = factors;
  const { k, kOfB } = sizes(factors, attributes);
  requireShape(k === kOfB, 'matmul', 'inner dimensions that agree', a, b);
  return createNode(matmulOp, { a, b, bias, residual }, { c }, attributes).c;
}

const dense: MatmulAttributes = {
  batch: 1,
  a: 'leading',
  b: 'leading',
  c: 'leading',
  transA: false,
  transB: true,
  exact: false,
};

/** The product of matrices: a [..., k] and b [k, n] to [..., n]. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  requireShape(b.shape.length === 2, 'matmul', 'a matrix [k, n] on the right', a, b);
  return product({ a, b }, { ...dense, transB: false }, [...a.shape.slice(0, -1), b.cols]);
}

/** y = x · weightᵀ + bias + residual; x [..., in], weight [out, in], bias [out], residual [..., out]. */
export function linear(
  x: Tensor,
  weight: Tensor | PackedMatrix | PanelMatrix | AdaptedMatrix,
  bias?: Tensor,
  residual?: Tensor,
): Tensor {
  if (weight instanceof AdaptedMatrix) return adaptedLinear(x, weight, bias, residual);
  const out = weight.shape[0];
  const packed = weight instanceof PackedMatrix || weight instanceof PanelMatrix;
  if (!packed) requireShape(weight.cols === x.cols, 'linear', `a weight [out, ${x.cols}]`, x, weight);
  requireShape(!bias || bias.shape.join() === String(out), 'linear', `a bias [${out}]`, bias);
  requireShape(
    !residual || (residual.cols === out && residual.rows === x.rows),
    'linear',
    `a residual [..., ${out}]`,
    residual,
  );
  if (weight instanceof PackedMatrix) return packedLinear(x, weight, bias, residual);
  if (weight instanceof PanelMatrix) return panelLinear(x, weight, bias, residual);
  return product({ a: x, b: weight, bias, residual }, dense, [...x.shape.slice(0, -1), out]);
}

/** `linear` for what gates read: its operands are never rounded, whatever the precision of the Program. */
export function gateLinear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  requireShape(weight.cols === x.cols, 'gateLinear', `a weight [out, ${x.cols}]`, x, weight);
  requireShape(bias.shape.join() === String(weight.rows), 'gateLinear', `a bias [${weight.rows}]`, bias);
  const layout = { ...dense, exact: true };
  return product({ a: x, b: weight, bias }, layout, [...x.shape.slice(0, -1), weight.rows]);
}

/** The product with the matrix itself, and to each part of it scale · (x Aᵀ) Bᵀ. */
function adaptedLinear(
  x: Tensor,
  { base, parts, scale }: AdaptedMatrix,
  bias: Tensor | undefined,
  residual: Tensor | undefined,
): Tensor {
  const y = linear(x, base, bias, residual);
  const add = (part: Tensor, added: LowRank | undefined): Tensor =>
    added ? linear(multiply(scale, linear(x, added.down)), added.up, undefined, part) : part;
  if (parts.length === 1) return add(y, parts[0].added);
  const widths = parts.map(({ rows }) => rows);
  return concat(split(y, widths).map((part, i) => add(part, parts[i].added)));
}

/**
 * Block-diagonal product: head h of y is head h of x times weight[h]ᵀ; x [..., H·in], weight [H, out, in], result
 * [..., H·out].
 */
export function headwiseLinear(x: Tensor, weight: Tensor): Tensor {
  const [groups, out, size] = weight.shape;
  requireShape(
    weight.shape.length === 3 && groups * size === x.cols,
    'headwiseLinear',
    `a weight [heads, out, ${x.cols} / heads]`,
    x,
    weight,
  );
  const blocks = { groups, inSize: size, outSize: out, transW: false };
  return headwise({ x, w: weight }, blocks, [...x.shape.slice(0, -1), groups * out]);
}

/**
 * The gradient of a block-diagonal weight that is applied as y_h = W_h x_h, one row a head: dy [N, H·out], x [N, H·in],
 * result [H, out·in].
 */
export function headwiseOuter(dy: Tensor, x: Tensor, heads: number): Tensor {
  requireCount('headwiseOuter', 'heads', heads);
  requireShape(
    dy.cols % heads === 0 && x.cols % heads === 0,
    'headwiseOuter',
    `widths divisible by ${heads} heads`,
    dy,
    x,
  );
  const layout = {
    batch: heads,
    a: 'columns',
    b: 'columns',
    c: 'rows',
    transA: true,
    transB: false,
    exact: true,
  } as const;
  return product({ a: dy, b: x }, layout, [heads, (dy.cols / heads) * (x.cols / heads)]);
}

interface BlockAttributes {
  readonly groups: number;
  readonly inSize: number;
  readonly outSize: number;
  /** The weight is stored [groups, inSize, outSize]. */
  readonly transW: boolean;
}

/** Whether kernels of their own take the blocks, rather than the matrix product. */
const areSmall = ({ inSize, outSize }: BlockAttributes, { smallBlock }: EngineLimits): boolean =>
  inSize <= smallBlock && outSize <= smallBlock;

const headwiseLinearOp = defineOp({
  name: 'headwiseLinear',
  inputs: ['x', 'w', 'residual?'],
  outputs: ['y'],
  ...attributes<BlockAttributes>(),
  absorbs: ['x'],
  strided: ['y'],
  gradient({ inputs: { x, w, residual }, attributes: blocks }, { dy }, sofar) {
    const { groups, inSize, outSize, transW } = blocks;
    const flipped = { groups, inSize: outSize, outSize: inSize, transW: !transW };
    const dx = headwise({ x: dy, w, residual: sofar.x }, flipped, x.shape);
    const { dw } = transW
      ? createNode(headwiseGradientOp, { x: dy, dy: x }, { dw: w.shape }, { ...flipped, transW })
      : createNode(headwiseGradientOp, { x, dy }, { dw: w.shape }, blocks);
    return { dx, dw, dresidual: residual && dy };
  },
  emit(node, to) {
    const { groups, inSize, outSize, transW } = node.attributes;
    const { x, w, residual } = node.inputs;
    const { y } = node.outputs;
    if (areSmall(node.attributes, to.limits)) {
      const sizes = { rows: y.rows, groups, inSize, outSize, transW: Number(transW) };
      to.call('blockLinear', node, sizes);
    } else {
      const layout = { batch: groups, a: 'columns', b: 'leading', c: 'columns', exact: true } as const;
      emitProduct(to, { a: x, b: w, c: y, residual }, { ...layout, transA: false, transB: !transW });
    }
  },
});

function headwise(
  { x, w, residual }: { readonly x: Tensor; readonly w: Tensor; readonly residual?: Tensor | undefined },
  blocks: BlockAttributes,
  y: Shape,
): Tensor {
  return createNode(headwiseLinearOp, { x, w, residual }, { y }, blocks).y;
}

/** dw [H, out, in] of dy [N, H·out] and x [N, H·in]. */
const headwiseGradientOp = defineOp({
  name: 'headwiseGradient',
  inputs: ['x', 'dy'],
  outputs: ['dw'],
  ...attributes<BlockAttributes>(),
  emit(node, to) {
    const { groups, inSize, outSize } = node.attributes;
    const { x, dy } = node.inputs;
    const { dw } = node.outputs;
    if (areSmall(node.attributes, to.limits)) {
      to.call('blockLinearGradient', node, { rows: x.rows, groups, inSize, outSize });
    } else {
      const layout = { batch: groups, a: 'columns', b: 'columns', c: 'leading', exact: true } as const;
      emitProduct(to, { a: dy, b: x, c: dw }, { ...layout, transA: true, transB: false });
    }
  },
});
