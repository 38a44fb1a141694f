import { alignUp } from '../program/region.ts';

/**
 * Long arrays are sized by powers of two, and a kernel that walks through several of them at once would need the same
 * few sets of each cache for all. So every long one ends with a gap of a page and some lines.
 */
const LONG = 1 << 16;
const GAP = 1024 + 80;

/** A piece of the workspace: live from the first to the last instruction that addresses it. */
export class Buffer {
  readonly elements: number;
  firstUse = Number.POSITIVE_INFINITY;
  lastUse = -1;
  /** Set by `pack`. */
  offset = -1;

  constructor(elements: number) {
    this.elements = alignUp(elements) + (elements >= LONG ? GAP : 0);
  }

  touch(instruction: number): void {
    this.firstUse = Math.min(this.firstUse, instruction);
    this.lastUse = Math.max(this.lastUse, instruction);
  }
}

/**
 * Gives every buffer an offset such that buffers that are live at the same time do not overlap: first come, first
 * served in order of execution, into the smallest gap that fits. Returns the elements needed in all.
 */
export function pack(buffers: readonly Buffer[]): number {
  const order = buffers
    .filter((b) => b.lastUse >= 0)
    .sort((a, b) => a.firstUse - b.firstUse || b.elements - a.elements);
  let live: Buffer[] = [];
  let end = 0;
  for (const buffer of order) {
    live = live.filter((other) => other.lastUse >= buffer.firstUse);
    let best = -1;
    let bestGap = Number.POSITIVE_INFINITY;
    let at = 0;
    for (const other of live) {
      const gap = other.offset - at;
      if (gap >= buffer.elements && gap < bestGap) {
        best = at;
        bestGap = gap;
      }
      at = Math.max(at, other.offset + other.elements);
    }
    buffer.offset = best >= 0 ? best : at;
    end = Math.max(end, buffer.offset + buffer.elements);
    const index = live.findIndex((other) => other.offset > buffer.offset);
    live.splice(index < 0 ? live.length : index, 0, buffer);
  }
  return end;
}
