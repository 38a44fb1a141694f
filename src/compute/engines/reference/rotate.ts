import type { Operands } from './operands.ts';

export function rotate(args: Operands<'rotate'>): void {
  const { heads, headDim, direction, positions, x, y } = args;
  const half = headDim / 2;
  for (let row = 0; row < args.rows; row++) {
    for (let head = 0; head < heads; head++) {
      for (let j = 0; j < half; j++) {
        const angle = direction * positions[row] * 10_000 ** (-j / half);
        const first = x[row * args.ldx + head * headDim + j];
        const second = x[row * args.ldx + head * headDim + j + half];
        y[row * args.ldy + head * headDim + j] = first * Math.cos(angle) - second * Math.sin(angle);
        y[row * args.ldy + head * headDim + j + half] = first * Math.sin(angle) + second * Math.cos(angle);
      }
    }
  }
}
