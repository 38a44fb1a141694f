import { afterEach, describe, expect, it } from 'vitest';
import { Program, type Word } from '../program/program.ts';
import { Region } from '../program/region.ts';
import { scalarFunctionNames } from '../program/scalar_functions.ts';
import type { Engine } from './engine.ts';
import { addressOf } from './testing/address.ts';
import { createWasmEngine } from './wasm/engine.ts';

const opened: Engine[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
});

const ROWS = 64;
const COLUMNS = 4096;

/** Doubles rows of an array `steps` times; a row lies `stride` elements after the one before, from `start` on. */
function doubling(start: Word, stride: number, steps: number, io: Region): Program {
  const add = scalarFunctionNames.indexOf('add');
  const chain = Array.from({ length: steps }, (_, i) =>
    i === 0 ? [add, 1, 0, 0, 0] : [add, 1, 1, 1, 0],
  ).flat();
  const words = [ROWS, COLUMNS, 1, 1, 0, steps, start, stride, 1, start, stride, ...chain];
  return new Program('doubling', [{ kernel: 'map', words }], new Region('work'), io, []);
}

/** Beyond the end of any memory that is not at its limit. */
const NOWHERE = 4_000_000_000;

const region = (): Region => {
  const io = new Region('io');
  io.add('x', [ROWS, COLUMNS]);
  return io;
};

/** The last thread, or the first, works on rows that are not there. */
const traps = {
  'its last thread': (steps: number): Program => {
    const io = region();
    return doubling(addressOf(io, 'x'), 2 ** 24, steps, io);
  },
  'its first thread': (steps: number): Program => doubling(NOWHERE, -(2 ** 24), steps, region()),
} as const;

const failed = expect.objectContaining({
  code: 'engine',
  message: expect.stringMatching(/^the wasm engine failed and cannot be used any more: .+/),
  hint: expect.stringMatching(/^create another engine to go on/),
});

describe('a wasm engine', () => {
  const cases = [1, 2, 4].flatMap((threads) =>
    Object.entries(traps).flatMap(([where, trap]) =>
      [
        { run: 'short', steps: 20 },
        { run: 'long', steps: 100 },
      ].map(({ run, steps }) => ({ threads, where, run, program: trap(steps) })),
    ),
  );
  it.each(cases)(
    'of $threads threads that traps in $where in a $run run refuses and ends',
    async ({ threads, program }) => {
      const engine = await createWasmEngine({ threads });
      opened.push(engine);
      const memory = engine.allocate(region());
      const good = engine.bind(doubling(addressOf(memory.region, 'x'), COLUMNS, 8, region()), [memory]);
      memory.write('x', [1]);
      await good.run();
      expect((await memory.read('x'))[0]).toBe(256);
      const bad = engine.bind(program, []);
      const run = (async () => bad.run())();
      const later = [
        (async () => good.run())(),
        (async () => memory.read('x'))(),
        (async () => good.profile())(),
      ];
      await expect(run).rejects.toEqual(failed);
      for (const asked of await Promise.allSettled(later)) {
        expect(asked).toEqual({ status: 'rejected', reason: failed });
      }
      expect(() => good.run()).toThrow(failed);
      expect(() => memory.write('x', [1])).toThrow(failed);
      expect(() => engine.allocate(region())).toThrow(failed);
      expect(() => engine.bind(program, [])).toThrow(failed);
      memory.free();
      bad.free();
      await engine.close();
      const next = await createWasmEngine({ threads });
      opened.push(next);
      expect((await next.allocate(region()).read('x', 0, 2)).length).toBe(2);
    },
  );
});
