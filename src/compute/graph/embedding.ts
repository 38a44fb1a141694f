import { sizeOf } from '../program/region.ts';
import { defineOp, oneCall, type Tensor } from './op.ts';
import { createNode, requireShape } from './tensor.ts';

const embeddingOp = defineOp({
  name: 'embedding',
  ...oneCall('embeddingForward'),
  constants: ['tokens'],
  gradient: ({ inputs: { tokens, table }, attributes }, { dy }) =>
    createNode(embeddingBackwardOp, { tokens, dy }, { dtable: table.shape }, attributes),
});

const embeddingBackwardOp = defineOp({ name: 'embeddingBackward', ...oneCall('embeddingBackward') });

/**
 * Row tokens[i] of the table for every i: tokens [B, T], table [vocab, dim], result [B, T, dim]. A token that is no whole
 * number from 0 to vocab − 1 gives NaN.
 */
export function embedding(tokens: Tensor, table: Tensor): Tensor {
  requireShape(table.shape.length === 2, 'embedding', 'a table [vocab, dim]', tokens, table);
  const sizes = { rows: sizeOf(tokens.shape), vocab: table.rows, dim: table.cols };
  return createNode(embeddingOp, { tokens, table }, { y: [...tokens.shape, table.cols] }, sizes).y;
}
