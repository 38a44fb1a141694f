import type { MatrixUnit } from '../subgroup_matrices.ts';
import { DEPTH, lines, TILE, type TileSum } from './gemm_tiles.ts';
import type { Product } from './products.ts';

/** Invocations that every device takes in a workgroup. */
const MOST_LANES = 256;
/** Rows and columns of a tile that a subgroup computes. With two subgroups a workgroup, as wide ones have, all columns. */
const ROWS = TILE / 2;

/** Elements of a slice of one operand, in blocks of 4 × 4. */
const BLOCKS = (TILE / 4) * (DEPTH / 4);

/**
 * Tiles whose parts the subgroups of a workgroup sum with matrices: four of 32 × 32, or two of 32 × 64 where four of the
 * widest subgroups were too many for a workgroup. Where subgroups turn out narrower than the widest there are more than
 * these, which only load and write.
 */
export function inMatrices(unit: MatrixUnit): TileSum {
  const { M, N, K } = unit.config;
  const subgroups = 4 * unit.lanes <= MOST_LANES ? 4 : 2;
  const across = subgroups / 2;
  const columns = TILE / across;
  const size = subgroups * unit.lanes;
  const [down, along] = [ROWS / M, columns / N];
  /** Statements of a strip of M rows of every subgroup, which go through workgroup memory. */
  const write = (i: number, wgsl: Product['wgsl'], result: string): string => `
if (subgroup_id < ${subgroups}u) {
  ${lines(along, (j) => unit.store(`subgroup_id * ${M * columns}u + ${j * N}u`, `sum${i}_${j}`, columns))}
}
workgroupBarrier();
for (var flat = lane; flat < ${(subgroups * M * columns) / 4}u; flat += ${size}u) {
  let owner = flat / ${(M * columns) / 4}u;
  let row = top + owner / ${across}u * ${ROWS}u + ${i * M}u + flat / ${columns / 4}u % ${M}u;
  let column = first + owner % ${across}u * ${columns}u + flat % ${columns / 4}u * 4u;
  if (row < ${wgsl.m} && column < ${wgsl.n}) {
    let sum = vec4f(sums[4u * flat], sums[4u * flat + 1u], sums[4u * flat + 2u], sums[4u * flat + 3u]);
    ${result};
  }
}
workgroupBarrier();`;
  return {
    size,
    matrices: unit,
    module: `
var<workgroup> left: array<${unit.element}, ${DEPTH * TILE}>;
var<workgroup> right: array<${unit.element}, ${DEPTH * TILE}>;
var<workgroup> sums: array<f32, ${subgroups * M * columns}>;
`,
    body: (wgsl, layout, result) => `
let own_rows = subgroup_id / ${across}u * ${ROWS}u;
let own_columns = subgroup_id % ${across}u * ${columns}u;
${lines(down * along, (p) => `var sum${Math.floor(p / along)}_${p % along} = ${unit.zero()};`)}
for (var start = begin; start < end; start += ${DEPTH}u) {
  for (var flat = lane; flat < ${2 * BLOCKS}u; flat += ${size}u) {
    let at = flat % ${BLOCKS}u;
    if (flat < ${BLOCKS}u) {
      ${stage(unit, 'left', layout.a, (side, i) => `a_block(z, top + ${side}, ${i}, end)`)}
    } else {
      ${stage(unit, 'right', layout.b, (side, i) => `b_block(z, ${i}, first + ${side}, end)`)}
    }
  }
  workgroupBarrier();
  if (subgroup_id < ${subgroups}u) {
    ${lines(
      DEPTH / K,
      (s) => `{
      ${lines(down, (i) => `let a${i} = ${unit.left(`${s * K * TILE + i * M}u + own_rows`, TILE)};`)}
      ${lines(
        along,
        (j) => `{
        let b = ${unit.right(`${s * K * TILE + j * N}u + own_columns`, TILE)};
        ${lines(down, (i) => `sum${i}_${j} = ${unit.multiplyAdd(`a${i}`, 'b', `sum${i}_${j}`)};`)}
      }`,
      )}
    }`,
    )}
  }
  workgroupBarrier();
}
${lines(down, (i) => write(i, wgsl, result))}`,
  };
}

/** Reads block `at` of a slice into workgroup memory, one row of the tile's side after the other for each k. */
const stage = (
  unit: MatrixUnit,
  into: string,
  along: boolean,
  block: (side: string, i: string) => string,
): string => {
  const [side, i] = along
    ? [`at / ${DEPTH / 4}u`, `at % ${DEPTH / 4}u`]
    : [`at % ${TILE / 4}u`, `at / ${TILE / 4}u`];
  return `
      let side = 4u * (${side});
      let depth = 4u * (${i});
      let read = ${block('side', 'start + depth')};
      ${lines(16, (e) => `${into}[(depth + ${e >> 2}u) * ${TILE}u + side + ${e & 3}u] = ${unit.operand(`read[${e >> 2}][${e & 3}]`)};`)}`;
};
