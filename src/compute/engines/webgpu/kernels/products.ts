import { PANEL_ROWS } from '../../../program/constants.ts';
import type { Call } from '../shader.ts';

/** A product C[m, n] = op(A)[m, k] · op(B)[k, n] of each of `batch`, whatever arrays a kernel has it of. */
export interface Product {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Whether A and B lie in memory along k. */
  readonly along: { readonly a: boolean; readonly b: boolean };
  /** These sizes in WGSL, which are read when it runs. */
  readonly wgsl: Readonly<Record<'batch' | 'm' | 'n' | 'k', string>>;
  /** WGSL of a_of(z, row, i), b_of(z, i, column) and finish(z, row, column, sum). */
  readonly module: string;
  /**
   * WGSL of a_block(z, row, i, end) and b_block(z, i, column, end), which are 4 × 4: vector q has the four rows of A (columns
   * of B) from there on at i + q, zeros from `end` on; and of finish_four(z, row, column, sum). Only where
   * everything lies at multiples of four, so that four numbers are read at once.
   */
  readonly fours: string | undefined;
}

/** To what the operands of a product are rounded. */
export type Rounding = 'f32' | 'bf16';

/**
 * bf16(x) is the nearest bfloat16, ties to the even one, by its bits: nothing depends on how a device rounds. Numbers below
 * the least normal one are 0, as dot products of processors have them.
 */
export const roundingModule = `
fn bf16(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let size = bits & 0x7fffffffu;
  let nearest = select((bits + 0x7fffu + ((bits >> 16u) & 1u)) & 0xffff0000u, bits & 0x80000000u, size < 0x00800000u);
  return bitcast<f32>(select(nearest, bits, size > 0x7f800000u));
}
fn bf16_four(x: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(x);
  let size = bits & vec4u(0x7fffffffu);
  let nearest = select(
    (bits + 0x7fffu + ((bits >> vec4u(16u)) & vec4u(1u))) & vec4u(0xffff0000u), bits & vec4u(0x80000000u), size < vec4u(0x00800000u));
  return bitcast<vec4f>(select(nearest, bits, size > vec4u(0x7f800000u)));
}
`;

/** WGSL of a number that is rounded, and of four. */
export const rounders: Readonly<Record<Rounding, { one(x: string): string; four(x: string): string }>> = {
  f32: { one: (x) => x, four: (x) => x },
  bf16: { one: (x) => `bf16(${x})`, four: (x) => `bf16_four(${x})` },
};

const QUARTER = [0, 1, 2, 3] as const;
const areFours = (values: readonly number[]): boolean => values.every((value) => value % 4 === 0);

/** Four reads of four numbers each, as a block: `read` is WGSL of those from row + r, i + s on. */
function blockBody(
  along: boolean,
  extent: string,
  four: (x: string) => string,
  read: (row: string, i: string) => string,
): string {
  const vectors = QUARTER.map((q) =>
    along
      ? `if (row + ${q}u < ${extent} && i < end) { v${q} = ${read(`row + ${q}u`, 'i')}; }`
      : `if (row < ${extent} && i + ${q}u < end) { v${q} = ${read('row', `i + ${q}u`)}; }`,
  );
  const block = `mat4x4f(${QUARTER.map((q) => four(`v${q}`)).join(', ')})`;
  return `
  ${QUARTER.map((q) => `var v${q} = vec4f();`).join('\n')}
  ${vectors.join('\n')}
  return ${along ? `transpose(${block})` : block};
`;
}

