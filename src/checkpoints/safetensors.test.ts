import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { XlstmError } from '../errors.ts';
import { parseSafetensors, writeSafetensors } from './safetensors.ts';

/** A file from a header (text or value) and data. */
function file(header: unknown, data: ArrayBufferLike | number[] = []): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const content = Array.isArray(data) ? Uint8Array.from(data) : new Uint8Array(data);
  const bytes = new Uint8Array(8 + json.length + content.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(content, 8 + json.length);
  return bytes;
}

const one = (dtype: string, count: number, data: ArrayBufferLike): Uint8Array =>
  file({ x: { dtype, shape: [count], data_offsets: [0, data.byteLength] } }, data);
const tensor = (bytes: Uint8Array) => parseSafetensors(bytes, 'x.safetensors').tensors.get('x')!;

const tensors = fc
  .array(
    fc.tuple(
      fc.string({ unit: 'binary', maxLength: 12 }).filter((name) => name !== '__metadata__'),
      fc.array(fc.nat(4), { maxLength: 4 }),
    ),
    { maxLength: 5 },
  )
  .chain((entries) =>
    fc.tuple(
      ...entries.map(([name, shape]) => {
        const size = shape.reduce((product, n) => product * n, 1);
        return fc
          .float32Array({ minLength: size, maxLength: size })
          .map((data) => [name, { shape, data }] as const);
      }),
    ),
  )
  .map((entries) => new Map(entries));

