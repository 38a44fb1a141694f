import { idNamed, type Operands } from './operands.ts';

export function embeddingForward(args: Operands<'embeddingForward'>): void {
  const { dim, tokens, table, y } = args;
  for (let row = 0; row < args.rows; row++) {
    const id = idNamed(tokens[row], args.vocab);
    for (let d = 0; d < dim; d++) y[row * args.ldy + d] = id < 0 ? Number.NaN : table[id * dim + d];
  }
}

export function embeddingBackward(args: Operands<'embeddingBackward'>): void {
  const { dim, tokens, dy, dtable } = args;
  dtable.fill(0, 0, args.vocab * dim);
  for (let row = 0; row < args.rows; row++) {
    const id = idNamed(tokens[row], args.vocab);
    if (id < 0) continue;
    for (let d = 0; d < dim; d++) dtable[id * dim + d] += dy[row * args.lddy + d];
  }
}
