/** [outer, a, b, inner] → [outer, b, a, inner] */
export function swappedAxes(
  values: ArrayLike<number>,
  outer: number,
  a: number,
  b: number,
  inner = 1,
): Float32Array {
  const result = new Float32Array(outer * a * b * inner);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < b; j++) {
      for (let i = 0; i < a; i++) {
        const from = ((o * a + i) * b + j) * inner;
        for (let k = 0; k < inner; k++) result[at++] = values[from + k];
      }
    }
  }
  return result;
}
