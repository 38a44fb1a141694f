import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../checkpoints/safetensors.ts';
import type { StoredTensor } from '../checkpoints/stored_tensor.ts';
import { type Region, shapeText, sizeOf, startOf } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';
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

/**
 * A safetensors file: `state.<name>` for each entry of the state, `logits` [V], `recent` [n] (token ids). The first two have the
 * precision of the engine, so that nothing is rounded.
 */
export function encodeSession(
  saved: SequenceState,
  region: Region,
  fingerprint: string,
  notes: Readonly<Record<string, string>> = {},
): Uint8Array {
  const tensors = new Map<string, TensorToWrite>();
  for (const entry of region.entries) {
    const { name, shape } = entry;
    const start = startOf(entry);
    const data = saved.state.subarray(start, start + sizeOf(shape));
    tensors.set(STATE + name, { shape, data });
  }
  const { logits } = saved;
  const recent = Float32Array.from(saved.recent.toArray());
  tensors.set('logits', { shape: [logits.length], data: logits });
  tensors.set('recent', { shape: [recent.length], data: recent });
  const metadata = { ...notes, format: FORMAT, model: fingerprint, tokens_seen: String(saved.tokensSeen) };
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
  const fail = (problem: string, hint?: string): never => {
    throw new XlstmError('checkpoint', `${source}: ${problem}`, hint);
  };
  if (metadata.format !== FORMAT) {
    const found = metadata.format === undefined ? 'a file without a format' : quote(metadata.format);
    fail(`expected a saved session (${FORMAT}), found ${found}`);
  }
  if (metadata.model !== fingerprint) {
    fail(
      `the session was saved from another model: expected fingerprint ${fingerprint}, found ${quote(metadata.model)}`,
      'Restore it into a session of the model that it was saved from.',
    );
  }
  const tokensSeen = /^\d{1,16}$/.test(metadata.tokens_seen ?? '')
    ? Number(metadata.tokens_seen)
    : Number.NaN;
  if (!Number.isSafeInteger(tokensSeen)) {
    fail(`tokens_seen: expected a whole number, found ${quote(metadata.tokens_seen)}`);
  }
  // All tensors are looked at before any takes memory: what the model needs may be far more than the file holds.
  const expected = new Map<string, readonly number[]>();
  for (const { name, shape } of region.entries) expected.set(STATE + name, shape);
  expected.set('logits', [vocabSize]);
  expected.set('recent', [Math.min(tokensSeen, MAX_REPETITION_WINDOW)]);
  for (const [name, shape] of expected) {
    const tensor = tensors.get(name);
    if (!tensor) return fail(`expected a tensor ${quote(name)}, found none`);
    const dtypes = name === 'recent' ? ['F32'] : ['F32', 'F64'];
    if (!dtypes.includes(tensor.dtype) || shapeText(tensor.shape) !== shapeText(shape)) {
      fail(
        `${quote(name)}: expected ${dtypes.join(' or ')} of shape ${quote(shape)}, found ${tensor.dtype} of ${quote(tensor.shape)}`,
      );
    }
  }
  for (const name of tensors.keys()) if (!expected.has(name)) fail(`${quote(name)} is no part of a session`);
  const read = (name: string): Float32Array | Float64Array => {
    const tensor = tensors.get(name) as StoredTensor;
    const values = tensor.dtype === 'F64' ? tensor.readDoubles() : tensor.read();
    // Of an engine of float64 they may go on in one of float32.
    const at = values.findIndex((value) => !Number.isFinite(Math.fround(value)));
    // One such number would spoil every token from here on.
    if (at >= 0) fail(`${quote(name)}: expected finite numbers, found ${values[at]}`);
    return values;
  };
  const doubles = [...region.entries].some(({ name }) => tensors.get(STATE + name)?.dtype === 'F64');
  const state = doubles ? new Float64Array(region.elements) : new Float32Array(region.elements);
  for (const entry of region.entries) state.set(read(STATE + entry.name), startOf(entry));
  const logits = read('logits');
  const recent = new TokenWindow(MAX_REPETITION_WINDOW);
  for (const id of read('recent')) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      fail(`recent: expected token ids below ${vocabSize}, found ${id}`);
    }
    recent.push(id);
  }
  return { state, logits, recent, tokensSeen };
}
