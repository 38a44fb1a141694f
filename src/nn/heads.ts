import { checkOption, checkWhole } from '../checks.ts';

/** Checks that a width can be cut into heads of one size. */
export function checkHeads(layer: string, size: number, heads: number): void {
  checkWhole(`${layer}: size`, size, 1);
  checkWhole(`${layer}: heads`, heads, 1);
  checkOption(size % heads === 0, `${layer}: heads`, `a divisor of the size ${size}`, heads);
}
