import { type Dispatch, each, type Lowering, ofAnySize } from '../shader.ts';
import { inTiles, takesTiles } from './gemm_tiles.ts';

const TILE = 64;
const DEPTH = 16;
/** Each invocation keeps so many rows and columns of a tile in registers. */
const MINE = 4;
const SIDE = TILE / MINE;
/** Up to this many rows a product reads one matrix only once, which bounds it. */
const FEW_ROWS = 8;
/** Up to this many elements a product is too small for tiles to keep a GPU busy. */
const SMALL = 4096;
/** Invocations that share a sum over k of a product of few rows. */
const LANES = 64;

const layouts = `
fn a_place(z: u32, row: u32, i: u32) -> u32 { return z * strideA + select(row * lda + i, i * lda + row, transA == 1u); }
fn b_place(z: u32, i: u32, column: u32) -> u32 { return z * strideB + select(i * ldb + column, column * ldb + i, transB == 1u); }
`;

const places = `${layouts}
fn finish(z: u32, row: u32, column: u32, sum: f32) {
  var result = sum;
  if (has_bias) { result += bias_at(z * strideBias + column); }
  if (has_residual) { result += residual_at(z * strideResidual + row * ldResidual + column); }
  set_c(z * strideC + row * ldc + column, result);
}
`;

const mine = (line: (i: number) => string): string =>
  Array.from({ length: MINE }, (_, i) => line(i)).join('\n');

/** Tiles of C, each summed by a workgroup in registers over slices of A and B in workgroup memory. */
function tiled(batch: number, m: number, n: number): Dispatch {
  const [down, across] = [Math.ceil(m / TILE), Math.ceil(n / TILE)];
  const loads = (TILE * DEPTH) / (SIDE * SIDE);
  return {
    groups: batch * down * across,
    size: SIDE * SIDE,
    module: `${places}
var<workgroup> left: array<f32, ${DEPTH * (TILE + 1)}>;
var<workgroup> right: array<f32, ${DEPTH * (TILE + 1)}>;
`,
    body: `
let across = (n + ${TILE - 1}u) / ${TILE}u;
let down = (m + ${TILE - 1}u) / ${TILE}u;
let z = block / (down * across);
let top = block / across % down * ${TILE}u;
let first = block % across * ${TILE}u;
let y = lane / ${SIDE}u;
let x = lane % ${SIDE}u;
${mine((j) => `var sum${j} = vec4f();`)}
for (var start = 0u; start < k; start += ${DEPTH}u) {
  for (var load = 0u; load < ${loads}u; load++) {
    let flat = load * ${SIDE * SIDE}u + lane;
    var ai = flat % ${DEPTH}u;
    var row = flat / ${DEPTH}u;
    if (transA == 1u) { ai = flat / ${TILE}u; row = flat % ${TILE}u; }
    var av = 0.0;
    if (top + row < m && start + ai < k) { av = a_at(a_place(z, top + row, start + ai)); }
    left[ai * ${TILE + 1}u + row] = av;
    var bi = flat / ${TILE}u;
    var column = flat % ${TILE}u;
    if (transB == 1u) { bi = flat % ${DEPTH}u; column = flat / ${DEPTH}u; }
    var bv = 0.0;
    if (first + column < n && start + bi < k) { bv = b_at(b_place(z, start + bi, first + column)); }
    right[bi * ${TILE + 1}u + column] = bv;
  }
  workgroupBarrier();
  for (var i = 0u; i < ${DEPTH}u; i++) {
    let at = i * ${TILE + 1}u;
    let b = vec4f(right[at + x], right[at + ${SIDE}u + x], right[at + ${2 * SIDE}u + x], right[at + ${3 * SIDE}u + x]);
    ${mine((j) => `sum${j} += left[at + ${SIDE * j}u + y] * b;`)}
  }
  workgroupBarrier();
}
${mine(
  (j) => `{
  let row = top + ${SIDE * j}u + y;
  if (row < m) {
    ${mine((i) => `if (first + ${SIDE * i}u + x < n) { finish(z, row, first + ${SIDE * i}u + x, sum${j}[${i}]); }`)}
  }
}`,
)}`,
  };
}

/** A workgroup sums a column of C for all of few rows, its lanes sharing k: B is read once. */
function thin(batch: number, m: number, n: number): Dispatch {
  return {
    groups: batch * n,
    size: LANES,
    module: places,
    sums: m,
    body: `
let z = block / n;
let column = block % n;
var sum = array<f32, ${m}>();
for (var i = lane; i < k; i += ${LANES}u) {
  let b = b_at(b_place(z, i, column));
  for (var row = 0u; row < m; row++) { sum[row] += a_at(a_place(z, row, i)) * b; }
}
let whole = row_total(lane, sum);
if (lane < m) { finish(z, lane, column, whole); }`,
  };
}

/** Of a product with few elements a workgroup takes so many rows and columns, and so many parts of their sums. */
const SPLIT_SIDE = 4;
const PARTS = 16;
/** From this k on a few elements are worth that. */
const LONG = 128;

/** A workgroup sums a small tile of C in parts of k, whose sums it adds in an order that is always the same. */
function split(batch: number, m: number, n: number, transB: number): Dispatch {
  const elements = SPLIT_SIDE * SPLIT_SIDE;
  // Neighbours read neighbours: along k, or along a row of B.
  const [own, part] = transB
    ? [`lane / ${PARTS}u`, `lane % ${PARTS}u`]
    : [`lane % ${elements}u`, `lane / ${elements}u`];
  return {
    groups: batch * Math.ceil(m / SPLIT_SIDE) * Math.ceil(n / SPLIT_SIDE),
    size: elements * PARTS,
    module: `${places}
var<workgroup> sums: array<f32, ${elements * PARTS}>;
`,
    body: `
let across = (n + ${SPLIT_SIDE - 1}u) / ${SPLIT_SIDE}u;
let down = (m + ${SPLIT_SIDE - 1}u) / ${SPLIT_SIDE}u;
let z = block / (down * across);
let own = ${own};
let part = ${part};
let row = block / across % down * ${SPLIT_SIDE}u + own / ${SPLIT_SIDE}u;
let column = block % across * ${SPLIT_SIDE}u + own % ${SPLIT_SIDE}u;
let there = row < m && column < n;
var sum = 0.0;
if (there) {
  for (var i = part; i < k; i += ${PARTS}u) { sum += a_at(a_place(z, row, i)) * b_at(b_place(z, i, column)); }
}
sums[part * ${elements}u + own] = sum;
workgroupBarrier();
if (there && part == 0u) {
  for (var s = 1u; s < ${PARTS}u; s++) { sum += sums[s * ${elements}u + own]; }
  finish(z, row, column, sum);
}`,
  };
}

export const gemm: Lowering = (call) => {
  const { batch, m, n, transB, k } = call.sizes;
  if (m <= FEW_ROWS && transB && k >= LANES) return ofAnySize([thin(batch, m, n)]);
  if (m * n <= SMALL && k >= LONG) return ofAnySize([split(batch, m, n, transB)]);
  if (m * n <= SMALL || k <= 2) {
    return ofAnySize([
      each(
        batch * m * n,
        `let z = index / (m * n);
let row = index / n % m;
let column = index % n;
var sum = 0.0;
for (var i = 0u; i < k; i++) { sum += a_at(a_place(z, row, i)) * b_at(b_place(z, i, column)); }
finish(z, row, column, sum);`,
        places,
        'batch * m * n',
      ),
    ]);
  }
  return ofAnySize(takesTiles(call) ? inTiles(call, layouts) : [tiled(batch, m, n)]);
};
