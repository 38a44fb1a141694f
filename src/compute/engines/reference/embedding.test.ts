import { expect, it } from 'vitest';
import { embeddingBackward, embeddingForward } from './embedding.ts';
import { reduce } from './reduce.ts';

it('embedding: gathers rows, and sums their gradients', () => {
  const tokens = Float64Array.of(2, 0, 2);
  const table = Float64Array.of(1, 2, 3, 4, 5, 6);
  const y = new Float64Array(9);
  embeddingForward({ rows: 3, vocab: 3, dim: 2, tokens, table, y, ldy: 3 });
  expect([...y]).toEqual([5, 6, 0, 1, 2, 0, 5, 6, 0]);
  const dtable = new Float64Array(6).fill(9);
  const dy = Float64Array.of(1, 2, 10, 20, 100, 200);
  embeddingBackward({ rows: 3, vocab: 3, dim: 2, tokens, dy, lddy: 2, dtable });
  expect([...dtable]).toEqual([10, 20, 0, 0, 101, 202]);
});

it.each([
  { axis: 0, product: false, expected: [5, 7, 9] },
  { axis: 1, product: false, expected: [6, 15] },
  { axis: 0, product: true, expected: [41, 52, 63] },
  { axis: 1, product: true, expected: [6, 150] },
])('reduce: axis $axis, of a product: $product', ({ axis, product, expected }) => {
  const y = new Float64Array(expected.length).fill(9);
  const x = Float64Array.of(1, 2, 3, 1000, 4, 5, 6, 1000);
  const factor = product ? Float64Array.of(1, 1, 1, 10, 10, 10) : undefined;
  reduce({ rows: 2, cols: 3, axis, x, ldx: 4, factor, ldFactor: 3, y, scratch: undefined });
  expect([...y]).toEqual(expected);
});
