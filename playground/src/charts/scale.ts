/** From numbers to places on a line. */
export interface Scale {
  (value: number): number;
  readonly ticks: readonly number[];
}

/** Round numbers within a range, about as many as asked for. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) as number);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

export function linear(
  domain: readonly [number, number],
  range: readonly [number, number],
  ticks: number,
): Scale {
  const [low, high] = domain;
  const width = high - low || 1;
  const scale = (value: number): number => range[0] + ((value - low) / width) * (range[1] - range[0]);
  return Object.assign(scale, { ticks: niceTicks(low, high, ticks) });
}

export function logarithmic(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const inner = linear([Math.log10(domain[0]), Math.log10(domain[1])], range, 5);
  const ticks: number[] = [];
  for (let power = Math.ceil(Math.log10(domain[0]) - 1e-9); 10 ** power <= domain[1] * 1.000001; power++)
    ticks.push(10 ** power);
  return Object.assign((value: number) => inner(Math.log10(value)), { ticks });
}

/** Least and most of finite numbers, with room beside them. */
export function extent(rows: Iterable<ArrayLike<number>>, room = 0.05): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      if (!Number.isFinite(row[i])) continue;
      low = Math.min(low, row[i]);
      high = Math.max(high, row[i]);
    }
  }
  if (low > high) return [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * room;
  return [low - margin, high + margin];
}
