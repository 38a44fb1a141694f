import { bytesOf } from '../program/dtypes.ts';
import type { EngineLimits } from '../program/limits.ts';
import type { Region } from '../program/region.ts';

/** A piece of the workspace: live from the first to the last instruction that addresses it. */
export class Buffer {
  readonly wanted: number;
  /** With what is left free behind it. */
  readonly bytes: number;
  firstUse = Number.POSITIVE_INFINITY;
  lastUse = -1;
  /** Set by `pack` or `keepApart`. */
  offset = -1;

  constructor(bytes: number, { alignment, longArrays }: EngineLimits) {
    this.wanted = bytes;
    const gap = bytes >= longArrays.fromBytes ? longArrays.gapBytes : 0;
    this.bytes = Math.ceil((bytes + gap) / alignment) * alignment;
  }

  touch(instruction: number): void {
    this.firstUse = Math.min(this.firstUse, instruction);
    this.lastUse = Math.max(this.lastUse, instruction);
  }
}

interface Gap {
  readonly start: number;
  readonly bytes: number;
}

/** The free pieces below `top`: found by size, and by where they begin and end, to be joined with what is freed. */
class Gaps {
  /** The end of the highest piece in use. */
  top = 0;
  /** In order of size, then of place. */
  readonly #bySize: Gap[] = [];
  readonly #byStart = new Map<number, Gap>();
  readonly #byEnd = new Map<number, Gap>();

  /** The place of so many bytes: in the smallest gap that holds them, the first of several, else at the top. */
  take(bytes: number): number {
    const gap = this.#bySize[this.#index({ start: -1, bytes })];
    if (!gap) {
      const start = this.top;
      this.top += bytes;
      return start;
    }
    this.#remove(gap);
    this.#add({ start: gap.start + bytes, bytes: gap.bytes - bytes });
    return gap.start;
  }

  free(start: number, bytes: number): void {
    let from = start;
    let to = start + bytes;
    const before = this.#byEnd.get(from);
    const after = this.#byStart.get(to);
    if (before) this.#remove(before);
    if (after) this.#remove(after);
    from = before?.start ?? from;
    to = after ? after.start + after.bytes : to;
    if (to === this.top) this.top = from;
    else this.#add({ start: from, bytes: to - from });
  }

  #add(gap: Gap): void {
    if (gap.bytes === 0) return;
    this.#bySize.splice(this.#index(gap), 0, gap);
    this.#byStart.set(gap.start, gap);
    this.#byEnd.set(gap.start + gap.bytes, gap);
  }

  #remove(gap: Gap): void {
    this.#bySize.splice(this.#index(gap), 1);
    this.#byStart.delete(gap.start);
    this.#byEnd.delete(gap.start + gap.bytes);
  }

  /** Where in #bySize the gap is or would be. */
  #index({ start, bytes }: Gap): number {
    let low = 0;
    let high = this.#bySize.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#bySize[middle];
      if (other.bytes < bytes || (other.bytes === bytes && other.start < start)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Gives every buffer an offset such that buffers that are live at the same time do not overlap: first come, first
 * served in order of execution, into the smallest gap that fits. Returns the bytes needed in all.
 */
export function pack(buffers: readonly Buffer[]): number {
  const used = buffers.filter((b) => b.lastUse >= 0);
  const order = used.toSorted((a, b) => a.firstUse - b.firstUse || b.bytes - a.bytes);
  const ends = used.toSorted((a, b) => a.lastUse - b.lastUse);
  const gaps = new Gaps();
  let freed = 0;
  let end = 0;
  for (const buffer of order) {
    for (; ends[freed].lastUse < buffer.firstUse; freed++) {
      const { offset, bytes } = ends[freed];
      if (bytes > 0) gaps.free(offset, bytes);
    }
    buffer.offset = buffer.bytes > 0 ? gaps.take(buffer.bytes) : 0;
    end = Math.max(end, buffer.offset + buffer.bytes);
  }
  return end;
}

/** Instead of `pack`: gives every buffer that holds something an entry of its own in the region, a gap behind it. */
export function keepApart(buffers: readonly Buffer[], region: Region): void {
  for (const buffer of buffers) {
    if (buffer.lastUse < 0) continue;
    if (buffer.wanted === 0) {
      buffer.offset = 0;
      continue;
    }
    buffer.offset = region.add(`buffer:${region.bytes}`, [buffer.wanted / bytesOf('f32')]).offset;
    region.leaveGap();
  }
}