describe('safetensors', () => {
  it('reads back what it wrote', () => {
    const metadata = fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true });
    fc.assert(
      fc.property(tensors, metadata, (written, about) => {
        const read = parseSafetensors(writeSafetensors(written, about));
        expect(new Map(Object.entries(read.metadata))).toEqual(new Map(Object.entries(about)));
        expect(new Set(read.tensors.keys())).toEqual(new Set(written.keys()));
        for (const [name, { shape, data }] of written) {
          expect(read.tensors.get(name)?.dtype).toBe('F32');
          expect(read.tensors.get(name)?.shape).toEqual(shape);
          expect(read.tensors.get(name)?.read()).toEqual(data);
        }
      }),
    );
  });

  it('writes the layout of the format', () => {
    const bytes = writeSafetensors(new Map([['a', { shape: [2], data: Float32Array.of(1, -2) }]]), {
      k: 'v',
    });
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    expect(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))).toEqual({
      __metadata__: { k: 'v' },
      a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
    });
    expect([...bytes.subarray(8 + length)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
  });

  it('writes over an earlier file of the same size, and over no other', () => {
    const of = (...values: number[]) =>
      new Map([['a', { shape: [values.length], data: Float32Array.from(values) }]]);
    const earlier = writeSafetensors(of(1, 2), { about: 'a file' });
    const bytes = writeSafetensors(of(3, 4), {}, writeSafetensors(of(5, 6, 7)));
    expect(bytes).toEqual(writeSafetensors(of(3, 4)));
    expect(writeSafetensors(of(8, 9), {}, bytes)).toBe(bytes);
    expect(bytes).toEqual(writeSafetensors(of(8, 9)));
    expect(writeSafetensors(of(8, 9), {}, earlier)).not.toBe(earlier);
  });

  it('reads every dtype', () => {
    expect([...tensor(one('F64', 2, Float64Array.of(0.1, -3).buffer)).read()]).toEqual([
      Math.fround(0.1),
      -3,
    ]);
    expect([...tensor(one('F32', 2, Float32Array.of(0.1, -3).buffer)).read()]).toEqual([
      Math.fround(0.1),
      -3,
    ]);
    expect([...tensor(one('BF16', 3, Uint16Array.of(0x3f80, 0xc049, 0x7f80).buffer)).read()]).toEqual([
      1,
      -3.140625,
      Number.POSITIVE_INFINITY,
    ]);
    // 1, −2, the largest, the smallest normal, the smallest and the largest subnormal, −0, ∞, NaN
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x03ff, 0x8000, 0x7c00, 0x7e00);
    expect([...tensor(one('F16', 9, halves.buffer)).read()]).toEqual([
      1,
      -2,
      65504,
      2 ** -14,
      2 ** -24,
      1023 * 2 ** -24,
      -0,
      Number.POSITIVE_INFINITY,
      Number.NaN,
    ]);
    const wide = tensor(one('I64', 2, BigInt64Array.of(-5n, 2n ** 31n - 1n).buffer));
    expect([...wide.read()]).toEqual([-5, 2 ** 31]);
    expect([...wide.readIntegers()]).toEqual([-5, 2 ** 31 - 1]);
    const narrow = tensor(one('I32', 2, Int32Array.of(-7, 2 ** 31 - 1).buffer));
    expect([...narrow.readIntegers()]).toEqual([-7, 2 ** 31 - 1]);
    expect([...narrow.read()]).toEqual([-7, 2 ** 31]);
    const short = tensor(one('I16', 2, Int16Array.of(-7, 2 ** 15 - 1).buffer));
    expect([...short.readIntegers()]).toEqual([-7, 2 ** 15 - 1]);
    expect([...short.read()]).toEqual([-7, 2 ** 15 - 1]);
    const byte = tensor(one('I8', 2, Int8Array.of(-128, 127).buffer));
    expect([...byte.readIntegers()]).toEqual([-128, 127]);
    expect([...byte.read()]).toEqual([-128, 127]);
    expect([...tensor(one('U8', 2, Uint8Array.of(0, 255).buffer)).read()]).toEqual([0, 255]);
    expect([...tensor(one('BOOL', 2, Uint8Array.of(0, 1).buffer)).readIntegers()]).toEqual([0, 1]);
  });

  it('gives whole numbers only where they are whole and fit', () => {
    expect(() => tensor(one('F32', 1, Float32Array.of(1).buffer)).readIntegers()).toThrow(
      'x.safetensors: tensor "x": expected whole numbers (I64, I32, I16, I8, U8, BOOL), found F32',
    );
    expect(() => tensor(one('I64', 1, BigInt64Array.of(2n ** 31n).buffer)).readIntegers()).toThrow(
      /expected values of 32 bits, found 2147483648/,
    );
  });

  it('gives arrays of their own, from any offset in a larger buffer', () => {
    const inner = one('F32', 1, Float32Array.of(1.5).buffer);
    const outer = new Uint8Array(inner.length + 3);
    outer.set(inner, 3);
    const stored = tensor(outer.subarray(3));
    stored.read()[0] = 9;
    expect(stored.read()[0]).toBe(1.5);
  });

  const f32 = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /expected at least 8 bytes, found 0/],
    [
      'a huge header',
      new Uint8Array(8).fill(255),
      /at most 100000000 bytes, found a length of 18446744073709551615/,
    ],
    ['a cut header', file({}).subarray(0, 9), /header of 2 bytes, found a file that ends after 1/],
    ['no JSON', file('{"a"'), /header: expected JSON/],
    [
      'invalid UTF-8',
      Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff),
      /header: expected JSON: found bytes that are no UTF-8/,
    ],
    ['a list', file([]), /expected a JSON object/],
    ['metadata of numbers', file({ __metadata__: { a: 1 } }), /__metadata__: expected texts/],
    ['a tensor that is none', file({ a: 4 }), /tensor "a": expected an object/],
    ['an unknown key', file({ a: { ...f32, extra: 1 } }, [0, 0, 0, 0]), /tensor "a": unknown key "extra"/],
    [
      'an unknown dtype',
      file({ a: { ...f32, dtype: 'F8' } }, [0, 0, 0, 0]),
      /"a": expected a dtype .* found "F8"/,
    ],
    ['a dtype from the prototype', file({ a: { ...f32, dtype: 'toString' } }), /found "toString"/],
    [
      'a negative size',
      file({ a: { ...f32, shape: [-1] } }, [0, 0, 0, 0]),
      /"a": expected a shape .* found \[-1\]/,
    ],
    ['a fractional size', file({ a: { ...f32, shape: [0.5] } }, [0, 0, 0, 0]), /found \[0.5\]/],
    ['offsets in disorder', file({ a: { ...f32, data_offsets: [4, 0] } }, [0, 0, 0, 0]), /found \[4, 0\]/],
    ['an end beyond the file', file({ a: f32 }, [0]), /"a": expected to end by byte 1 of the data, found 4/],
    [
      'a wrong size',
      file({ a: { ...f32, shape: [2] } }, [0, 0, 0, 0]),
      /F32 of shape \[2\] takes 8 bytes, found 4/,
    ],
    [
      'a product that overflows',
      file({ a: { ...f32, shape: [2 ** 52, 2 ** 52, 2 ** 52] } }, [0, 0, 0, 0]),
      /takes .* bytes, found 4/,
    ],
    ['an overlap', file({ a: f32, b: f32 }, [0, 0, 0, 0]), /tensor "b" overlaps another one/],
    [
      'a gap',
      file({ a: { ...f32, data_offsets: [1, 5] } }, [0, 0, 0, 0, 0]),
      /tensor "a": expected to start at byte 0, found 1/,
    ],
    ['bytes left over', file({ a: f32 }, [0, 0, 0, 0, 0]), /expected 4 bytes of tensors, found 5/],
  ])('refuses %s', (_, bytes, pattern) => {
    expect(() => parseSafetensors(bytes, 'x.safetensors')).toThrow(pattern);
    expect(() => parseSafetensors(bytes, 'x.safetensors')).toThrow(/^x.safetensors: /);
  });

  it('refuses every truncation, and answers damage to the header with its own error or a sound result', () => {
    fc.assert(
      fc.property(
        tensors,
        fc.nat(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        (written, cut, flips) => {
          const bytes = writeSafetensors(written, { about: 'a file' });
          expect(() => parseSafetensors(bytes.subarray(0, cut % bytes.length))).toThrow(XlstmError);
          const headerEnd = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
          const damaged = bytes.slice();
          for (const [at, value] of flips) damaged[at % headerEnd] = value;
          try {
            const read = parseSafetensors(damaged);
            for (const stored of read.tensors.values()) {
              const size = stored.shape.reduce((product, n) => product * n, 1);
              expect(stored.read().length).toBe(size);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(XlstmError);
            expect((error as XlstmError).code).toBe('checkpoint');
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('does not write what the format cannot hold', () => {
    const data = Float32Array.of(1, 2);
    expect(() => writeSafetensors(new Map([['a', { shape: [3], data }]]))).toThrow(
      /"a": a shape \[3\] with 2 values/,
    );
    expect(() => writeSafetensors(new Map([['__metadata__', { shape: [2], data }]]))).toThrow(
      /cannot be written/,
    );
  });
});
