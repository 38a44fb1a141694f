import { PARTITIONS } from '../../../program/constants.ts';
import { each, type Lowering, partitionRows } from '../shader.ts';

export const blockLinear: Lowering = ({ sizes: { rows, groups, outSize } }) => [
  each(
    rows * groups * outSize,
    `let column = index % ${groups * outSize}u;
let row = index / ${groups * outSize}u;
let g = column / outSize;
let o = column % outSize;
var sum = residual_at(row * ldResidual + column);
for (var i = 0u; i < inSize; i++) {
  let place = g * inSize * outSize + select(o * inSize + i, i * outSize + o, transW == 1u);
  sum += w_at(place) * x_at(row * ldx + g * inSize + i);
}
set_y(row * ldy + column, sum);`,
  ),
];

export const blockLinearGradient: Lowering = ({ sizes: { rows, groups, inSize, outSize } }) => {
  const elements = groups * inSize * outSize;
  return [
    each(
      PARTITIONS * elements,
      `let p = index / ${elements}u;
let i = index % inSize;
let column = index % ${elements}u / inSize;
let g = column / outSize;
${partitionRows(rows, PARTITIONS)}
var sum = 0.0;
for (var row = first; row < last; row++) { sum += dy_at(row * lddy + column) * x_at(row * ldx + g * inSize + i); }
set_scratch(index, sum);`,
    ),
    each(elements, `set_dw(index, ${sumOfPartitions(elements, 'index')});`, partitionSum),
  ];
};

/** Adds the partial sums of the partitions, in order. */
export const partitionSum = `
fn partition_sum(first: u32, distance: u32) -> f32 {
  var sum = 0.0;
  for (var p = 0u; p < ${PARTITIONS}u; p++) { sum += scratch_at(first + p * distance); }
  return sum;
}
`;
export const sumOfPartitions = (distance: number, first: string): string =>
  `partition_sum(${first}, ${distance}u)`;
