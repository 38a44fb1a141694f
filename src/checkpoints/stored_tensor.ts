import { XlstmError } from '../errors.ts';

/** Bytes of one element, by the names that safetensors has for the types. */
export const DTYPES = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2 },
  ...{ I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 },
} as const;
/**
 * Types of elements that files hold, by the names of safetensors: F is for floating point, I and U for whole numbers,
 * with their bits.
 */
export type Dtype = keyof typeof DTYPES;

/** Types of the numbers of a model. */
const FLOATS: readonly Dtype[] = ['F32', 'BF16', 'F16', 'F64'];

/** A tensor in a file. */
export interface StoredTensor {
  /** The type of its elements in the file. */
  readonly dtype: Dtype;
  /** Dimensions, the outermost first. */
  readonly shape: readonly number[];
  /** A new array of the elements from `from` up to `to` (all); integers and doubles that float32 cannot hold are rounded. */
  read(from?: number, to?: number): Float32Array;
  /** A new array of all elements; doubles are as they are. */
  readDoubles(): Float64Array;
  /**
   * A new array of a whole-number dtype (I64, I32, I16, I8, U8, BOOL). Throws a checkpoint error for another dtype, and
   * for a value that does not fit 32 bits.
   */
  readIntegers(): Int32Array;
}

/**
 * The elements from `from` up to `to` (all) of a tensor that holds a model's numbers. Throws a checkpoint error that begins
 * with `at` for whole numbers: these are what another program packed, or something else.
 */
export function numbersOf(tensor: StoredTensor, at: string, from?: number, to?: number): Float32Array {
  if (FLOATS.includes(tensor.dtype)) return tensor.read(from, to);
  throw new XlstmError(
    'checkpoint',
    `${at}: expected a dtype among ${FLOATS.join(', ')}, found ${tensor.dtype}`,
    'Weights that another program made small cannot be read: take those of float32 or bfloat16.',
  );
}

export function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/**
 * `bytes` gives a piece of the elements, little-endian, row by row, from byte `begin` up to `end` of them; `at` says where,
 * in errors.
 */
export const storedTensor = (
  at: () => string,
  dtype: Dtype,
  shape: readonly number[],
  bytes: (begin: number, end: number) => Uint8Array,
): StoredTensor => ({
  dtype,
  shape,
  read: (from = 0, to = elementsOf(shape)) =>
    readFloats(dtype, bytes(from * DTYPES[dtype], to * DTYPES[dtype])),
  readDoubles: () => {
    const all = bytes(0, elementsOf(shape) * DTYPES[dtype]);
    return dtype === 'F64' ? new Float64Array(aligned(all)) : Float64Array.from(readFloats(dtype, all));
  },
  readIntegers: () => {
    if (dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') {
      throw new XlstmError(
        'checkpoint',
        `${at()}: expected whole numbers (I64, I32, I16, I8, U8, BOOL), found ${dtype}`,
      );
    }
    return readIntegers(dtype, bytes(0, elementsOf(shape) * DTYPES[dtype]), at);
  },
});

const elementsOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** On an aligned address, as typed arrays need: a copy, but of what was read for this piece and fills its buffer. */
const aligned = (data: Uint8Array): ArrayBuffer => {
  if (data.length === data.buffer.byteLength && data.buffer instanceof ArrayBuffer) return data.buffer;
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
      const halves = new Uint16Array(aligned(data));
      const bits = new Uint32Array(halves.length);
      for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
      return new Float32Array(bits.buffer);
    }
    case 'F16': {
      const halves = new Uint16Array(aligned(data));
      const values = new Float32Array(halves.length);
      halfValues ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => halfToNumber(half));
      for (let i = 0; i < halves.length; i++) values[i] = halfValues[halves[i]];
      return values;
    }
    case 'I64':
      return Float32Array.from(new BigInt64Array(aligned(data)), Number);
    case 'I32':
      return Float32Array.from(new Int32Array(aligned(data)));
    case 'I16':
      return Float32Array.from(new Int16Array(aligned(data)));
    case 'I8':
      return Float32Array.from(new Int8Array(aligned(data)));
    case 'U8':
    case 'BOOL':
      return Float32Array.from(data);
  }
}

function readIntegers(
  dtype: 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL',
  data: Uint8Array,
  at: () => string,
): Int32Array {
  if (dtype === 'I32') return new Int32Array(aligned(data));
  if (dtype !== 'I64') return Int32Array.from(readFloats(dtype, data));
  const wide = new BigInt64Array(aligned(data));
  const beyond = wide.find((value) => BigInt.asIntN(32, value) !== value);
  if (beyond !== undefined)
    throw new XlstmError('checkpoint', `${at()}: expected values of 32 bits, found ${beyond}`);
  return Int32Array.from(wide, Number);
}

/** What each pattern of 16 bits means, once it is needed. */
let halfValues: Float32Array | undefined;

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
