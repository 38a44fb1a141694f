import { afterEach, describe, expect, it } from 'vitest';
import { Program, type Word } from '../program/program.ts';
import { Region } from '../program/region.ts';
import { scalarFunctionNames } from '../program/scalar_functions.ts';
import type { Engine, Executable, Memory } from './engine.ts';
import { createReferenceEngine } from './reference/engine.ts';
import { addressOf } from './testing/address.ts';
import { fastEngines } from './testing/engines.ts';

const { cases } = await fastEngines();
const variants = [
  ...cases,
  { name: 'reference', open: async (): Promise<Engine> => createReferenceEngine() },
];

const opened: Engine[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
});

const state = new Region('state');
state.add('x', [3]);
state.add('y', [2, 2]);

const SIZE = 256;

/** state.x += 1, and beside it `products` products of 256³, which take a while: a long run leaves the thread. */
function counter(products: number): Program {
  const work = new Region('work');
  const io = new Region('io');
  for (const name of ['a', 'b', 'c']) io.add(name, [SIZE, SIZE]);
  const product = {
    kernel: 'gemm' as const,
    words: [
      1,
      SIZE,
      SIZE,
      SIZE,
      addressOf(io, 'a'),
      SIZE,
      0,
      0,
      addressOf(io, 'b'),
      SIZE,
      0,
      0,
      addressOf(io, 'c'),
      SIZE,
      0,
      0,
    ].concat([0, 0, 0, 0] as never[]) as Word[],
  };
  io.add('one', [1]);
  const add = scalarFunctionNames.indexOf('add');
  const increment = {
    kernel: 'map' as const,
    words: [
      1,
      3,
      2,
      1,
      0,
      1,
      addressOf(state, 'x'),
      3,
      1,
      addressOf(io, 'one'),
      0,
      0,
      addressOf(state, 'x'),
      3,
      add,
      2,
      0,
      1,
      0,
    ],
  };
  const instructions = [...Array.from({ length: products }, () => product), increment];
  return new Program('counter', instructions, work, io, [{ name: 'one', values: [1] }]);
}

const usage = (message: RegExp) =>
  expect.objectContaining({ code: 'usage', message: expect.stringMatching(message) });

