import type { Sizes } from '../../../program/kernels/kernel.ts';
import { type Call, type Dispatch, each } from '../shader.ts';

/** Rows and columns of a tile, of which each invocation keeps 8 × 8 in registers, and its slices of k in workgroup memory. */
const TILE = 64;
const DEPTH = 16;
const LANES = 64;
/** In steps of four: a tile's side, an invocation's grid, its halves. */
const FOURS = TILE / 4;
const SIDE = 8;

/** From so many tiles on they keep a GPU busy. */
const ENOUGH = 256;
/** Of fewer each is summed in parts of k that are at least so long. */
const SHORTEST_PART = 256;
/** Fewer tiles than these are left to smaller ones. */
const FEWEST = 16;

const lines = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

const tilesOf = ({ batch, m, n }: Sizes): number => batch * Math.ceil(m / TILE) * Math.ceil(n / TILE);

/** Whether large tiles take this product: it is large, and four numbers at once lie at multiples of four everywhere. */
export function takesTiles({ sizes, places }: Call): boolean {
  const { m, n, k, transA, transB, lda, ldb, ldc, strideA, strideB, strideC } = sizes;
  const alike = [n, transA ? m : k, transB ? k : n, lda, ldb, ldc, strideA, strideB, strideC];
  return (
    m >= TILE &&
    n >= TILE &&
    k >= DEPTH &&
    tilesOf(sizes) >= FEWEST &&
    [...alike, places.a, places.b, places.c].every((value) => value % 4 === 0)
  );
}

/** Reads four by four of a matrix into workgroup memory, so that four of a tile's side lie together there. */
const load = (of: 'a' | 'b', into: string, first: string, extent: string, along: boolean): string => {
  const place = (row: string, i: string): string =>
    of === 'a' ? `a_place(z, ${row}, ${i})` : `b_place(z, ${i}, ${row})`;
  const [side, i] = along
    ? [`lane / ${DEPTH / 4}u`, `lane % ${DEPTH / 4}u`]
    : [`lane % ${FOURS}u`, `lane / ${FOURS}u`];
  const four = (q: number): string =>
    along
      ? `if (row + ${q}u < ${extent} && i < end) { v${q} = ${of}_four(${place(`row + ${q}u`, 'i')}); }`
      : `if (row < ${extent} && i + ${q}u < end) { v${q} = ${of}_four(${place('row', `i + ${q}u`)}); }`;
  return `{
  let side = ${side};
  let depth = 4u * (${i});
  let row = ${first} + 4u * side;
  let i = start + depth;
  ${lines(4, (q) => `var v${q} = vec4f();`)}
  ${lines(4, four)}
  ${lines(4, (q) => `${into}[(depth + ${q}u) * ${FOURS}u + side] = ${along ? `vec4f(v0[${q}], v1[${q}], v2[${q}], v3[${q}])` : `v${q}`};`)}
}`;
};

const finish = `
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
`;

/**
 * Large tiles, each summed by a workgroup over slices of A and B in workgroup memory. Where tiles are few and k is long, parts
 * of k are summed by workgroups of their own; a second dispatch adds them in the order of k.
 */
export function inTiles({ sizes }: Call, layouts: string): Dispatch[] {
  const { batch, m, n, k, transA, transB } = sizes;
  const tiles = tilesOf(sizes);
  const parts = Math.max(1, Math.min(Math.ceil(ENOUGH / tiles), Math.floor(k / SHORTEST_PART)));
  const result =
    parts > 1
      ? 'set_spare_four(((part * batch + z) * m + row) * n + column, sum)'
      : 'finish_four(z, row, column, sum)';
  const products: Dispatch = {
    groups: tiles * parts,
    size: LANES,
    fours: true,
    spare: parts > 1 ? parts * batch * m * n : 0,
    module: `${layouts}${finish}
var<workgroup> left: array<vec4f, ${DEPTH * FOURS}>;
var<workgroup> right: array<vec4f, ${DEPTH * FOURS}>;
`,
    body: `
let across = (n + ${TILE - 1}u) / ${TILE}u;
let down = (m + ${TILE - 1}u) / ${TILE}u;
let part = block % ${parts}u;
let tile = block / ${parts}u;
let z = tile / (down * across);
let top = tile / across % down * ${TILE}u;
let first = tile % across * ${TILE}u;
let y = lane / ${SIDE}u;
let x = lane % ${SIDE}u;
let share = (k + ${parts * DEPTH - 1}u) / ${parts * DEPTH}u * ${DEPTH}u;
let end = min(k, (part + 1u) * share);
${lines(SIDE, (r) => `var low${r} = vec4f();\nvar high${r} = vec4f();`)}
for (var start = part * share; start < end; start += ${DEPTH}u) {
  ${load('a', 'left', 'top', 'm', !transA)}
  ${load('b', 'right', 'first', 'n', transB === 1)}
  workgroupBarrier();
  for (var i = 0u; i < ${DEPTH}u; i++) {
    let l0 = left[i * ${FOURS}u + y];
    let l1 = left[i * ${FOURS}u + ${SIDE}u + y];
    let r0 = right[i * ${FOURS}u + x];
    let r1 = right[i * ${FOURS}u + ${SIDE}u + x];
    ${lines(SIDE, (r) => `low${r} += l${r >> 2}[${r & 3}] * r0;\nhigh${r} += l${r >> 2}[${r & 3}] * r1;`)}
  }
  workgroupBarrier();
}
${lines(
  SIDE,
  (r) => `{
  let row = top + ${(r >> 2) * (TILE / 2) + (r & 3)}u + 4u * y;
  if (row < m) {
    ${['low', 'high'].map((half, h) => `{ let column = first + ${(h * TILE) / 2}u + 4u * x; let sum = ${half}${r}; if (column < n) { ${result}; } }`).join('\n')}
  }
}`,
)}`,
  };
  if (parts === 1) return [products];
  return [
    products,
    {
      ...each(
        (batch * m * n) / 4,
        `let at = 4u * index;
var sum = vec4f();
for (var part = 0u; part < ${parts}u; part++) { sum += spare_four(part * batch * m * n + at); }
finish_four(at / (m * n), at / n % m, at % n, sum);`,
        finish,
        'batch * m * n / 4u',
      ),
      fours: true,
      spare: parts * batch * m * n,
    },
  ];
}
