/** Dots of one braille character by column (left, right) and row (top to bottom), as bits above U+2800. */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/**
 * A line through the values, drawn with braille dots, `columns` × `rows` characters; the whole width is the whole
 * run, the whole height is `range` or that of the values. More values than dots are averaged, fewer are connected. Values
 * that are not finite leave a gap.
 */
export function drawCurve(
  values: readonly number[],
  columns: number,
  rows: number,
  range?: { readonly low: number; readonly high: number },
): string[] {
  const width = columns * 2;
  const height = rows * 4;
  const points = resample(values, width);
  const { low, high } = range ?? rangeOf(points);
  const cells = Array.from({ length: rows }, () => new Uint8Array(columns));
  let previous: number | null = null;
  points.forEach((value, x) => {
    if (!Number.isFinite(value)) {
      previous = null;
      return;
    }
    const y = high === low ? height >> 1 : Math.round(((high - value) / (high - low)) * (height - 1));
    // Steep pieces are filled up so that the line does not break.
    const from: number = previous === null || previous === y ? y : previous < y ? previous + 1 : previous - 1;
    for (let dot = Math.min(from, y); dot <= Math.max(from, y); dot++) {
      cells[dot >> 2][x >> 1] |= DOTS[x & 1][dot & 3];
    }
    previous = y;
  });
  return cells.map((row) => String.fromCharCode(...Array.from(row, (bits) => (bits ? 0x2800 + bits : 0x20))));
}

/** Least and greatest of what the curve shows. */
export function curveRange(values: readonly number[], columns: number): { low: number; high: number } {
  return rangeOf(resample(values, columns * 2));
}

function rangeOf(points: readonly number[]): { low: number; high: number } {
  const finite = points.filter(Number.isFinite);
  return { low: Math.min(...finite), high: Math.max(...finite) };
}

function resample(values: readonly number[], width: number): number[] {
  const count = values.length;
  if (count === 0) return [];
  if (count === 1) return new Array<number>(width).fill(values[0]);
  return Array.from({ length: width }, (_, x) => {
    if (count >= width) {
      const begin = Math.floor((x * count) / width);
      const end = Math.floor(((x + 1) * count) / width);
      let sum = 0;
      for (let k = begin; k < end; k++) sum += values[k];
      return sum / (end - begin);
    }
    const at = (x * (count - 1)) / (width - 1);
    const left = Math.min(Math.floor(at), count - 2);
    return values[left] + (values[left + 1] - values[left]) * (at - left);
  });
}

/** The values of a run in bounded memory: when it is full, neighbours are averaged and the resolution halves. */
export class History {
  readonly #capacity: number;
  #values: number[] = [];
  #each = 1;
  #sum = 0;
  #count = 0;

  constructor(capacity = 512) {
    this.#capacity = capacity;
  }

  push(value: number): void {
    this.#sum += value;
    if (++this.#count < this.#each) return;
    this.#values.push(this.#sum / this.#count);
    this.#sum = 0;
    this.#count = 0;
    if (this.#values.length < this.#capacity) return;
    const halved: number[] = [];
    for (let k = 0; k + 1 < this.#values.length; k += 2) {
      halved.push((this.#values[k] + this.#values[k + 1]) / 2);
    }
    this.#values = halved;
    this.#each *= 2;
  }

  get values(): readonly number[] {
    return this.#values;
  }
}
