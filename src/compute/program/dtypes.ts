/** What numbers in memory are. Adding one touches this table; layouts, addresses and engines' memory follow. */
export const dtypes = {
  /** What kernels compute in. */
  f32: { bytes: 4, array: Float32Array },
  i32: { bytes: 4, array: Int32Array },
} as const satisfies Record<
  string,
  { readonly bytes: number; readonly array: typeof Float32Array | typeof Int32Array }
>;

export type Dtype = keyof typeof dtypes;

/** Numbers of any type in an engine's memory; the reference engine holds all of them in float64. */
export type Numbers = Float32Array | Float64Array | Int32Array;

export const bytesOf = (dtype: Dtype, elements = 1): number => dtypes[dtype].bytes * elements;
