import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cpuLimits } from '../program/limits.ts';
import { Region } from '../program/region.ts';
import { Buffer, keepApart, pack } from './memory.ts';

/** A buffer of so many float32 that is live from the first to the last of these instructions. */
function buffer(elements: number, first: number, last: number): Buffer {
  const made = new Buffer(4 * elements, cpuLimits);
  made.touch(first);
  made.touch(last);
  return made;
}

/** In float32, as sizes are given. */
const offsets = (buffers: readonly Buffer[]): number[] => buffers.map(({ offset }) => offset / 4);

describe('pack', () => {
  it('gives the place of what is no longer live to what comes next', () => {
    const buffers = [buffer(64, 0, 1), buffer(32, 1, 2), buffer(48, 2, 3)];
    expect(pack(buffers)).toBe(4 * 96);
    expect(offsets(buffers)).toEqual([0, 64, 0]);
  });

  it('takes the smallest gap that fits, and the first of several', () => {
    const kept = [buffer(16, 0, 9), buffer(16, 0, 9), buffer(16, 0, 9), buffer(16, 0, 9)];
    const gaps = [buffer(128, 0, 1), buffer(64, 0, 2), buffer(64, 0, 2)];
    const first = [gaps[0], kept[0], gaps[1], kept[1], gaps[2], kept[2]];
    const late = [buffer(48, 3, 9), buffer(100, 4, 9)];
    // In order of size, as they begin together: 128 at 0, 64 at 128, 64 at 192, then the small ones.
    expect(pack([...first, ...late])).toBe(4 * 304);
    expect(offsets(late)).toEqual([0, 48]);
  });

  it('joins gaps, and lowers the top when the highest buffer ends', () => {
    const buffers = [buffer(64, 0, 1), buffer(32, 0, 2), buffer(16, 0, 3), buffer(112, 4, 5)];
    expect(pack(buffers)).toBe(4 * 112);
    expect(buffers[3].offset).toBe(0);
  });

  it('leaves out what no instruction addresses, and needs nothing for empty buffers', () => {
    const unused = new Buffer(1000, cpuLimits);
    expect(pack([unused, buffer(0, 0, 5)])).toBe(0);
    expect(unused.offset).toBe(-1);
  });

  it('never lets live buffers overlap, and stays within twice what is live at once', () => {
    const some = fc.array(fc.tuple(fc.nat(500), fc.nat(40), fc.nat(12)), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(some, (list) => {
        const buffers = list.map(([elements, first, length]) => buffer(elements, first, first + length));
        const end = pack(buffers);
        let most = 0;
        for (let t = 0; t <= 52; t++) {
          const live = buffers.filter((b) => b.bytes > 0 && b.firstUse <= t && t <= b.lastUse);
          live.sort((a, b) => a.offset - b.offset);
          live.forEach((b, i) => {
            expect(b.offset + b.bytes).toBeLessThanOrEqual(live[i + 1]?.offset ?? end);
          });
          most = Math.max(
            most,
            live.reduce((sum, b) => sum + b.bytes, 0),
          );
        }
        expect(end).toBeLessThanOrEqual(2 * most);
      }),
      { numRuns: 500, seed: 7 },
    );
  });
});

describe('keepApart', () => {
  it('leaves a gap behind every buffer; empty ones and ones that nothing addresses take no room', () => {
    const region = new Region('io');
    const unused = new Buffer(64, cpuLimits);
    const buffers = [buffer(64, 0, 1), buffer(0, 0, 1), unused, buffer(32, 2, 3)];
    keepApart(buffers, region);
    expect(buffers[1].offset).toBe(0);
    expect(unused.offset).toBe(-1);
    expect(buffers[3].offset).toBeGreaterThan(buffers[0].offset + 4 * 64);
    expect([...region.entries].map(({ shape }) => shape)).toEqual([[64], [32]]);
  });
});
