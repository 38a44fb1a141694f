import type { Memory } from '../compute/engines/engine.ts';
import { sizeOf } from '../compute/program/region.ts';

/** The state of one sequence, row `from` of the one memory, into row `to` of the other; the first dimension is the sequences. */
export function copyStateRow(target: Memory, to: number, source: Memory, from: number): void {
  for (const { name, shape } of source.region.entries) {
    const count = sizeOf(shape.slice(1));
    target.copyFrom(source, { name, from: from * count, at: to * count, count });
  }
}
