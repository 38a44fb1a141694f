import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkReader, expectFrugal, outcome } from '../testing/foreign.ts';
import { mutatedBytes, mutatedJson, utf8 } from '../testing/mutate.ts';
import { parseSafetensors, type SafetensorsFile, writeSafetensors } from './safetensors.ts';
import type { StoredTensor } from './stored_tensor.ts';

const SIZES: Readonly<Record<string, number>> = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 },
};
const SOURCE = 'weights.safetensors';

/** A file of a header and `size` bytes of data. */
function file(header: string, size: number): Uint8Array {
  const json = utf8(header);
  const bytes = new Uint8Array(8 + json.length + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  for (let i = 8 + json.length; i < bytes.length; i++) bytes[i] = 37 * i;
  return bytes;
}

const entry = (dtype: string, shape: number[], begin: number) => ({
  dtype,
  shape,
  data_offsets: [begin, begin + shape.reduce((product, n) => product * n, SIZES[dtype])],
});

/** Headers of 76 bytes of data: every dtype, no dimension, an empty tensor, two of the same type side by side. */
const HEADERS = [
  {
    __metadata__: { format: 'pt', kind: 'x' },
    a: entry('F32', [2, 3], 0),
    b: entry('F32', [2], 24),
    c: entry('I64', [3, 1], 32),
    d: entry('F64', [], 56),
    e: entry('BF16', [2], 64),
    f: entry('F16', [1], 68),
    g: entry('U8', [2], 70),
    h: entry('BOOL', [4], 72),
    empty: entry('I32', [0, 5], 76),
  },
  { x: entry('F32', [19], 0) },
  { x: entry('I16', [3, 2], 0), y: entry('I8', [64], 12) },
  { x: entry('U8', [76], 0), y: entry('I32', [0], 76), z: entry('I32', [0], 0) },
];
const DATA = 76;

const whole = fc.oneof(
  fc.constantFrom(...HEADERS.map((header) => file(JSON.stringify(header), DATA))),
  fc.constant(
    writeSafetensors(new Map([['w', { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }]]), { k: 'v' }),
  ),
);
const edited = mutatedJson(HEADERS).map((header) => file(header, DATA));
const files = fc.oneof(mutatedBytes(whole), edited, edited, mutatedBytes(edited));

/** What a file that is taken for whole must be, checked in exact numbers and without a word of the reader's own. */
function checkSound(bytes: Uint8Array, { tensors, metadata }: SafetensorsFile): void {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const data = BigInt(bytes.length) - 8n - length;
  expect(data).toBeGreaterThanOrEqual(0n);
  let total = 0n;
  for (const [name, tensor] of tensors) {
    expect(typeof name).toBe('string');
    const size = tensor.shape.reduce((product, n) => product * BigInt(n), 1n);
    for (const n of tensor.shape) expect(Object.is(n, Math.abs(n))).toBe(true);
    total += size * BigInt(SIZES[tensor.dtype]);
    expect(BigInt(tensor.read().length)).toBe(size);
    readIntegers(tensor);
  }
  // No gap and no overlap: the tensors' bytes are all the bytes, and each lies within the data.
  expect(total).toBe(data);
  for (const value of Object.values(metadata)) expect(typeof value).toBe('string');
  expect(metadata.constructor).toBeTypeOf(Object.hasOwn(metadata, 'constructor') ? 'string' : 'undefined');
}

function readIntegers(tensor: StoredTensor): void {
  const result = outcome('', () => tensor.readIntegers());
  if ('value' in result) expect(result.value.length).toBe(tensor.read().length);
}

describe('safetensors of foreign origin', { timeout: 300_000 }, () => {
  it('is a sound file or one clear error', () => {
    checkReader(
      files,
      SOURCE,
      (bytes) => parseSafetensors(bytes, SOURCE),
      (value, bytes) => checkSound(bytes, value),
    );
  });

  it('is refused when cut anywhere', () => {
    for (const header of HEADERS) {
      const bytes = file(JSON.stringify(header), DATA);
      for (let end = 0; end < bytes.length; end++) {
        const result = outcome(SOURCE, () => parseSafetensors(bytes.subarray(0, end), SOURCE));
        expect('error' in result, `cut after ${end}`).toBe(true);
      }
    }
  });

  const claim = (shape: number[], offsets: number[], dtype = 'F32'): Uint8Array =>
    file(JSON.stringify({ a: { dtype, shape, data_offsets: offsets } }), 8);
  const header = (text: string): Uint8Array => file(text, 8);
  const length = (value: bigint): Uint8Array => {
    const bytes = claim([2], [0, 8]);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    return bytes;
  };
  it.each<[string, Uint8Array]>([
    ['2^40 elements', claim([2 ** 40], [0, 2 ** 42])],
    ['2^40 elements in 8 bytes', claim([2 ** 40], [0, 8])],
    ['2^53 − 1 bytes', claim([2 ** 53 - 1], [0, 2 ** 53 - 1], 'U8')],
    ['a product that overflows', claim([2 ** 32, 2 ** 32], [0, 8])],
    ['a product that overflows to nothing', claim([...Array(40).fill(2 ** 52), 0], [0, 0])],
    ['a product of nothing', claim([0, 2 ** 52, 2 ** 52], [0, 0])],
    ['a header of 100 MB', length(100_000_000n)],
    ['a header of 2^63 bytes', length(2n ** 63n)],
    ['a header of 1 byte', length(1n)],
    ['a shape of many ones', claim(Array(5_000).fill(1), [0, 4])],
    ['nesting', header(`{"a":${'['.repeat(200_000)}`)],
    ['nesting in objects', header(`${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`)],
    ['a long name', header(`{"${'n'.repeat(200_000)}":1}`)],
    ['a long dtype', header(`{"a":{"dtype":"${'F'.repeat(200_000)}"}}`)],
    ['a large number', header(`{"a":{"dtype":"F32","shape":[${'9'.repeat(200_000)}],"data_offsets":[0,8]}}`)],
  ])('takes memory by its bytes, not by what it claims: %s', (_, bytes) => {
    expectFrugal(SOURCE, bytes.length, () => parseSafetensors(bytes, SOURCE));
  });

  it('may hold very many tensors', () => {
    const names = Array.from(
      { length: 250_000 },
      (_, i) => `"t${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
    );
    const { tensors } = parseSafetensors(file(`{${names.join()}}`, 0), SOURCE);
    expect(tensors.size).toBe(250_000);
  });
});
