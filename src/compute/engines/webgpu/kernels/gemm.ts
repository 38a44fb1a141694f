import { type Dispatch, each, type Lowering, ofAnySize } from '../shader.ts';
import type { MatrixUnit } from '../subgroup_matrices.ts';
import { inMatrices } from './gemm_matrices.ts';
import { inTiles, takesTiles } from './gemm_tiles.ts';
import { gemmProduct, type Product } from './products.ts';

const TILE = 64;
const DEPTH = 16;
/** Each invocation keeps so many rows and columns of a tile in registers. */
const MINE = 4;
const SIDE = TILE / MINE;
/** Up to this many rows a product reads one matrix only once, which bounds it. */
export const FEW_ROWS = 8;
/** Up to this many elements a product is too small for tiles to keep a GPU busy. */
const SMALL = 4096;
/** Invocations that share a sum over k of a product of few rows. */
const LANES = 64;

const mine = (line: (i: number) => string): string =>
  Array.from({ length: MINE }, (_, i) => line(i)).join('\n');

/** Tiles of C, each summed by a workgroup in registers over slices of A and B in workgroup memory. */
function tiled({ batch, m, n, along, wgsl, module }: Product): Dispatch {
  const [down, across] = [Math.ceil(m / TILE), Math.ceil(n / TILE)];
  const loads = (TILE * DEPTH) / (SIDE * SIDE);
  return {
    groups: batch * down * across,
    size: SIDE * SIDE,
    module: `${module}
var<workgroup> left: array<f32, ${DEPTH * (TILE + 1)}>;
var<workgroup> right: array<f32, ${DEPTH * (TILE + 1)}>;
`,
    body: `
let across = (${wgsl.n} + ${TILE - 1}u) / ${TILE}u;
let down = (${wgsl.m} + ${TILE - 1}u) / ${TILE}u;
let z = block / (down * across);
let top = block / across % down * ${TILE}u;
let first = block % across * ${TILE}u;
let y = lane / ${SIDE}u;
let x = lane % ${SIDE}u;
${mine((j) => `var sum${j} = vec4f();`)}
for (var start = 0u; start < ${wgsl.k}; start += ${DEPTH}u) {
  for (var load = 0u; load < ${loads}u; load++) {
    let flat = load * ${SIDE * SIDE}u + lane;
    let ai = ${along.a ? `flat % ${DEPTH}u` : `flat / ${TILE}u`};
    let row = ${along.a ? `flat / ${DEPTH}u` : `flat % ${TILE}u`};
    var av = 0.0;
    if (top + row < ${wgsl.m} && start + ai < ${wgsl.k}) { av = a_of(z, top + row, start + ai); }
    left[ai * ${TILE + 1}u + row] = av;
    let bi = ${along.b ? `flat % ${DEPTH}u` : `flat / ${TILE}u`};
    let column = ${along.b ? `flat / ${DEPTH}u` : `flat % ${TILE}u`};
    var bv = 0.0;
    if (first + column < ${wgsl.n} && start + bi < ${wgsl.k}) { bv = b_of(z, start + bi, first + column); }
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
  if (row < ${wgsl.m}) {
    ${mine((i) => `if (first + ${SIDE * i}u + x < ${wgsl.n}) { finish(z, row, first + ${SIDE * i}u + x, sum${j}[${i}]); }`)}
  }
}`,
)}`,
  };
}

/** A workgroup sums a column of C for all of few rows, its lanes sharing k: B is read once. */
function thin({ batch, m, n, wgsl, module }: Product): Dispatch {
  return {
    groups: batch * n,
    size: LANES,
    module,
    sums: m,
    body: `
