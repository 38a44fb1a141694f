import { expect, it } from 'vitest';
import { Program } from '../../program/program.ts';
import { Region } from '../../program/region.ts';
import { addressOf } from '../testing/address.ts';
import { createNativeEngine, loadNativeLibrary } from './engine.ts';

const there = await loadNativeLibrary().then(
  () => true,
  () => false,
);

it.runIf(there)('takes gigabytes that cost nothing until they are written', async () => {
  const engine = await createNativeEngine({ threads: 1 });
  const region = new Region('large');
  const elements = 800_000_000;
  region.add('x', [elements]);
  const before = process.memoryUsage().rss;
  const memory = engine.allocate(region);
  memory.write('x', [7], elements - 1);
  expect(process.memoryUsage().rss - before).toBeLessThan(5e7);
  await engine.close();
});

it.runIf(there)('leaves the event loop free during a long run', async () => {
  const engine = await createNativeEngine({ threads: 1 });
  const size = 512;
  const work = new Region('work');
  const io = new Region('io');
  const at = (name: string) => addressOf(io, io.add(name, [size, size]).name);
  const words = [
    1,
    size,
    size,
    size,
    at('a'),
    size,
    0,
    0,
    at('b'),
    size,
    0,
    0,
    at('c'),
    size,
    0,
    0,
    0,
    0,
    0,
    0,
  ];
  const instructions = Array.from({ length: 40 }, () => ({ kernel: 'gemm' as const, words }));
  const { io: memory, run } = engine.bind(new Program('long', instructions, work, io, []), []);
  memory.write('a', new Float32Array(size * size).fill(1));
  memory.write('b', new Float32Array(size * size).fill(2));
  let over = false;
  const done = run();
  expect(done).toBeInstanceOf(Promise);
  const ended = done!.then(() => {
    over = true;
  });
  let turns = 0;
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  await ended;
  expect(turns).toBeGreaterThan(10);
  expect((await memory.read('c'))[size]).toBe(2 * size);
  await engine.close();
});