describe.each(variants)('memory of $name', ({ open }) => {
  const openEngine = async (threads = 2): Promise<Engine> => {
    const engine = await open(threads);
    opened.push(engine);
    return engine;
  };
  const bound = async (): Promise<{
    engine: Engine;
    memory: Memory;
    long: Executable;
    short: Executable;
  }> => {
    const engine = await openEngine();
    const memory = engine.allocate(state);
    const long = engine.bind(counter(engine.name === 'reference' ? 1 : 20), [memory]);
    const short = engine.bind(counter(0), [memory]);
    return { engine, memory, long, short };
  };
  const list = async (values: Promise<ArrayLike<number>>): Promise<number[]> => Array.from(await values);

  it('writes and reads entries, parts of them, whole memories, and zeros', async () => {
    const memory = (await openEngine()).allocate(state);
    expect((await list(memory.readAll())).every((value) => value === 0)).toBe(true);
    memory.write('y', [1, 0.5], 2);
    expect(await list(memory.read('y'))).toEqual([0, 0, 1, 0.5]);
    expect(await list(memory.read('y', 1))).toEqual([0, 1, 0.5]);
    expect(await list(memory.read('y', 1, 2))).toEqual([0, 1]);
    const all = await memory.readAll();
    memory.clear();
    expect(await list(memory.read('y'))).toEqual([0, 0, 0, 0]);
    memory.writeAll(all);
    expect(await list(memory.read('y'))).toEqual([0, 0, 1, 0.5]);
  });

  it('copies whole memories and parts', async () => {
    const engine = await openEngine();
    const [first, second] = [engine.allocate(state), engine.allocate(state.mirror('other'))];
    first.write('x', [1, 2, 3]);
    first.write('y', [4, 5, 6, 7]);
    second.copyFrom(first);
    expect(await second.readAll()).toEqual(await first.readAll());
    const slots = new Region('slots');
    slots.add('y', [3, 2, 2]);
    const batch = engine.allocate(slots);
    batch.copyFrom(first, { name: 'y', at: 4 });
    batch.copyFrom(first, { name: 'y', at: 9, from: 2, count: 1 });
    expect(await list(batch.read('y'))).toEqual([0, 0, 0, 0, 4, 5, 6, 7, 0, 6, 0, 0]);
    batch.copyFrom(batch, { name: 'y', from: 4, count: 5, at: 2 });
    expect(await list(batch.read('y'))).toEqual([0, 0, 4, 5, 6, 7, 0, 7, 0, 6, 0, 0]);
    expect(() => batch.copyFrom(first)).toThrow(usage(/differ in their layout/));
    expect(() => batch.copyFrom(first, { name: 'y', at: 9 })).toThrow(usage(/do not fit in 12/));
    expect(() => batch.copyFrom(first, { name: 'y', from: 3, count: 2 })).toThrow(usage(/do not fit in 4/));
    expect(() => first.copyFrom(batch, { name: 'x' })).toThrow(usage(/slots holds no "x"/));
  });

  it('does everything in the order in which it was asked for, without waiting', async () => {
    const { engine, memory, long, short } = await bound();
    const other = engine.allocate(state);
    const values = [10, 20, 30];
    memory.write('x', values);
    const runs = [long.run(), short.run()];
    const afterRuns = memory.read('x');
    memory.write('x', values);
    values.fill(-1); // the write keeps what it was given
    const afterWrite = memory.read('x', 2);
    other.copyFrom(memory);
    runs.push(long.run());
    memory.clear();
    runs.push(short.run());
    const last = memory.read('x');
    memory.writeAll(new Float32Array(state.elements).fill(5));
    const copied = other.read('x');
    expect(await list(afterRuns)).toEqual([12, 22, 32]);
    expect(await list(afterWrite)).toEqual([30]);
    expect(await list(last)).toEqual([1, 1, 1]);
    expect(await list(copied)).toEqual([10, 20, 30]);
    expect(await list(memory.readAll())).toEqual(new Array(state.elements).fill(5));
    await Promise.all(runs);
  });

  it('gives a read what was there, not what runs after it', async () => {
    const { engine, memory, long } = await bound();
    const order: string[] = [];
    const first = Promise.resolve(long.run()).then(() => order.push('first run'));
    const read = memory.read('x').then(() => order.push('read'));
    const second = Promise.resolve(long.run()).then(() => order.push('second run'));
    await Promise.all([first, read, second]);
    if (engine.name !== 'reference') expect(order.indexOf('read')).toBeLessThan(order.indexOf('second run'));
  });

  it('lends its numbers in their turn, and waits until they are given back', async () => {
    const { memory, long } = await bound();
    const run = long.run();
    const lent = memory.access(async (values) => {
      const before = values[0];
      await new Promise((resolve) => setImmediate(resolve));
      values[0] = 10 * before;
      return values.length;
    });
    const after = memory.read('x');
    memory.write('x', [7]);
    expect(await lent).toBe(state.elements);
    expect(await list(after)).toEqual([10, 1, 1]);
    expect(await list(memory.read('x'))).toEqual([7, 1, 1]);
    const failing = memory.access(() => {
      throw new Error('not done');
    });
    await expect(failing).rejects.toThrow('not done');
    expect(await list(memory.read('x'))).toEqual([7, 1, 1]);
    await run;
  });

  it('frees memory after the runs that use it, once, and refuses it from then on', async () => {
    const { engine, memory, long, short } = await bound();
    const other = engine.allocate(state);
    memory.write('x', [1, 2, 3]);
    const run = long.run();
    const read = memory.read('x');
    memory.free();
    memory.free();
    const again = Array.from({ length: 4 }, () => engine.allocate(state)); // would take its place too early
    for (const fresh of again) fresh.write('x', [7, 7, 7]);
    await run;
    expect(await list(read)).toEqual([2, 3, 4]);
    const freed = usage(/the memory of state was freed/);
    expect(() => memory.write('x', [1])).toThrow(freed);
    expect(() => memory.writeAll(new Float32Array(state.elements))).toThrow(freed);
    expect(() => memory.clear()).toThrow(freed);
    expect(() => memory.copyFrom(other)).toThrow(freed);
    expect(() => other.copyFrom(memory)).toThrow(freed);
    await expect(memory.read('x')).rejects.toEqual(freed);
    await expect(memory.readAll()).rejects.toEqual(freed);
    await expect(memory.access(() => undefined)).rejects.toEqual(freed);
    expect(() => short.run()).toThrow(freed);
    await expect(short.profile()).rejects.toEqual(freed);
    expect(() => engine.bind(counter(0), [memory])).toThrow(freed);
    for (const fresh of again) expect(await list(fresh.read('x'))).toEqual([7, 7, 7]);
  });

  it('frees executables after their runs, by dispose too', async () => {
    const { memory, long, short } = await bound();
    const run = long.run();
    long.free();
    long.free();
    short[Symbol.dispose]();
    expect(() => long.run()).toThrow(usage(/program counter was freed/));
    await expect(short.profile()).rejects.toEqual(usage(/program counter was freed/));
    expect(() => long.io.write('a', [1])).toThrow(usage(/the memory of io was freed/));
    await run;
    expect(await list(memory.read('x'))).toEqual([1, 1, 1]);
  });

  it('refuses what does not fit', async () => {
    const { memory } = await bound();
    const places: [number[], number][] = [
      [[1, 2, 3, 4], 0],
      [[1], 3],
      [[1], -1],
      [[1], 0.5],
      [[1], Number.NaN],
    ];
    for (const [values, from] of places) {
      expect(() => memory.write('x', values, from)).toThrow(usage(/state\.x: .* do not fit in 3/));
    }
    const parts = [
      [0, 4],
      [4, 0],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
    ];
    for (const [from, count] of parts) {
      await expect(memory.read('x', from, count)).rejects.toEqual(usage(/do not fit in 3/));
    }
    expect(() => memory.writeAll([1])).toThrow(usage(/state holds 32 elements; 1 values do not fit/));
    expect(() => memory.write('z', [1])).toThrow(usage(/state holds no "z"; it has x, y/));
    await expect(memory.read('z')).rejects.toEqual(usage(/state holds no "z"/));
  });

  it('refuses memory of other engines, of regions that grew, and none at all', async () => {
    const engine = await openEngine();
    const bind = (memories: Memory[]) => () => engine.bind(counter(0), memories);
    for (const variant of [...variants, { name: 'the same', open }]) {
      const other = await variant.open(1);
      opened.push(other);
      const foreign = usage(/the memory of state belongs to another engine/);
      expect(bind([other.allocate(state)])).toThrow(foreign);
      expect(() => engine.allocate(state).copyFrom(other.allocate(state))).toThrow(foreign);
    }
    expect(bind([])).toThrow(usage(/no memory was given for region state/));
    const growing = new Region('growing');
    growing.add('x', [3]);
    const memory = engine.allocate(growing);
    growing.add('late', [40]);
    const grown = usage(/growing has grown to 256 bytes since it got memory for 64/);
    const words = [1, 3, 1, addressOf(growing, 'late'), 3, 0, 0, addressOf(state, 'x'), 0];
    const io = new Region('io');
    const program = new Program('late', [{ kernel: 'reduce', words }], new Region('work'), io, []);
    expect(() => engine.bind(program, [engine.allocate(state), memory])).toThrow(grown);
    expect(() => memory.write('late', [1])).toThrow(grown);
    await expect(memory.read('late')).rejects.toEqual(grown);
  });

  it('ends what was asked for when it is closed, and refuses everything afterwards', async () => {
    const { engine, memory, long, short } = await bound();
    const run = long.run();
    const read = memory.read('x');
    const closing = engine.close();
    const closed = expect.objectContaining({
      code: 'engine',
      message: `the ${engine.name} engine is closed`,
      hint: 'create another engine to go on',
    });
    expect(() => memory.write('x', [1])).toThrow(closed);
    await run;
    expect(await list(read)).toEqual([1, 1, 1]);
    await Promise.all([closing, engine.close()]);
    await engine.close();
    expect(() => engine.allocate(state)).toThrow(closed);
    expect(() => engine.bind(counter(0), [memory])).toThrow(closed);
    expect(() => short.run()).toThrow(closed);
    await expect(short.profile()).rejects.toEqual(closed);
    expect(() => memory.writeAll(new Float32Array(state.elements))).toThrow(closed);
    expect(() => memory.clear()).toThrow(closed);
    expect(() => memory.copyFrom(memory)).toThrow(closed);
    await expect(memory.read('x')).rejects.toEqual(closed);
    await expect(memory.readAll()).rejects.toEqual(closed);
    memory.free();
    long.free();
  });
});
