import { XlstmError } from '../errors.ts';

/** Bytes of one element. */
const DTYPES = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, U8: 1, BOOL: 1 } as const;
export type Dtype = keyof typeof DTYPES;

/** Longer headers are refused by the format's own readers too. */
const MAX_HEADER = 100_000_000;

export interface StoredTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** A new array; integers and doubles that float32 cannot hold are rounded. */
  read(): Float32Array;
  /** A new array of a whole-number dtype (I64, I32, U8, BOOL); every value must fit 32 bits. */
  readIntegers(): Int32Array;
}

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TensorToWrite {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * Reads the safetensors format: an 8-byte little-endian header length, a JSON header, then the data. The whole header
 * is checked against the file's size before anything is allocated. `source` names the file in errors. The tensors
 * refer to `bytes`, which must stay as it is while they are in use.
 */
export function parseSafetensors(bytes: Uint8Array, source = 'safetensors data'): SafetensorsFile {
  const fail = (problem: string): never => {
    throw new XlstmError('checkpoint', `${source}: ${problem}`, 'the file is damaged or no safetensors file');
  };
  if (bytes.length < 8) fail(`expected at least 8 bytes, found ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > MAX_HEADER)
    fail(`expected a header of at most ${MAX_HEADER} bytes, found a length of ${length}`);
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.length) {
    fail(`expected a header of ${length} bytes, found a file that ends after ${bytes.length - 8} of them`);
  }
  const header = parseHeader(bytes.subarray(8, dataStart), fail);
  const data = bytes.subarray(dataStart);

  const tensors = new Map<string, StoredTensor>();
  const spans: { name: string; begin: number; end: number }[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = checkMetadata(entry, fail);
      continue;
    }
    const { dtype, shape, begin, end } = checkEntry(name, entry, data.length, fail);
    spans.push({ name, begin, end });
    tensors.set(
      name,
      storedTensor(dtype, shape, data.subarray(begin, end), `${source}: tensor ${quote(name)}`),
    );
  }

  // The format leaves no gap: each tensor starts where the one before it ends, the last one ends the file.
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const { name, begin, end } of spans) {
    if (begin < position)
      fail(`tensor ${quote(name)} overlaps another one: it starts at byte ${begin}, not ${position}`);
    if (begin > position)
      fail(`tensor ${quote(name)}: expected to start at byte ${position}, found ${begin}`);
    position = end;
  }
  if (position !== data.length) fail(`expected ${position} bytes of tensors, found ${data.length}`);
  return { tensors, metadata };
}

type Fail = (problem: string) => never;

const quote = (name: string): string => JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return fail('expected a JSON header, found something else');
  }
  if (!isRecord(header)) return fail('expected a JSON object as header, found something else');
  return header;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkMetadata(entry: unknown, fail: Fail): Record<string, string> {
  if (!isRecord(entry) || !Object.values(entry).every((value) => typeof value === 'string')) {
    return fail('__metadata__: expected texts by name, found something else');
  }
  return entry as Record<string, string>;
}

function checkEntry(
  name: string,
  entry: unknown,
  available: number,
  fail: Fail,
): { dtype: Dtype; shape: readonly number[]; begin: number; end: number } {
  const at = `tensor ${quote(name)}`;
  if (!isRecord(entry)) return fail(`${at}: expected an object with dtype, shape and data_offsets`);
  const { dtype, shape, data_offsets: offsets, ...others } = entry;
  if (Object.keys(others).length > 0) fail(`${at}: unknown key ${quote(Object.keys(others)[0])}`);
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPES, dtype)) {
    return fail(
      `${at}: expected a dtype among ${Object.keys(DTYPES).join(', ')}, found ${JSON.stringify(dtype)}`,
    );
  }
  if (!isSizes(shape))
    return fail(`${at}: expected a shape of whole numbers, found ${JSON.stringify(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    return fail(`${at}: expected data_offsets [begin, end], found ${JSON.stringify(offsets)}`);
  }
  const [begin, end] = offsets;
  if (end > available) fail(`${at}: expected to end by byte ${available} of the data, found ${end}`);
  const expected = shape.reduce((product, n) => product * n, DTYPES[dtype as Dtype]);
  if (expected !== end - begin) {
    fail(`${at}: ${dtype} of shape [${shape.join(', ')}] takes ${expected} bytes, found ${end - begin}`);
  }
  return { dtype: dtype as Dtype, shape: [...shape], begin, end };
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function storedTensor(dtype: Dtype, shape: readonly number[], data: Uint8Array, at: string): StoredTensor {
  return {
    dtype,
    shape,
    read: () => readFloats(dtype, data),
    readIntegers: () => {
      if (dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') {
        throw new XlstmError(
          'checkpoint',
          `${at}: expected whole numbers (I64, I32, U8, BOOL), found ${dtype}`,
        );
      }
      return readIntegers(dtype, data, at);
    },
  };
}

/** A copy that starts on an aligned address, as typed arrays need. */
const aligned = (data: Uint8Array): ArrayBuffer => {
  const copy = new Uint8Array(data.length);
  copy.set(data);
  return copy.buffer;
};

function readFloats(dtype: Dtype, data: Uint8Array): Float32Array {
  switch (dtype) {
    case 'F32':
      return new Float32Array(aligned(data));
    case 'F64':
      return Float32Array.from(new Float64Array(aligned(data)));
    case 'BF16': {
      const bits = new Uint16Array(aligned(data));
      return new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
    }
    case 'F16':
      return Float32Array.from(new Uint16Array(aligned(data)), halfToNumber);
    case 'I64':
      return Float32Array.from(new BigInt64Array(aligned(data)), Number);
    case 'I32':
      return Float32Array.from(new Int32Array(aligned(data)));
    case 'U8':
    case 'BOOL':
      return Float32Array.from(data);
  }
}

function readIntegers(dtype: 'I64' | 'I32' | 'U8' | 'BOOL', data: Uint8Array, at: string): Int32Array {
  if (dtype === 'I32') return new Int32Array(aligned(data));
  if (dtype !== 'I64') return Int32Array.from(data);
  const wide = new BigInt64Array(aligned(data));
  const beyond = wide.find((value) => BigInt.asIntN(32, value) !== value);
  if (beyond !== undefined)
    throw new XlstmError('checkpoint', `${at}: expected values of 32 bits, found ${beyond}`);
  return Int32Array.from(wide, Number);
}

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/**
 * Writes float32 tensors in the order given; the data start on a multiple of 8 bytes. The bytes of an earlier file
 * are written over where they are as many.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
  earlier?: Uint8Array,
): Uint8Array {
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let size = 0;
  for (const [name, { shape, data }] of tensors) {
    const expected = shape.reduce((product, n) => product * n, 1);
    if (!isSizes(shape) || expected !== data.length || name === '__metadata__') {
      throw new XlstmError(
        'internal',
        `tensor ${quote(name)}: a shape [${shape.join(', ')}] with ${data.length} values cannot be written`,
      );
    }
    header.push([name, { dtype: 'F32', shape, data_offsets: [size, size + data.byteLength] }]);
    size += data.byteLength;
  }
  // fromEntries makes own properties of any name, "__proto__" too.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerLength = Math.ceil(json.length / 8) * 8;
  const length = 8 + headerLength + size;
  const bytes = earlier?.length === length ? earlier : new Uint8Array(length);
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(0, BigInt(headerLength), true);
  bytes.fill(0x20, 8, 8 + headerLength);
  bytes.set(json, 8);
  let at = 8 + headerLength;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}
