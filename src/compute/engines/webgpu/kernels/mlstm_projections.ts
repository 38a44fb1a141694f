import { PARTITIONS } from '../../../program/constants.ts';
import { each, type Lowering, partitionRows, widthFor } from '../shader.ts';
import { partitionSum, sumOfPartitions } from './block_linear.ts';

const module = (width: number): string => `
const width = ${width}u;
fn input_at(row: u32, column: u32, i: u32) -> f32 {
  let source = column % width / size * size + i;
  if (column < 2u * width) { return a_at(row * lda + source); }
  return x_at(row * ldx + source);
}
fn projected(row: u32, column: u32) -> f32 {
  var sum = bias_at(column);
  for (var i = 0u; i < size; i++) { sum += weight_at(column * size + i) * input_at(row, column, i); }
  return sum;
}
`;

export const mlstmProjectionsForward: Lowering = ({ sizes: { rows, groups, size, gates } }) => {
  const width = groups * size;
  const lanes = widthFor(3 * width);
  return [
    each(
      rows * 3 * width,
      `let row = index / ${3 * width}u;
let column = index % ${3 * width}u;
set_qkv(row * ldqkv + column, projected(row, column));`,
      module(width),
    ),
    {
      groups: rows * gates,
      size: lanes,
      sums: 1,
      body: `
let row = block / gates;
let j = block % gates;
var sum = 0.0;
for (var column = lane; column < ${3 * width}u; column += ${lanes}u) {
  sum += qkv_at(row * ldqkv + column) * gateWeight_at(j * ${3 * width}u + column);
}
sum = total(lane, sum);
if (lane == 0u) { set_gate(row * ldGate + j, sum + gateBias_at(j)); }`,
    },
  ];
};

export const mlstmProjectionsBackward: Lowering = ({ sizes: { rows, groups, size, gates } }) => {
  const width = groups * size;
  const all = 3 * width;
  const shared = `${module(width)}
fn upstream(row: u32, column: u32) -> f32 {
  var sum = dqkv_at(row * lddqkv + column);
  for (var j = 0u; j < gates; j++) { sum += dgate_at(row * lddgate + j) * gateWeight_at(j * ${all}u + column); }
  return sum;
}
fn towards(row: u32, plane: u32, column: u32) -> f32 {
  var sum = 0.0;
  for (var o = 0u; o < size; o++) {
    let source = plane * width + column / size * size + o;
    sum += upstream(row, source) * weight_at(source * size + column % size);
  }
  return sum;
}
`;
  // Of each partition: weight [3D, S], bias [3D], gateWeight [gates, 3D], gateBias [gates].
  const sums = all * (size + 1 + gates) + gates;
  const [biases, gateWeights, gateBiases] = [all * size, all * (size + 1), all * (size + 1 + gates)];
  return [
    each(
      rows * width,
      `let row = index / width;
let column = index % width;
set_da(row * ldda + column, towards(row, 0u, column) + towards(row, 1u, column) + residual_at(row * ldResidual + column));
set_dx(row * lddx + column, towards(row, 2u, column));`,
      shared,
    ),
    each(
      PARTITIONS * sums,
      `let p = index / ${sums}u;
let place = index % ${sums}u;
${partitionRows(rows, PARTITIONS)}
var sum = 0.0;
if (place < ${biases}u) {
  for (var row = first; row < last; row++) { sum += upstream(row, place / size) * input_at(row, place / size, place % size); }
} else if (place < ${gateWeights}u) {
  for (var row = first; row < last; row++) { sum += upstream(row, place - ${biases}u); }
} else if (place < ${gateBiases}u) {
  let j = (place - ${gateWeights}u) / ${all}u;
  let column = (place - ${gateWeights}u) % ${all}u;
  for (var row = first; row < last; row++) { sum += dgate_at(row * lddgate + j) * projected(row, column); }
} else {
  for (var row = first; row < last; row++) { sum += dgate_at(row * lddgate + place - ${gateBiases}u); }
}
set_scratch(index, sum);`,
      shared,
    ),
    each(
      sums,
      `let sum = ${sumOfPartitions(sums, 'index')};
if (index < ${biases}u) { set_dweight(index, sum); }
else if (index < ${gateWeights}u) { set_dbias(index - ${biases}u, sum); }
else if (index < ${gateBiases}u) { set_dgateWeight(index - ${gateWeights}u, sum); }
else { set_dgateBias(index - ${gateBiases}u, sum); }`,
      partitionSum,
    ),
  ];
};
