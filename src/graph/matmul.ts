import type { Place } from './emit.ts';
import { sumRows } from './reduce.ts';
import { createNode, type Node, type Op, requireShape, type Tensor } from './tensor.ts';
import { reshape } from './views.ts';

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
}

/** Rows and columns of one member of an operand. */
function member(t: Tensor, arrangement: Arrangement, batch: number): [rows: number, cols: number] {
  return arrangement === 'leading' ? [t.rows / batch, t.cols] : [t.rows, t.cols / batch];
}

function sizes({ attributes, inputs }: Pick<Node<MatmulAttributes>, 'attributes' | 'inputs'>): {
  m: number;
  n: number;
  k: number;
  kOfB: number;
} {
  const { batch, a, b, transA, transB } = attributes;
  const [ra, ca] = member(inputs[0]!, a, batch);
  const [rb, cb] = member(inputs[1]!, b, batch);
  const [m, k] = transA ? [ca, ra] : [ra, ca];
  const [kOfB, n] = transB ? [cb, rb] : [rb, cb];
  return { m, n, k, kOfB };
}

const matmulOp: Op<MatmulAttributes> = {
  name: 'matmul',
  stridedOutputs: [0],
  absorbs: [0],
  // C = A·B + bias + residual: dA = dC·Bᵀ, dB = Aᵀ·dC, each transposed where the operand is stored transposed.
  backward(node, [dc], [sofar]) {
    if (!dc) return [sofar];
    const { batch, a, b, c, transA, transB } = node.attributes;
    const [A, B, bias, residual] = node.inputs as [Tensor, Tensor, Tensor?, Tensor?];
    const da = transA
      ? product(B, dc, { batch, a: b, b: c, c: a, transA: transB, transB: true }, A.shape, undefined, sofar)
      : product(dc, B, { batch, a: c, b, c: a, transA: false, transB: !transB }, A.shape, undefined, sofar);
    const db = transB
      ? product(dc, A, { batch, a: c, b: a, c: b, transA: true, transB: transA }, B.shape)
      : product(A, dc, { batch, a, b: c, c: b, transA: !transA, transB: false }, B.shape);
    return [da, db, bias && reshape(sumRows(dc), bias.shape), residual && dc];
  },
  emit(node, to) {
    const { batch, transA, transB } = node.attributes;
    const [A, B, bias, residual] = node.inputs as [Tensor, Tensor, Tensor?, Tensor?];
    const C = node.outputs[0];
    const { m, n, k } = sizes(node);
    const describe = (t: Tensor, arrangement: Arrangement): { at: Place; ld: number; stride: number } => {
      const [rows, cols] = member(t, arrangement, batch);
      const { at, ld } = to.matrix(t);
      if (arrangement === 'rows') return { at, ld: n, stride: ld };
      return { at, ld, stride: arrangement === 'columns' ? cols : rows * ld };
    };
    const a = describe(A, node.attributes.a);
    const b = describe(B, node.attributes.b);
    const c = describe(C, node.attributes.c);
    const r = residual && describe(residual, node.attributes.c);
    to.call('gemm', {
      batch,
      m,
      n,
      k,
      a: a.at,
      lda: a.ld,
      strideA: a.stride,
      transA: Number(transA),
      b: b.at,
      ldb: b.ld,
      strideB: b.stride,
      transB: Number(transB),
      c: c.at,
      ldc: c.ld,
      strideC: c.stride,
      bias: to.contiguous(bias),
      strideBias: n,
      residual: r?.at,
      ldResidual: r?.ld ?? 0,
      strideResidual: r?.stride ?? 0,
    });
  },
};

function product(
  a: Tensor,
  b: Tensor,
  attributes: MatmulAttributes,
  shape: readonly number[],
  bias?: Tensor,
  residual?: Tensor,
): Tensor {
  const { k, kOfB } = sizes({ attributes, inputs: [a, b] });
  requireShape(k === kOfB, 'matmul', 'inner dimensions that agree', a, b);
  return createNode(matmulOp, [a, b, bias, residual], attributes, [shape])[0];
}

/** a[m, k] · b[k, n] */
export function matmul(a: Tensor, b: Tensor): Tensor {
  requireShape(b.shape.length === 2, 'matmul', 'a matrix [k, n] on the right', a, b);
  const plain = { batch: 1, a: 'leading', b: 'leading', c: 'leading', transA: false, transB: false } as const;
  return product(a, b, plain, [...a.shape.slice(0, -1), b.cols]);
}

