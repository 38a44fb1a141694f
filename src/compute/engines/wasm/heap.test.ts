import { expect, it } from 'vitest';
import { PAGE, WasmHeap } from './heap.ts';

const heapOf = (maximum: number): WasmHeap =>
  new WasmHeap(new WebAssembly.Memory({ initial: 1, maximum }), 1000, maximum * PAGE);

it('aligns pieces, uses freed ones again with zeros in them, and joins neighbours', () => {
  const heap = heapOf(1);
  const a = heap.allocate(100, 'a');
  const b = heap.allocate(1, 'b');
  const c = heap.allocate(64, 'c');
  expect([a, b, c]).toEqual([1024, 1152, 1216]);
  new Uint8Array(heap.memory.buffer).fill(255, a, c + 64);
  heap.free(a, 100);
  heap.free(c, 64);
  heap.free(b, 1);
  const again = heap.allocate(256, 'again');
  expect(again).toBe(a);
  expect(new Uint8Array(heap.memory.buffer, again, 256).every((byte) => byte === 0)).toBe(true);
});

it('grows by what the last gap lacks, up to the maximum', () => {
  const heap = heapOf(4);
  const first = heap.allocate(2 * PAGE, 'first');
  expect(first).toBe(1024);
  expect(heap.size).toBe(3 * PAGE);
  expect(() => heap.allocate(3 * PAGE, 'weights')).toThrow(
    expect.objectContaining({ code: 'engine', message: expect.stringMatching(/no memory for weights/) }),
  );
  heap.free(first, 2 * PAGE);
  expect(heap.allocate(3 * PAGE, 'now')).toBe(1024);
});
