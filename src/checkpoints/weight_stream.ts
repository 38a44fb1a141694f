import { packedShape } from '../compute/graph/packed_linear.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import { packRows } from '../compute/program/packing.ts';
import { XlstmError } from '../errors.ts';
import type { NamedValues } from '../nn/parameters.ts';
import { quote } from '../quote.ts';
import { safetensorsHeader } from './safetensors.ts';

/** Elements that are in memory at a time, where a tensor can be read in parts. */
const PIECE = 2 ** 20;

/** A tensor that is written before all of it was in memory. */
export interface StreamedTensor {
  readonly name: string;
  /** Of the numbers that it stands for. */
  readonly shape: readonly number[];
  /** How its rows are packed. Undefined: float32. */
  readonly format?: PackedFormat | undefined;
}

/**
 * The bytes of a safetensors file, some rows at a time. `values` gives the numbers of the tensors in their order, of a packed one
 * numbers to pack or the words as they are. Throws a checkpoint error that begins with `source` for numbers that are not finite.
 */
export function* safetensorsPieces(
  tensors: readonly StreamedTensor[],
  values: Iterable<Pick<NamedValues, 'values' | 'slice' | 'integers'>>,
  source: string,
  onProgress: (writtenBytes: number, totalBytes: number) => void = () => {},
): Generator<Uint8Array> {
  const stored = tensors.map(({ name, shape, format }) => {
    return [
      name,
      format
        ? { dtype: 'I32' as const, shape: packedShape(format, shape) }
        : { dtype: 'F32' as const, shape },
    ] as const;
  });
  yield safetensorsHeader(stored, { format: 'pt' });
  const total = stored.reduce((sum, [, { shape }]) => sum + 4 * sizeOf(shape), 0);
  let written = 0;
  let index = 0;
  for (const given of values) {
    for (const piece of piecesOf(tensors[index], given, source)) {
      yield new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
      written += piece.byteLength;
      onProgress(written, total);
    }
    index++;
  }
}

function* piecesOf(
  { name, shape, format }: StreamedTensor,
  given: Pick<NamedValues, 'values' | 'slice' | 'integers'>,
  source: string,
): Generator<Float32Array | Int32Array> {
  const words = format && given.integers?.();
  if (words) {
    yield words;
    return;
  }
  const width = sizeOf(shape.slice(1));
  const count = sizeOf(shape);
  const step = given.slice ? width * Math.max(1, Math.floor(PIECE / width)) : count;
  for (let from = 0; from < count; from += step) {
    const part = given.slice?.(from, Math.min(count, from + step)) ?? given.values;
    if (!allFinite(part)) {
      throw new XlstmError(
        'checkpoint',
        `${source}: ${quote(name)} holds numbers that are not finite`,
        'The file is damaged, or its training went wrong.',
      );
    }
    if (format) yield packRows(format, part, width);
    else yield part instanceof Float32Array ? part : Float32Array.from(part);
  }
}

function allFinite(numbers: ArrayLike<number>): boolean {
  for (let i = 0; i < numbers.length; i++) if (!Number.isFinite(numbers[i])) return false;
  return true;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
