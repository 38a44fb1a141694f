import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leaf } from '../graph/tensor.ts';
import { bytesOf, dtypes } from '../program/dtypes.ts';
import { Region } from '../program/region.ts';
import type { Engine } from './engine.ts';
import { createReferenceEngine } from './reference/engine.ts';
import { fastEngines } from './testing/engines.ts';

const region = new Region('mixed');
region.add('x', [3]);
region.add('ids', [2, 2], 'i32');
region.add('y', [1]);

it('layouts are in bytes', () => {
  expect(Array.from(region.entries, (e) => [e.name, e.dtype, e.offset])).toEqual([
    ['x', 'f32', 0],
    ['ids', 'i32', 64],
    ['y', 'f32', 128],
  ]);
  expect(region.bytes).toBe(192);
  for (const [name, { bytes, array }] of Object.entries(dtypes)) {
    expect(array.BYTES_PER_ELEMENT, name).toBe(bytes);
    expect(bytesOf(name as keyof typeof dtypes, 5)).toBe(5 * bytes);
  }
});

it('operations refuse what is not float32', () => {
  expect(() => leaf(region, 'ids', [2, 2])).toThrow('mixed: "ids" holds i32, operations take f32');
});

// More than a float32 holds exactly.
const IDS = [2 ** 24 + 1, -(2 ** 31), 7, 0];
const { cases } = await fastEngines();
const engines = [...cases, { name: 'reference', open: async (): Promise<Engine> => createReferenceEngine() }];

describe.each(engines)('whole numbers in memory of $name', ({ open }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open(1);
  });
  afterAll(() => engine.close());

  it('are kept exactly, beside float32', async () => {
    const memory = engine.allocate(region);
    memory.write('x', [1, 2, 3]);
    memory.write('y', [0.5]);
    memory.write('ids', IDS);
    expect([...(await memory.read('ids'))]).toEqual(IDS);
    expect([...(await memory.read('ids', 1, 2))]).toEqual(IDS.slice(1, 3));
    expect([...(await memory.read('x')), ...(await memory.read('y'))]).toEqual([1, 2, 3, 0.5]);
    memory.write('ids', [5], 2);
    expect([...(await memory.read('ids'))]).toEqual([IDS[0], IDS[1], 5, 0]);
  });

  it('are copied as they are, and to entries of their type alone', async () => {
    const memory = engine.allocate(region);
    const other = engine.allocate(region);
    memory.write('ids', IDS);
    other.copyFrom(memory, { name: 'ids', from: 0, count: 2, at: 2 });
    expect([...(await other.read('ids'))]).toEqual([0, 0, IDS[0], IDS[1]]);
    other.copyFrom(memory);
    expect([...(await other.read('ids'))]).toEqual(IDS);

    const floats = new Region('floats');
    floats.add('ids', [4]);
    const wrong = engine.allocate(floats);
    expect(() => wrong.copyFrom(memory, { name: 'ids' })).toThrow('ids is i32 in mixed, not in floats');
  });
});