let z = block / ${wgsl.n};
let column = block % ${wgsl.n};
var sum = array<f32, ${m}>();
for (var i = lane; i < ${wgsl.k}; i += ${LANES}u) {
  let b = b_of(z, i, column);
  for (var row = 0u; row < ${wgsl.m}; row++) { sum[row] += a_of(z, row, i) * b; }
}
let whole = row_total(lane, sum);
if (lane < ${wgsl.m}) { finish(z, lane, column, whole); }`,
  };
}

/** Of a product with few elements a workgroup takes so many rows and columns, and so many parts of their sums. */
const SPLIT_SIDE = 4;
const PARTS = 16;
/** From this k on a few elements are worth that. */
const LONG = 128;

/** A workgroup sums a small tile of C in parts of k, whose sums it adds in an order that is always the same. */
function split({ batch, m, n, along, wgsl, module }: Product): Dispatch {
  const elements = SPLIT_SIDE * SPLIT_SIDE;
  // Neighbours read neighbours: along k, or along a row of B.
  const [own, part] = along.b
    ? [`lane / ${PARTS}u`, `lane % ${PARTS}u`]
    : [`lane % ${elements}u`, `lane / ${elements}u`];
  return {
    groups: batch * Math.ceil(m / SPLIT_SIDE) * Math.ceil(n / SPLIT_SIDE),
    size: elements * PARTS,
    module: `${module}
var<workgroup> sums: array<f32, ${elements * PARTS}>;
`,
    body: `
let across = (${wgsl.n} + ${SPLIT_SIDE - 1}u) / ${SPLIT_SIDE}u;
let down = (${wgsl.m} + ${SPLIT_SIDE - 1}u) / ${SPLIT_SIDE}u;
let z = block / (down * across);
let own = ${own};
let part = ${part};
let row = block / across % down * ${SPLIT_SIDE}u + own / ${SPLIT_SIDE}u;
let column = block % across * ${SPLIT_SIDE}u + own % ${SPLIT_SIDE}u;
let there = row < ${wgsl.m} && column < ${wgsl.n};
var sum = 0.0;
if (there) {
  for (var i = part; i < ${wgsl.k}; i += ${PARTS}u) { sum += a_of(z, row, i) * b_of(z, i, column); }
}
sums[part * ${elements}u + own] = sum;
workgroupBarrier();
if (there && part == 0u) {
  for (var s = 1u; s < ${PARTS}u; s++) { sum += sums[s * ${elements}u + own]; }
  finish(z, row, column, sum);
}`,
  };
}

/** An invocation for each element of C. */
const single = ({ batch, m, n, wgsl, module }: Product): Dispatch =>
  each(
    batch * m * n,
    `let z = index / (${wgsl.m} * ${wgsl.n});
let row = index / ${wgsl.n} % ${wgsl.m};
let column = index % ${wgsl.n};
var sum = 0.0;
for (var i = 0u; i < ${wgsl.k}; i++) { sum += a_of(z, row, i) * b_of(z, i, column); }
finish(z, row, column, sum);`,
    module,
    `${wgsl.batch} * ${wgsl.m} * ${wgsl.n}`,
  );

/** The dispatches of a product whose matrix B need not be read only once. */
export function productOf(product: Product, matrices: MatrixUnit | undefined): Dispatch[] {
  const { m, n, k } = product;
  if (m * n <= SMALL && k >= LONG) return ofAnySize([split(product)]);
  if (m * n <= SMALL || k <= 2) return ofAnySize([single(product)]);
  if (!takesTiles(product)) return ofAnySize([tiled(product)]);
  return ofAnySize(inTiles(product, matrices && inMatrices(matrices)));
}

function gemmOf(product: Product, matrices: MatrixUnit | undefined): Dispatch[] {
  const thinEnough = product.m <= FEW_ROWS && product.along.b && product.k >= LANES;
  return thinEnough ? ofAnySize([thin(product)]) : productOf(product, matrices);
}

export const gemm: Lowering = (call, matrices) => gemmOf(gemmProduct(call, 'f32'), matrices);
export const gemmBf16: Lowering = (call, matrices) => gemmOf(gemmProduct(call, 'bf16'), matrices);