/** y = x · weightᵀ + bias + residual; x [..., in], weight [out, in], bias [out], residual [..., out]. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor, residual?: Tensor): Tensor {
  const out = weight.rows;
  requireShape(weight.cols === x.cols, 'linear', `a weight [out, ${x.cols}]`, x, weight);
  requireShape(!bias || bias.shape.join() === String(out), 'linear', `a bias [${out}]`, bias);
  requireShape(
    !residual || (residual.cols === out && residual.rows === x.rows),
    'linear',
    `a residual [..., ${out}]`,
    residual,
  );
  const layout = { batch: 1, a: 'leading', b: 'leading', c: 'leading', transA: false, transB: true } as const;
  return product(x, weight, layout, [...x.shape.slice(0, -1), out], bias, residual);
}

/** Block-diagonal product: head h of y is head h of x times weight[h]ᵀ; x [..., H·in], weight [H, out, in]. */
export function headwiseLinear(x: Tensor, weight: Tensor): Tensor {
  const [groups, out, size] = weight.shape;
  requireShape(
    weight.shape.length === 3 && groups * size === x.cols,
    'headwiseLinear',
    `a weight [heads, out, ${x.cols} / heads]`,
    x,
    weight,
  );
  const shape = [...x.shape.slice(0, -1), groups * out];
  if (out <= SMALL_BLOCK && size <= SMALL_BLOCK) {
    const sizes = { groups, inSize: size, outSize: out, transW: false };
    return createNode(blockLinearOp, [x, weight], sizes, [shape])[0];
  }
  const layout = {
    batch: groups,
    a: 'columns',
    b: 'leading',
    c: 'columns',
    transA: false,
    transB: true,
  } as const;
  return product(x, weight, layout, shape);
}

/**
 * The gradient of a block-diagonal weight that is applied as y_h = W_h x_h, one row a head: dy [N, H·out], x [N, H·in],
 * result [H, out·in].
 */
export function headwiseOuter(dy: Tensor, x: Tensor, heads: number): Tensor {
  const layout = {
    batch: heads,
    a: 'columns',
    b: 'columns',
    c: 'rows',
    transA: true,
    transB: false,
  } as const;
  return product(dy, x, layout, [heads, (dy.cols / heads) * (x.cols / heads)]);
}

/** Blocks up to this size have kernels of their own: a matrix product of 4 × 4 would be all overhead. */
export const SMALL_BLOCK = 8;

interface BlockAttributes {
  readonly groups: number;
  readonly inSize: number;
  readonly outSize: number;
  /** The weight is stored [groups, inSize, outSize]. */
  readonly transW: boolean;
}

const blockLinearOp: Op<BlockAttributes> = {
  name: 'blockLinear',
  stridedOutputs: [0],
  absorbs: [0],
  backward(node, [dy], [sofar]) {
    if (!dy) return [sofar];
    const [x, w] = node.inputs as [Tensor, Tensor];
    const { groups, inSize, outSize, transW } = node.attributes;
    const flipped = { groups, inSize: outSize, outSize: inSize, transW: !transW };
    const [dx] = createNode(blockLinearOp, [dy, w, sofar], flipped, [x.shape]);
    const [dw] = transW
      ? createNode(blockGradientOp, [dy, x], { groups, inSize: outSize, outSize: inSize, transW }, [w.shape])
      : createNode(blockGradientOp, [x, dy], node.attributes, [w.shape]);
    return [dx, dw];
  },
  emit(node, to) {
    const { groups, inSize, outSize, transW } = node.attributes;
    const x = to.matrix(node.inputs[0]);
    const y = to.matrix(node.outputs[0]);
    const residual = to.matrix(node.inputs[2]);
    to.call('blockLinear', {
      rows: node.outputs[0].rows,
      groups,
      inSize,
      outSize,
      transW: Number(transW),
      x: x.at,
      ldx: x.ld,
      w: to.contiguous(node.inputs[1]),
      y: y.at,
      ldy: y.ld,
      residual: residual.at,
      ldResidual: residual.ld,
    });
  },
};

const blockGradientOp: Op<BlockAttributes> = {
  name: 'blockLinearGradient',
  emit(node, to) {
    const { groups, inSize, outSize } = node.attributes;
    const x = to.matrix(node.inputs[0]);
    const dy = to.matrix(node.inputs[1]);
    to.call('blockLinearGradient', {
      rows: node.inputs[0]!.rows,
      groups,
      inSize,
      outSize,
      x: x.at,
      ldx: x.ld,
      dy: dy.at,
      lddy: dy.ld,
      dw: to.contiguous(node.outputs[0]),
    });
  },
};
