import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { createWasmEngine } from '../compute/engines/wasm/engine.ts';
import { tinyModel } from '../generation/testing/models.ts';
import type { Model } from '../nn/model.ts';
import { SequenceRunner } from '../nn/sequence_runner.ts';
import { DecodeGroup } from './decode_group.ts';

const VOCAB = 11;
let engine: Engine;
let model: Model;
let empty: SequenceRunner;
let group: DecodeGroup<number>;

beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
  model = tinyModel(VOCAB, 5, engine);
  empty = SequenceRunner.of(model, 1, 'last');
});
afterAll(() => engine.close());
beforeEach(() => {
  group = new DecodeGroup(model);
  return () => group.free();
});

/** Rows of the Program that the group's next step takes. */
async function rows(): Promise<number> {
  const logits = await group.step(group.sequences.map(() => 1));
  return logits.length / VOCAB;
}

it('has rows for all', async () => {
  const found: number[] = [];
  for (let i = 0; i < 5; i++) {
    group.add(i, empty.state);
    found.push(await rows());
  }
  expect(found).toEqual([1, 2, 4, 4, 8]);
});

it('steps one that comes after many have left alone', async () => {
  for (let i = 0; i < 5; i++) group.add(i, empty.state);
  expect(await rows()).toBe(8);
  for (let i = 0; i < 5; i++) group.remove(i);
  group.add(5, empty.state);
  expect(await rows()).toBe(1);
});

it('steps the last of many alone after a while, with the same numbers', async () => {
  const alone = new DecodeGroup<number>(model);
  alone.add(0, empty.state);
  for (let i = 0; i < 5; i++) group.add(i, empty.state);
  group.remove(0);
  for (const left of [1, 2, 3]) group.remove(left);
  const found: number[] = [];
  for (let step = 0; step < 20; step++) {
    const logits = await group.step([step % VOCAB]);
    found.push(logits.length / VOCAB);
    expect(logits.subarray(0, VOCAB)).toEqual(await alone.step([step % VOCAB]));
  }
  expect(found).toEqual([...Array(16).fill(8), ...Array(4).fill(1)]);
  alone.free();
});
