type Values = ArrayLike<number>;

/** [B, H, T, D] to [B, T, H, D], and the other way round with H and T exchanged. */
export function swapHeadsAndTime(values: Values, [b, h, t, d]: readonly number[]): Float64Array {
  const swapped = new Float64Array(b * h * t * d);
  let at = 0;
  for (let i = 0; i < b; i++) {
    for (let k = 0; k < t; k++) {
      for (let j = 0; j < h; j++) {
        const from = ((i * h + j) * t + k) * d;
        for (let x = 0; x < d; x++) swapped[at++] = values[from + x];
      }
    }
  }
  return swapped;
}

/** Positions [from, to) of every sequence: [B, T, D] to [B, to − from, D]. */
export function timeSlice(
  values: Values,
  [b, t, d]: readonly number[],
  from: number,
  to: number,
): Float64Array {
  const slice = new Float64Array(b * (to - from) * d);
  let at = 0;
  for (let i = 0; i < b; i++) {
    for (let x = (i * t + from) * d; x < (i * t + to) * d; x++) slice[at++] = values[x];
  }
  return slice;
}

/** Puts [B, n, D] at positions from `at` on into [B, T, D]. */
export function writeTimeSlice(
  target: Float64Array,
  [b, t, d]: readonly number[],
  at: number,
  slice: Values,
): void {
  const n = slice.length / (b * d);
  for (let i = 0; i < b; i++) {
    for (let x = 0; x < n * d; x++) target[(i * t + at) * d + x] = slice[i * n * d + x];
  }
}
