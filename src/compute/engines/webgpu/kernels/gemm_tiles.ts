import { type Dispatch, each } from '../shader.ts';
import type { MatrixUnit } from '../subgroup_matrices.ts';
import type { Product } from './products.ts';

/** Rows and columns of a tile, and the terms of its slices of k in workgroup memory. */
export const TILE = 64;
export const DEPTH = 16;
/** In steps of four: a tile's side, an invocation's grid, its halves. */
const FOURS = TILE / 4;
const SIDE = 8;

/** From so many tiles on they keep a GPU busy. */
const ENOUGH = 256;
/** Of fewer each is summed in parts of k that are at least so long. */
const SHORTEST_PART = 256;
/** Fewer tiles than these are left to smaller ones. */
const FEWEST = 8;

export const lines = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

const tilesOf = ({ batch, m, n }: Product): number => batch * Math.ceil(m / TILE) * Math.ceil(n / TILE);

/** A product of which every four numbers can be read at once. */
type ByFours = Product & { readonly fours: string };

/** Whether large tiles take this product: it is large, and four numbers at once lie at multiples of four everywhere. */
export const takesTiles = (product: Product): product is ByFours =>
  product.fours !== undefined &&
  product.m >= TILE &&
  product.n >= TILE &&
  product.k >= DEPTH &&
  tilesOf(product) >= FEWEST;

/** Reads a block of a matrix into workgroup memory, so that four of a tile's side lie together there. */
const load = (into: string, block: (side: string, i: string) => string, along: boolean): string => {
  const [side, i] = along
    ? [`lane / ${DEPTH / 4}u`, `lane % ${DEPTH / 4}u`]
    : [`lane % ${FOURS}u`, `lane / ${FOURS}u`];
  return `{
  let side = ${side};
  let depth = 4u * (${i});
  let read = ${block('4u * side', 'start + depth')};
  ${lines(4, (q) => `${into}[(depth + ${q}u) * ${FOURS}u + side] = read[${q}];`)}
}`;
};

/** How a workgroup sums a tile. */
export interface TileSum {
  /** Invocations. */
  readonly size: number;
  readonly matrices?: MatrixUnit;
  /** Declarations. */
  readonly module: string;
  /**
   * Statements: the tile from row `top` and column `first` of product `z` on, summed over k from `begin`, a multiple of
   * DEPTH, to `end`; `result` takes each four columns of it, `sum`, of `row` and `column`.
   */
  body(wgsl: Product['wgsl'], along: Product['along'], result: string): string;
}

/** Each invocation keeps 8 × 8 of a tile in registers. */
const inRegisters: TileSum = {
  size: SIDE * SIDE,
  module: `
var<workgroup> left: array<vec4f, ${DEPTH * FOURS}>;
var<workgroup> right: array<vec4f, ${DEPTH * FOURS}>;
`,
  body: (wgsl, along, result) => `
let y = lane / ${SIDE}u;
let x = lane % ${SIDE}u;
${lines(SIDE, (r) => `var low${r} = vec4f();\nvar high${r} = vec4f();`)}
for (var start = begin; start < end; start += ${DEPTH}u) {
  ${load('left', (side, i) => `a_block(z, top + ${side}, ${i}, end)`, along.a)}
  ${load('right', (side, i) => `b_block(z, ${i}, first + ${side}, end)`, along.b)}
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
  if (row < ${wgsl.m}) {
    ${['low', 'high'].map((half, h) => `{ let column = first + ${(h * TILE) / 2}u + 4u * x; let sum = ${half}${r}; if (column < ${wgsl.n}) { ${result}; } }`).join('\n')}
  }
}`,
)}`,
};

/**
 * Large tiles, each summed by a workgroup over slices of A and B in workgroup memory. Where tiles are few and k is long, parts
 * of k are summed by workgroups of their own; a second dispatch adds them in the order of k.
 */
export function inTiles(product: ByFours, tileSum = inRegisters): Dispatch[] {
  const { batch, m, n, k, along, fours } = product;
  const size = product.wgsl;
  const tiles = tilesOf(product);
  const parts = Math.max(1, Math.min(Math.ceil(ENOUGH / tiles), Math.floor(k / SHORTEST_PART)));
  const result =
    parts > 1
      ? `set_spare_four(((part * ${size.batch} + z) * ${size.m} + row) * ${size.n} + column, sum)`
      : 'finish_four(z, row, column, sum)';
  const products: Dispatch = {
    groups: tiles * parts,
    size: tileSum.size,
    matrices: tileSum.matrices,
    fours: true,
    spare: parts > 1 ? parts * batch * m * n : 0,
    module: fours + tileSum.module,
    body: `
let across = (${size.n} + ${TILE - 1}u) / ${TILE}u;
let down = (${size.m} + ${TILE - 1}u) / ${TILE}u;
let part = block % ${parts}u;
let tile = block / ${parts}u;
let z = tile / (down * across);
let top = tile / across % down * ${TILE}u;
let first = tile % across * ${TILE}u;
let share = (${size.k} + ${parts * DEPTH - 1}u) / ${parts * DEPTH}u * ${DEPTH}u;
let begin = part * share;
let end = min(${size.k}, begin + share);
${tileSum.body(size, along, result)}`,
  };
  if (parts === 1) return [products];
  return [
    products,
    {
      ...each(
        (batch * m * n) / 4,
        `let at = 4u * index;
var sum = vec4f();
for (var part = 0u; part < ${parts}u; part++) { sum += spare_four(part * ${size.batch} * ${size.m} * ${size.n} + at); }
finish_four(at / (${size.m} * ${size.n}), at / ${size.n} % ${size.m}, at % ${size.n}, sum);`,
        fours,
        `${size.batch} * ${size.m} * ${size.n} / 4u`,
      ),
      fours: true,
      spare: parts * batch * m * n,
    },
  ];
}
