import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../checkpoints/safetensors.ts';
import { XlstmError } from '../errors.ts';
import type { Model } from '../nn/model.ts';
import { type Region, shapeText, sizeOf } from '../program/region.ts';
import { MAX_REPETITION_WINDOW } from './sampling.ts';
import { TokenWindow } from './token_window.ts';

/** All that a sequence is, between two tokens. */
export interface SequenceState {
  /** The recurrent state, in region order. */
  readonly state: Float32Array | Float64Array;
  /** Of the next token: [V]. */
  readonly logits: Float32Array | Float64Array;
  readonly recent: TokenWindow;
  readonly tokensSeen: number;
}

const FORMAT = 'xlstm-session-1';
const STATE = 'state.';

/** A safetensors file: `state.<name>` for each entry of the state, `logits` [V], `recent` [n] (token ids). */
export function encodeSession(saved: SequenceState, region: Region, fingerprint: string): Uint8Array {
  const tensors = new Map<string, TensorToWrite>();
  for (const { name, shape, offset } of region.entries) {
    const data = Float32Array.from(saved.state.subarray(offset, offset + sizeOf(shape)));
    tensors.set(STATE + name, { shape, data });
  }
  const logits = Float32Array.from(saved.logits);
  const recent = Float32Array.from(saved.recent.toArray());
  tensors.set('logits', { shape: [logits.length], data: logits });
  tensors.set('recent', { shape: [recent.length], data: recent });
  const metadata = { format: FORMAT, model: fingerprint, tokens_seen: String(saved.tokensSeen) };
  return writeSafetensors(tensors, metadata);
}

/** Reads what `encodeSession` wrote, for a model with this layout of the state and this fingerprint. */
export function decodeSession(
  bytes: Uint8Array,
  region: Region,
  vocabSize: number,
  fingerprint: string,
  source: string,
): SequenceState {
  const { tensors, metadata } = parseSafetensors(bytes, source);
  if (metadata.format !== FORMAT) {
    const found = metadata.format === undefined ? 'a file without a format' : JSON.stringify(metadata.format);
    throw new XlstmError('checkpoint', `${source}: expected a saved session (${FORMAT}), found ${found}`);
  }
  if (metadata.model !== fingerprint) {
    throw new XlstmError(
      'checkpoint',
      `${source}: the session was saved from another model: expected fingerprint ${fingerprint}, found ${metadata.model}`,
      'Restore it into a session of the model that it was saved from.',
    );
  }
  const read = (name: string, shape: readonly number[]): Float32Array => {
    const tensor = tensors.get(name);
    if (!tensor || shapeText(tensor.shape) !== shapeText(shape)) {
      const found = tensor ? shapeText(tensor.shape) : 'no such tensor';
      throw new XlstmError(
        'checkpoint',
        `${source}: "${name}": expected shape ${shapeText(shape)}, found ${found}`,
      );
    }
    return tensor.read();
  };
  const tokensSeen = Number(metadata.tokens_seen);
  if (!Number.isSafeInteger(tokensSeen) || tokensSeen < 0) {
    throw new XlstmError(
      'checkpoint',
      `${source}: tokens_seen: expected a whole number, found ${JSON.stringify(metadata.tokens_seen)}`,
    );
  }
  const state = new Float32Array(region.elements);
  for (const { name, shape, offset } of region.entries) state.set(read(STATE + name, shape), offset);
  const logits = read('logits', [vocabSize]);
  const recent = new TokenWindow(MAX_REPETITION_WINDOW);
  for (const id of read('recent', [Math.min(tokensSeen, MAX_REPETITION_WINDOW)])) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new XlstmError(
        'checkpoint',
        `${source}: recent: expected token ids below ${vocabSize}, found ${id}`,
      );
    }
    recent.push(id);
  }
  return { state, logits, recent, tokensSeen };
}

/** Parameters with more numbers than this count by name and shape alone: they would take long to read. */
const MAX_FINGERPRINTED = 2 ** 20;

/**
 * A number in hexadecimal digits that tells models apart, by their parameters' names, shapes and values (FNV-1a, 32
 * bits). It is the same on every engine, and another one after a step of training.
 */
export async function modelFingerprint(model: Model): Promise<string> {
  let hash = 0x811c9dc5;
  const add = (word: number): void => {
    hash = Math.imul(hash ^ word, 0x01000193);
    hash ^= hash >>> 15; // high bits come down: FNV alone never mixes them into the low ones
  };
  for (const { name, shape, region } of model.parameters.list) {
    for (const character of `${name} ${shapeText(shape)}\n`) add(character.codePointAt(0) as number);
    if (sizeOf(shape) > MAX_FINGERPRINTED) continue;
    const memory = model.memories.find((m) => m.region === region);
    const values = Float32Array.from((await memory?.read(name)) ?? []);
    for (const word of new Uint32Array(values.buffer)) add(word);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}
