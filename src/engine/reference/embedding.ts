import type { Operands } from './operands.ts';

export function embeddingForward(args: Operands<'embeddingForward'>): void {
  const { dim, tokens, table, y } = args;
  for (let row = 0; row < args.rows; row++) {
    for (let d = 0; d < dim; d++) y[row * args.ldy + d] = table[tokens[row] * dim + d];
  }
}

export function embeddingBackward(args: Operands<'embeddingBackward'>): void {
  const { dim, tokens, dy, dtable } = args;
  dtable.fill(0, 0, args.vocab * dim);
  for (let row = 0; row < args.rows; row++) {
    for (let d = 0; d < dim; d++) dtable[tokens[row] * dim + d] += dy[row * args.lddy + d];
  }
}
