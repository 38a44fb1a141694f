import { XlstmError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { quote } from '../quote.ts';
import type { Bytes } from './bytes.ts';
import { DTYPES, type Dtype, isSizes, type StoredTensor, storedTensor } from './stored_tensor.ts';

/** Longer headers are refused by the format's own readers too. The header, a tensor's entry, its shape: 3 levels. */
const HEADER_LIMITS = { bytes: 100_000_000, depth: 3 };

/** What a safetensors file holds. */
export interface SafetensorsFile {
  /** By name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The texts of `__metadata__`; empty where there is none. It has no prototype. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A tensor for a safetensors file. */
export interface TensorToWrite {
  /** Dimensions, the outermost first. */
  readonly shape: readonly number[];
  /** Row by row, as many as the shape says. */
  readonly data: Float32Array | Float64Array | Int32Array;
}

/**
 * Reads the safetensors format: an 8-byte little-endian header length, a JSON header, then the data. The whole header
 * is checked against the file's size before anything is allocated. Throws a checkpoint error that begins with `source`
 * for what is not of the format. The tensors refer to `bytes`, which must stay as it is while they are in use.
 */
export function parseSafetensors(bytes: Bytes, source = 'safetensors data'): SafetensorsFile {
  const fail = (problem: string): never => {
    throw new XlstmError('checkpoint', `${source}: ${problem}`, 'the file is damaged or no safetensors file');
  };
  if (bytes.length < 8) fail(`expected at least 8 bytes, found ${bytes.length}`);
  const start = bytes.subarray(0, 8);
  const length = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (length > HEADER_LIMITS.bytes)
    fail(`expected a header of at most ${HEADER_LIMITS.bytes} bytes, found a length of ${length}`);
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.length) {
    fail(`expected a header of ${length} bytes, found a file that ends after ${bytes.length - 8} of them`);
  }
  const header = parseHeader(bytes.subarray(8, dataStart), source, fail);
  const dataBytes = bytes.length - dataStart;

  const tensors = new Map<string, StoredTensor>();
  const spans: { name: string; begin: number; end: number }[] = [];
  let metadata: Record<string, string> = Object.create(null);
  // Keys one by one: a list of pairs would double the memory of a header of very many tensors.
  for (const name of Object.keys(header)) {
    const entry = header[name];
    if (name === '__metadata__') {
      metadata = checkMetadata(entry, fail);
      continue;
    }
    const { dtype, shape, begin, end } = checkEntry(name, entry, dataBytes, fail);
    spans.push({ name, begin, end });
    tensors.set(
      name,
      storedTensor(
        () => `${source}: tensor ${quote(name)}`,
        dtype,
        shape,
        (from, to) => bytes.subarray(dataStart + begin + from, dataStart + begin + to),
      ),
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
  if (position !== dataBytes) fail(`expected ${position} bytes of tensors, found ${dataBytes}`);
  return { tensors, metadata };
}

type Fail = (problem: string) => never;

function parseHeader(bytes: Uint8Array, source: string, fail: Fail): Record<string, unknown> {
  // The format wants the brace first: no blank, no byte order mark.
  if (bytes[0] !== 0x7b) return fail('expected a JSON object as header, found something else');
  return parseJson(bytes, `${source}: header`, 'checkpoint', HEADER_LIMITS) as Record<string, unknown>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkMetadata(entry: unknown, fail: Fail): Record<string, string> {
  if (!isRecord(entry) || !Object.values(entry).every((value) => typeof value === 'string')) {
    return fail('__metadata__: expected texts by name, found something else');
  }
  // Without a prototype: what a file does not say is not there, whatever its name.
  return Object.assign(Object.create(null), entry);
}

function checkEntry(
  name: string,
  entry: unknown,
  available: number,
  failWith: Fail,
): { dtype: Dtype; shape: readonly number[]; begin: number; end: number } {
  const fail: Fail = (problem) => failWith(`tensor ${quote(name)}: ${problem}`);
  if (!isRecord(entry)) return fail(`expected an object with dtype, shape and data_offsets`);
  const { dtype, shape, data_offsets: offsets, ...others } = entry;
  if (Object.keys(others).length > 0) fail(`unknown key ${quote(Object.keys(others)[0])}`);
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPES, dtype)) {
    return fail(`expected a dtype among ${Object.keys(DTYPES).join(', ')}, found ${quote(dtype)}`);
  }
  if (!isSizes(shape)) return fail(`expected a shape of whole numbers, found ${quote(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    return fail(`expected data_offsets [begin, end], found ${quote(offsets)}`);
  }
  const [begin, end] = offsets;
  if (end > available) fail(`expected to end by byte ${available} of the data, found ${end}`);
  const expected = shape.reduce((product, n) => product * n, DTYPES[dtype as Dtype]);
  if (expected !== end - begin) {
    fail(`${dtype} of shape ${quote(shape)} takes ${expected} bytes, found ${end - begin}`);
  }
  // JSON knows −0.
  return { dtype: dtype as Dtype, shape: shape.map((n) => n + 0), begin, end };
}

/**
 * What begins a file of tensors, which follow it in the same order without gaps; its length is a multiple of 8 bytes. The
 * tensors may take more than 4 GiB.
 */
export function safetensorsHeader(
  tensors: Iterable<readonly [name: string, { readonly dtype: Dtype; readonly shape: readonly number[] }]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let size = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const begin = size;
    size += shape.reduce((product, n) => product * n, DTYPES[dtype]);
    entries.push([name, { dtype, shape, data_offsets: [begin, size] }]);
  }
  // fromEntries makes own properties of any name, "__proto__" too.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const bytes = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(json, 8);
  return bytes;
}

/**
 * Writes tensors of float32, float64 or int32 in the order given; the data start on a multiple of 8 bytes. The bytes of an earlier file
 * are written over where they are as many. Throws a usage error for a shape that its values do not fill.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
  earlier?: Uint8Array,
): Uint8Array {
  let size = 0;
  for (const [name, { shape, data }] of tensors) {
    const expected = shape.reduce((product, n) => product * n, 1);
    if (!isSizes(shape) || expected !== data.length || name === '__metadata__') {
      throw new XlstmError(
        'usage',
        `tensor ${quote(name)}: a shape ${quote(shape)} with ${data.length} values cannot be written`,
      );
    }
    size += data.byteLength;
  }
  const header = safetensorsHeader(
    [...tensors].map(([name, { shape, data }]) => {
      return [name, { dtype: dtypeOf(data), shape }];
    }),
    metadata,
  );
  const length = header.length + size;
  const bytes = earlier?.length === length ? earlier : new Uint8Array(length);
  bytes.set(header);
  let at = header.length;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

const dtypeOf = (data: TensorToWrite['data']): Dtype =>
  data instanceof Int32Array ? 'I32' : data instanceof Float64Array ? 'F64' : 'F32';