/** Products of the kernels `gemm` and `gemmBf16`. */
export function gemmProduct({ sizes, places }: Call, rounding: Rounding): Product {
  const { batch, m, n, k, transA, transB, lda, ldb, ldc, strideA, strideB, strideC } = sizes;
  const { one, four } = rounders[rounding];
  const along = { a: !transA, b: transB === 1 };
  const layouts = `${rounding === 'bf16' ? roundingModule : ''}
fn a_place(z: u32, row: u32, i: u32) -> u32 { return z * strideA + ${along.a ? 'row * lda + i' : 'i * lda + row'}; }
fn b_place(z: u32, i: u32, column: u32) -> u32 { return z * strideB + ${along.b ? 'column * ldb + i' : 'i * ldb + column'}; }
`;
  const module = `${layouts}
fn a_of(z: u32, row: u32, i: u32) -> f32 { return ${one('a_at(a_place(z, row, i))')}; }
fn b_of(z: u32, i: u32, column: u32) -> f32 { return ${one('b_at(b_place(z, i, column))')}; }
fn finish(z: u32, row: u32, column: u32, sum: f32) {
  var result = sum;
  if (has_bias) { result += bias_at(z * strideBias + column); }
  if (has_residual) { result += residual_at(z * strideResidual + row * ldResidual + column); }
  set_c(z * strideC + row * ldc + column, result);
}
`;
  const alike = [n, transA ? m : k, transB ? k : n, lda, ldb, ldc, strideA, strideB, strideC];
  const fours = areFours([...alike, places.a, places.b, places.c])
    ? `${layouts}
fn a_block(z: u32, row: u32, i: u32, end: u32) -> mat4x4f {${blockBody(along.a, 'm', four, (row, i) => `a_four(a_place(z, ${row}, ${i}))`)}}
fn b_block(z: u32, i: u32, row: u32, end: u32) -> mat4x4f {${blockBody(along.b, 'n', four, (row, i) => `b_four(b_place(z, ${i}, ${row}))`)}}
fn finish_four(z: u32, row: u32, column: u32, sum: vec4f) {
  var result = sum;
  if (has_bias) {
    let at = z * strideBias + column;
    result += vec4f(bias_at(at), bias_at(at + 1u), bias_at(at + 2u), bias_at(at + 3u));
  }
  if (has_residual) {
    let at = z * strideResidual + row * ldResidual + column;
    result += vec4f(residual_at(at), residual_at(at + 1u), residual_at(at + 2u), residual_at(at + 3u));
  }
  set_c_four(z * strideC + row * ldc + column, result);
}
`
    : undefined;
  const wgsl = { batch: 'batch', m: 'm', n: 'n', k: 'k' };
  return { batch, m, n, k, along, wgsl, module, fours };
}

/** The product of `panelLinear`: B is a matrix in panels (panels.ts). */
export function panelProduct({ sizes, places }: Call): Product {
  const { m, rows, columns, ldx, ldy } = sizes;
  const place = `
${roundingModule}
fn panel_place(i: u32, row: u32) -> u32 {
  return (row - row % ${PANEL_ROWS}u) * ((columns + 1u) / 2u) + i / 2u * ${PANEL_ROWS}u + row % ${PANEL_ROWS}u;
}
`;
  const module = `${place}
fn a_of(z: u32, row: u32, i: u32) -> f32 { return bf16(x_at(row * ldx + i)); }
fn b_of(z: u32, i: u32, column: u32) -> f32 {
  let word = w_word(panel_place(i, column));
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, i % 2u == 1u));
}
fn finish(z: u32, row: u32, column: u32, sum: f32) {
  set_y(row * ldy + column, sum + bias_at(column) + residual_at(row * ldResidual + column));
}
`;
  const fours = areFours([columns, ldx, ldy, places.x, places.w, places.y])
    ? `${place}
fn a_block(z: u32, row: u32, i: u32, end: u32) -> mat4x4f {${blockBody(true, 'm', rounders.bf16.four, (row, i) => `x_four((${row}) * ldx + ${i})`)}}
fn b_block(z: u32, i: u32, row: u32, end: u32) -> mat4x4f {
  if (row >= rows || i >= end) { return mat4x4f(); }
  let near = w_words(panel_place(i, row));
  let far = w_words(panel_place(i + 2u, row));
  let upper = vec4u(0xffff0000u);
  return mat4x4f(
    bitcast<vec4f>(near << vec4u(16u)), bitcast<vec4f>(near & upper), bitcast<vec4f>(far << vec4u(16u)), bitcast<vec4f>(far & upper));
}
fn finish_four(z: u32, row: u32, column: u32, sum: vec4f) {
  let at = row * ldResidual + column;
  let bias = vec4f(bias_at(column), bias_at(column + 1u), bias_at(column + 2u), bias_at(column + 3u));
  let residual = vec4f(residual_at(at), residual_at(at + 1u), residual_at(at + 2u), residual_at(at + 3u));
  set_y_four(row * ldy + column, sum + bias + residual);
}
`
    : undefined;
  const wgsl = { batch: '1u', m: 'm', n: 'rows', k: 'columns' };
  return { batch: 1, m, n: rows, k: columns, along: { a: true, b: true }, wgsl, module, fours };
}
