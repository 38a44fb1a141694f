import type { Operands } from './operands.ts';

export function reduce(args: Operands<'reduce'>): void {
  const { rows, cols, x, factor, y } = args;
  y.fill(0, 0, args.axis === 0 ? cols : rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < cols; column++) {
      const value = x[row * args.ldx + column];
      y[args.axis === 0 ? column : row] += factor ? value * factor[row * args.ldFactor + column] : value;
    }
  }
}
