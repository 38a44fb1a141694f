import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../checkpoints/safetensors.ts';
import { Region, sizeOf } from '../compute/program/region.ts';
import { ByteTokenizer } from '../data/tokenizer.ts';
import { checkReader, expectFrugal, outcome, outcomeAsync } from '../testing/foreign.ts';
import { mutatedBytes, mutatedJson, utf8 } from '../testing/mutate.ts';
import { MAX_REPETITION_WINDOW } from './sampling.ts';
import { Session } from './session.ts';
import { decodeSession, encodeSession, type SequenceState } from './session_file.ts';
import { tinyModel } from './testing/models.ts';
import { TokenWindow } from './token_window.ts';

const SOURCE = 'talk.safetensors';
const VOCABULARY = 7;
const FINGERPRINT = '0badcafe';
const region = new Region('state');
region.add('blocks.0.c', [1, 2, 3]);
region.add('blocks.1.h', [1, 4]);

function saved(
  tokensSeen: number,
  Numbers: { from(values: number[]): Float32Array | Float64Array } = Float32Array,
): Uint8Array {
  const recent = new TokenWindow(MAX_REPETITION_WINDOW);
  for (let i = 0; i < tokensSeen; i++) recent.push((3 * i) % VOCABULARY);
  const state = Numbers.from(Array.from({ length: region.elements }, (_, i) => Math.sin(i)));
  const logits = Numbers.from(Array.from({ length: VOCABULARY }, (_, i) => Math.cos(i)));
  return encodeSession({ state, logits, recent, tokensSeen }, region, FINGERPRINT);
}

/** The header of a file and the data behind it. */
function parts(bytes: Uint8Array): { header: unknown; data: Uint8Array } {
  const end = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  return { header: JSON.parse(new TextDecoder().decode(bytes.subarray(8, end))), data: bytes.subarray(end) };
}

function withHeader(text: string, data: Uint8Array): Uint8Array {
  const header = utf8(text);
  const bytes = new Uint8Array(8 + header.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  bytes.set(data, 8 + header.length);
  return bytes;
}

const decode = (bytes: Uint8Array): SequenceState =>
  decodeSession(bytes, region, VOCABULARY, FINGERPRINT, SOURCE);

const FILES = [saved(0), saved(5), saved(5, Float64Array)];
const edited = fc.constantFrom(...FILES.map(parts)).chain(({ header, data }) =>
  fc.oneof(
    mutatedJson([header]).map((text) => withHeader(text, data)),
    // Only the metadata: past the checks of the format.
    mutatedJson([(header as { __metadata__: unknown }).__metadata__]).map((text) => {
      const { __metadata__, ...tensors } = header as Record<string, unknown>;
      return withHeader(`{"__metadata__":${text},${JSON.stringify(tensors).slice(1)}`, data);
    }),
  ),
);
/** Numbers of the data: every float32 there is, and edges of those. */
const numbers = fc
  .tuple(fc.constantFrom(...FILES.map(parts)), fc.nat(), fc.oneof(fc.float(), fc.integer().map(Math.fround)))
  .map(([{ header, data }, at, value]) => {
    const floats = new Float32Array(data.slice().buffer);
    floats[at % floats.length] = value;
    return withHeader(JSON.stringify(header), new Uint8Array(floats.buffer));
  });
const files = fc.oneof(edited, numbers, mutatedBytes(fc.constantFrom(...FILES)));

describe('session files of foreign origin', { timeout: 300_000 }, () => {
  it('are a session of the model or one clear error', () => {
    checkReader(files, SOURCE, decode, (value, bytes) => {
      const { state, logits, recent, tokensSeen } = value;
      expect([state.length, logits.length]).toEqual([region.elements, VOCABULARY]);
      for (const value of [...state, ...logits]) expect(Number.isFinite(value)).toBe(true);
      expect(Number.isSafeInteger(tokensSeen) && tokensSeen >= 0).toBe(true);
      expect(recent.length).toBe(Math.min(tokensSeen, MAX_REPETITION_WINDOW));
      for (const id of recent.toArray()) expect(id >= 0 && id < VOCABULARY).toBe(true);
      expect(decode(encodeSession(value, region, FINGERPRINT))).toEqual(value);
      const { tensors } = parseSafetensors(bytes);
      for (const { name, shape } of region.entries)
        expect(tensors.get(`state.${name}`)?.shape).toEqual(shape);
      expect(tensors.size).toBe([...region.entries].length + 2);
    });
  });

  const { header, data } = parts(saved(5));
  const fields = header as Record<string, Record<string, unknown>>;
  const withMetadata = (change: Record<string, string>): Uint8Array =>
    withHeader(JSON.stringify({ ...fields, __metadata__: { ...fields.__metadata__, ...change } }), data);

  it.each([
    '',
    ' 5',
    '5 ',
    '0x5',
    '5e0',
    '5.0',
    '-5',
    '+5',
    '1e400',
    'NaN',
    'Infinity',
    '9007199254740993',
    '9'.repeat(400),
  ])('that have seen %j tokens are refused', (tokens_seen) => {
    const { error } = outcome(SOURCE, () => decode(withMetadata({ tokens_seen }))) as { error: Error };
    expect(error.message).toMatch(/tokens_seen: expected a whole number, found "/);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'with %s in the state, the logits or the tokens are refused',
    (value) => {
      for (const name of ['state.blocks.0.c', 'state.blocks.1.h', 'logits', 'recent']) {
        const [begin] = fields[name].data_offsets as number[];
        const spoiled = data.slice();
        new DataView(spoiled.buffer).setFloat32(begin + 4, value, true);
        const bytes = withHeader(JSON.stringify(header), spoiled);
        const { error } = outcome(SOURCE, () => decode(bytes)) as { error: Error };
        expect(error.message).toBe(`${SOURCE}: "${name}": expected finite numbers, found ${value}`);
      }
    },
  );

  it('take no memory for a large model before they hold what it needs', () => {
    const large = new Region('state');
    large.add('blocks.0.c', [1, 2 ** 13, 2 ** 13]);
    const bytes = saved(5);
    expectFrugal(SOURCE, bytes.length, () => decodeSession(bytes, large, VOCABULARY, FINGERPRINT, SOURCE));
    expectFrugal(SOURCE, bytes.length, () => decodeSession(bytes, region, 2 ** 30, FINGERPRINT, SOURCE));
  });

  it('leave the session as it was when they are refused, whatever model or architecture they are of', async () => {
    const session = new Session(tinyModel(256, 1), new ByteTokenizer());
    await session.append('before');
    const before = parseSafetensors(await session.save());
    const other = new Session(tinyModel(256, 2), new ByteTokenizer());
    await other.append('another model');
    for (const bytes of [
      ...FILES,
      await other.save(),
      new Uint8Array(0),
      (await session.save()).subarray(0, 900),
    ]) {
      const result = await outcomeAsync(SOURCE, () => session.restore(bytes, SOURCE));
      expect(result).toHaveProperty('error');
    }
    const after = parseSafetensors(await session.save());
    expect(after.metadata).toEqual(before.metadata);
    for (const [name, tensor] of before.tensors) {
      expect(after.tensors.get(name)?.read()).toEqual(tensor.read());
      expect(sizeOf(tensor.shape)).toBe(tensor.read().length);
    }
  });
});
