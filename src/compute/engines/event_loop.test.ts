import { Worker } from 'node:worker_threads';
import { afterEach, expect, it } from 'vitest';
import { Program } from '../program/program.ts';
import { Region } from '../program/region.ts';
import type { Engine } from './engine.ts';
import { addressOf } from './testing/address.ts';
import { fastEngines } from './testing/engines.ts';

const { cases } = await fastEngines();
/** One of each kind: how long the calling thread is kept does not depend on the instruction set. */
const kinds = ['wasm', 'native'].flatMap((kind) => cases.find(({ name }) => name.startsWith(kind)) ?? []);

const opened: Engine[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
});

const SIZE = 512;

function products(count: number): Program {
  const io = new Region('io');
  for (const name of ['a', 'b', 'c']) io.add(name, [SIZE, SIZE]);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => addressOf(io, name));
  const words = [1, SIZE, SIZE, SIZE, a, SIZE, 0, 0, b, SIZE, 0, 0, c, SIZE, 0, 0, 0, 0, 0, 0];
  const instructions = Array.from({ length: count }, () => ({ kernel: 'gemm' as const, words }));
  return new Program('products', instructions, new Region('work'), io, []);
}

/** The longest time between two turns of a timer that is due every 10 ms, in milliseconds. */
async function longestGap(work: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const turn = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(turn, 10);
  await work();
  turn();
  clearInterval(timer);
  return longest;
}

/** Keeps a core busy that is not the calling thread's. */
async function busyElsewhere(milliseconds: number): Promise<void> {
  const source =
    'const end = performance.now() + require("node:worker_threads").workerData; while (performance.now() < end);';
  const worker = new Worker(source, { eval: true, workerData: milliseconds });
  await new Promise((resolve) => worker.once('exit', resolve));
}

it.each(kinds)(
  '$name: a timer keeps firing while steps of half a second run',
  { retry: 2 },
  async ({ open }) => {
    const engine = await open(1);
    opened.push(engine);
    const one = engine.bind(products(2), []);
    const start = performance.now();
    await one.run();
    const count = Math.max(2, Math.ceil(1000 / (performance.now() - start)));
    const step = engine.bind(products(count), []);
    step.io.write('a', new Float32Array(SIZE * SIZE).fill(1));
    step.io.write('b', new Float32Array(SIZE * SIZE).fill(2));
    let shortest = Number.POSITIVE_INFINITY;
    const gap = await longestGap(async () => {
      for (let i = 0; i < 2; i++) {
        const began = performance.now();
        await step.run();
        shortest = Math.min(shortest, performance.now() - began);
        expect((await step.io.read('c', 0, 1))[0]).toBe(2 * SIZE);
      }
    });
    // Where other processes take the cores, a free thread waits for its turn as well: that much is not the engine's.
    const beside = await longestGap(() => busyElsewhere(2 * shortest));
    expect(gap).toBeLessThan(Math.max(50, 2 * beside));
    expect(shortest).toBeGreaterThan(200);
    expect(gap).toBeLessThan(shortest / 2);
  },
);
