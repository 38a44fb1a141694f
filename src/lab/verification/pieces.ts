import type { Values } from '../../compute/engines/engine.ts';
import { type Shape, sizeOf } from '../../compute/program/region.ts';
import type { Model } from '../../nn/model.ts';
import { SequenceRunner } from '../../nn/sequence_runner.ts';
import { timeSlice, writeTimeSlice } from './layout.ts';

export interface Batch {
  readonly shape: Shape; // [B, T]
  readonly values: ArrayLike<number>;
}

export interface Reading {
  readonly logits: Float64Array; // [B, T, V]
  /** After the last token, by name. */
  readonly state: ReadonlyMap<string, Values>;
}

/** What a model makes of tokens that are read `length` at a time, the state handed on through memory. */
export async function readInPieces(model: Model, tokens: Batch, length: number): Promise<Reading> {
  const [batch, total] = tokens.shape;
  using runner = SequenceRunner.of(model, batch, 'all');
  const shape = [batch, total, model.network.vocabSize];
  const logits = new Float64Array(sizeOf(shape));
  for (let t = 0; t < total; t += length) {
    const n = Math.min(length, total - t);
    const executable = runner.executable(n);
    executable.io.write('tokens', timeSlice(tokens.values, [batch, total, 1], t, t + n));
    await executable.run();
    writeTimeSlice(logits, shape, t, await executable.io.read('logits'));
  }
  const state = new Map<string, Values>();
  for (const { name } of runner.state.region.entries) state.set(name, await runner.state.read(name));
  return { logits, state };
}
