import { afterEach, describe, expect, it, vi } from 'vitest';
import { Program } from '../program/program.ts';
import { Region } from '../program/region.ts';
import { chooseEngine } from './choose.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { availableCores } from './host.ts';
import { createNativeEngine, loadNativeLibrary } from './native/engine.ts';
import { createReferenceEngine } from './reference/engine.ts';
import { randomValues, tensorError } from './reference/testing/values.ts';
import { addressOf } from './testing/address.ts';
import { createWasmEngine } from './wasm/engine.ts';
import { WasmHeap } from './wasm/heap.ts';

const M = 133;
const N = 74;
const K = 301;

/** c = a · b, d = c² + bias, sums = Σ over rows of d: every size odd, large enough for threads to take part. */
function product(k: number, layers: number): Program {
  const work = new Region('work');
  const io = new Region('io');
  io.add('a', [M, k]);
  io.add('b', [k, N]);
  io.add('bias', [N]);
  io.add('d', [M, N]);
  io.add('sums', [N]);
  work.add('c', [M, N]);
  work.add('partial', [16, N]);
  const square = 13;
  const add = 1;
  return new Program(
    'product',
    Array.from({ length: layers }).flatMap(() => [
      {
        kernel: 'gemm' as const,
        words: [
          1,
          M,
          N,
          k,
          addressOf(io, 'a'),
          k,
          0,
          0,
          addressOf(io, 'b'),
          N,
          0,
          0,
          addressOf(work, 'c'),
          N,
          0,
          0,
          0,
          0,
          0,
          0,
        ],
      },
      {
        kernel: 'map' as const,
        words: [
          ...[M, N, 2, 1, 1, 2],
          ...[addressOf(work, 'c'), N, 1, addressOf(io, 'bias'), 0, 1],
          ...[addressOf(io, 'd'), N],
          ...[square, 3, 0, 0, 0],
          ...[add, 2, 3, 1, 0],
        ],
      },
      {
        kernel: 'reduce' as const,
        words: [M, N, 0, addressOf(io, 'd'), N, 0, 0, addressOf(io, 'sums'), addressOf(work, 'partial')],
      },
    ]),
    work,
    io,
    [{ name: 'bias', values: [0.5, -0.25] }],
  );
}

