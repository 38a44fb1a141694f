import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

const embeddingOp: Op = {
  name: 'embedding',
  stridedOutputs: [0],
  backward(node, [dy]) {
    const [tokens, table] = node.inputs as [Tensor, Tensor];
    return [undefined, dy && createNode(embeddingBackwardOp, [tokens, dy], undefined, [table.shape])[0]];
  },
  emit(node, to) {
    const [tokens, table] = node.inputs as [Tensor, Tensor];
    const y = to.matrix(node.outputs[0]);
    to.call('embeddingForward', {
      rows: node.outputs[0].rows,
      vocab: table.rows,
      dim: table.cols,
      tokens: to.contiguous(tokens),
      table: to.contiguous(table),
      y: y.at,
      ldy: y.ld,
    });
  },
};

const embeddingBackwardOp: Op = {
  name: 'embeddingBackward',
  emit(node, to) {
    const [tokens, gradient] = node.inputs as [Tensor, Tensor];
    const table = node.outputs[0];
    const dy = to.matrix(gradient);
    to.call('embeddingBackward', {
      rows: gradient.rows,
      vocab: table.rows,
      dim: table.cols,
      tokens: to.contiguous(tokens),
      dy: dy.at,
      lddy: dy.ld,
      dtable: to.contiguous(table),
    });
  },
};

/** Row tokens[i] of the table for every i: tokens [B, T], table [vocab, dim], result [B, T, dim]. */
export function embedding(tokens: Tensor, table: Tensor): Tensor {
  requireShape(table.shape.length === 2, 'embedding', 'a table [vocab, dim]', tokens, table);
  return createNode(embeddingOp, [tokens, table], undefined, [[...tokens.shape, table.cols]])[0];
}