const open: Engine[] = [];
const opened = async <E extends Engine>(engine: Promise<E> | E): Promise<E> => {
  const resolved = await engine;
  open.push(resolved);
  return resolved;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

async function compute(engine: Engine, program: Program): Promise<ArrayLike<number>[]> {
  const { io, run } = engine.bind(program, []);
  io.write('a', randomValues(M * K, 1));
  io.write('b', randomValues(K * N, 2));
  await run();
  return [await io.read('d'), await io.read('sums')];
}

const program = product(K, 3);
const expected = compute(createReferenceEngine(), program);

const instructionSets = await loadNativeLibrary().then(
  (library) => library.instructionSets,
  () => [],
);

interface Variant {
  readonly name: string;
  readonly create: (options: EngineOptions) => Promise<Engine>;
}
const variants: Variant[] = [
  { name: 'wasm relaxed', create: (options) => createWasmEngine(options) },
  { name: 'wasm simd', create: (options) => createWasmEngine({ ...options, instructionSet: 'simd' }) },
  ...instructionSets.map((set) => ({
    name: `native ${set}`,
    create: (options: EngineOptions) => createNativeEngine({ ...options, instructionSet: set }),
  })),
];

describe.each(variants)('$name', ({ name, create }) => {
  it('agrees with the reference engine, to the same bits for every number of threads', async () => {
    const one = await opened(create({ threads: 1 }));
    const [d, sums] = await compute(one, program);
    const [expectedD, expectedSums] = await expected;
    expect(tensorError(d, expectedD)).toBeLessThan(2e-6);
    expect(tensorError(sums, expectedSums)).toBeLessThan(2e-6);
    for (const threads of [2, 4]) {
      const several = await opened(create({ threads }));
      expect(several.threads).toBe(threads);
      expect(several.description).toContain(`${threads} threads`);
      const [otherD, otherSums] = await compute(several, program);
      expect(otherD).toEqual(d);
      expect(otherSums).toEqual(sums);
    }
  });

  it('keeps runs apart: long and short ones, started without waiting', async () => {
    const engine = await opened(create({ threads: 2 }));
    const long = engine.bind(product(K, 8), []);
    const short = engine.bind(product(3, 1), []);
    for (const { io, program } of [long, short]) {
      io.write('a', new Float32Array(program.io.get('a').shape[0] * program.io.get('a').shape[1]).fill(1));
      io.write('b', new Float32Array(program.io.get('b').shape[0] * program.io.get('b').shape[1]).fill(1));
    }
    const runs = Array.from({ length: 20 }, (_, i) => (i % 2 ? short : long).run());
    expect((await long.io.read('sums'))[2]).toBe(M * K ** 2);
    expect((await short.io.read('sums'))[0]).toBe(M * 9.5);
    await Promise.all(runs);
  });

  it('does not grow memory over 1000 runs', async () => {
    const engine = await opened(create({ threads: 1 }));
    const { run } = engine.bind(product(3, 1), []);
    await run();
    // Memory within the heap of WebAssembly is not seen from outside of it.
    const taken = vi.spyOn(WasmHeap.prototype, 'allocate');
    const before = process.memoryUsage();
    for (let i = 0; i < 1000; i++) await run();
    const after = process.memoryUsage();
    expect(taken).not.toHaveBeenCalled();
    engine.bind(product(3, 1), []);
    expect(taken.mock.calls.length > 0).toBe(name.startsWith('wasm'));
    taken.mockRestore();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(1e6);
    expect(after.external - before.external).toBeLessThan(1e6);
  });

  it('says so when memory is refused', async () => {
    const engine = await opened(create({ threads: 1 }));
    const huge = new Region('huge');
    huge.add('x', [name.startsWith('wasm') ? 2 ** 30 : 2 ** 45]);
    expect(() => engine.allocate(huge)).toThrow(
      expect.objectContaining({ code: 'engine', message: expect.stringMatching(/no memory for huge/) }),
    );
    // and goes on
    expect(tensorError((await compute(engine, program))[1], (await expected)[1])).toBeLessThan(2e-6);
  });

  it('shares memory between programs', async () => {
    const engine = await opened(create({ threads: 1 }));
    const shared = new Region('parameters');
    shared.add('x', [5]);
    const memory = engine.allocate(shared);
    const sum = (label: string): Program => {
      const work = new Region('work');
      const io = new Region('io');
      io.add('y', [1]);
      work.add('partial', [16]);
      return new Program(
        label,
        [
          {
            kernel: 'reduce',
            words: [1, 5, 1, addressOf(shared, 'x'), 5, 0, 0, addressOf(io, 'y'), addressOf(work, 'partial')],
          },
        ],
        work,
        io,
        [],
      );
    };
    const first = engine.bind(sum('first'), [memory]);
    engine.bind(program, []); // a larger workspace: the first Program is linked anew
    const second = engine.bind(sum('second'), [memory]);
    memory.write('x', [1, 2, 3, 4, 5]);
    await first.run();
    await second.run();
    expect([...(await first.io.read('y')), ...(await second.io.read('y'))]).toEqual([15, 15]);
  });
});

describe('chooseEngine', () => {
  it('takes native where it loads, else wasm, and says why', async () => {
    const { engine, reason } = await chooseEngine('auto', { threads: 1 });
    open.push(engine);
    expect(engine.name).toBe(instructionSets.length > 0 ? 'native' : 'wasm');
    expect(reason.length).toBeGreaterThan(10);
  });

  it('falls back to wasm with the reason', async () => {
    const { engine, reason } = await chooseEngine('auto', { threads: 1, instructionSet: 'simd' });
    open.push(engine);
    expect(engine.name).toBe('wasm');
    expect(reason).toMatch(/native is not: /);
  });

  it.each(instructionSets.length > 0 ? (['wasm', 'native'] as const) : (['wasm'] as const))(
    'warns where threads of %s have to share cores',
    async (name) => {
      const cores = await availableCores();
      for (const threads of [cores, cores + 1]) {
        const { engine, reason } = await chooseEngine(name, { threads });
        open.push(engine);
        expect(engine.threads).toBe(threads);
        const warning = `; warning: ${threads} threads share ${cores} core`;
        expect(reason.includes(warning)).toBe(threads > cores);
      }
    },
  );

  it('refuses an engine that is not there, an unknown one, and impossible threads', async () => {
    for (const name of ['native', 'wasm'] as const) {
      const instructionSet = 'mmx';
      await expect(chooseEngine(name, { instructionSet })).rejects.toMatchObject({
        code: 'engine',
        message: expect.stringMatching(/instructionSet is "mmx", but /),
        hint: expect.any(String),
      });
    }
    await expect(chooseEngine('cuda' as 'auto')).rejects.toThrow(/no engine "cuda"/);
    await expect(chooseEngine('wasm', { threads: 0 })).rejects.toThrow(/threads is 0/);
  });
});
