import { PARTITIONS } from '../../../program/constants.ts';
import { type Dispatch, each, type Lowering, partitionRows, widthFor } from '../shader.ts';
import { partitionSum, sumOfPartitions } from './block_linear.ts';

/** A workgroup for each row and group: mean, deviation, then `write` for each column. */
const forward = (rows: number, groups: number, size: number, write: string): Dispatch => {
  const width = widthFor(size);
  return {
    groups: rows * groups,
    size: width,
    sums: 1,
    body: `
let row = block / groups;
let g = block % groups;
var mean = 0.0;
if (rms == 0u) {
  var sum = 0.0;
  for (var d = lane; d < size; d += ${width}u) { sum += x_at(row * ldx + g * size + d); }
  mean = total(lane, sum) / f32(size);
}
var squares = 0.0;
for (var d = lane; d < size; d += ${width}u) {
  let off = x_at(row * ldx + g * size + d) - mean;
  squares += off * off;
}
let inverse = 1.0 / sqrt(total(lane, squares) / f32(size) + eps);
for (var d = lane; d < size; d += ${width}u) {
  let column = g * size + d;
  let factor = select(1.0, weightOffset + weight_at(column), has_weight);
  let normed = (x_at(row * ldx + column) - mean) * inverse * factor + bias_at(column);
  ${write}
}
if (lane == 0u) {
  set_stats(2u * block, mean);
  set_stats(2u * block + 1u, inverse);
}`,
  };
};

export const normForward: Lowering = ({ sizes: { rows, groups, size } }) => [
  forward(rows, groups, size, 'set_y(row * ldy + column, normed);'),
];

export const gatedNormForward: Lowering = ({ sizes: { rows, groups, size } }) => [
  forward(
    rows,
    groups,
    size,
    `let z = gate_at(row * ldGate + column);
  let added = skip_at(column) * addend_at(row * ldAddend + column);
  set_y(row * ldy + column, (normed + added) * z * sigmoid_of(z));`,
  ),
];

const normalized = `
fn normalized(row: u32, column: u32) -> f32 {
  let at = 2u * (row * groups + column / size);
  return (x_at(row * ldx + column) - stats_at(at)) * stats_at(at + 1u);
}
`;

/** Sums over rows: upstream · x̂ for the weight, upstream for the bias, and a third of the kernel's own. */
function columnSums(rows: number, width: number, third?: { term: string; name: string }): Dispatch[] {
  const plane = PARTITIONS * width;
  return [
    each(
      plane,
      `let p = index / ${width}u;
let column = index % ${width}u;
${partitionRows(rows, PARTITIONS)}
var weights = 0.0;
var biases = 0.0;
var thirds = 0.0;
for (var row = first; row < last; row++) {
  let u = upstream(row, column);
  weights += u * normalized(row, column);
  biases += u;
  ${third ? `thirds += u * ${third.term};` : ''}
}
set_scratch(index, weights);
set_scratch(${plane}u + index, biases);
${third ? `set_scratch(${2 * plane}u + index, thirds);` : ''}`,
    ),
    each(
      width,
      `set_dweight(index, ${sumOfPartitions(width, 'index')});
set_dbias(index, ${sumOfPartitions(width, `${plane}u + index`)});
${third ? `set_${third.name}(index, ${sumOfPartitions(width, `${2 * plane}u + index`)});` : ''}`,
      partitionSum,
    ),
  ];
}

const inputGradient = (rows: number, groups: number, size: number, also = ''): Dispatch => {
  const width = widthFor(size);
  return {
    groups: rows * groups,
    size: width,
    sums: 1,
    body: `
let row = block / groups;
let g = block % groups;
var gradients = 0.0;
var products = 0.0;
for (var d = lane; d < size; d += ${width}u) {
  let column = g * size + d;
  let gradient = upstream(row, column) * select(1.0, weightOffset + weight_at(column), has_weight);
  gradients += gradient;
  products += gradient * normalized(row, column);
}
let product_mean = total(lane, products) / f32(size);
var gradient_mean = 0.0;
if (rms == 0u) { gradient_mean = total(lane, gradients) / f32(size); }
let inverse = stats_at(2u * block + 1u);
for (var d = lane; d < size; d += ${width}u) {
  let column = g * size + d;
  let gradient = upstream(row, column) * select(1.0, weightOffset + weight_at(column), has_weight);
  let through = inverse * (gradient - gradient_mean - normalized(row, column) * product_mean);
  ${also}
  set_dx(row * lddx + column, through + residual_at(row * ldResidual + column));
}`,
  };
};

const withModule = (dispatches: Dispatch[], module: string): Dispatch[] =>
  dispatches.map((dispatch) => ({ ...dispatch, module: module + (dispatch.module ?? '') }));

export const normBackward: Lowering = ({ sizes: { rows, groups, size, dweight, dbias } }) =>
  withModule(
    [...(dweight || dbias ? columnSums(rows, groups * size) : []), inputGradient(rows, groups, size)],
    `${normalized}
fn upstream(row: u32, column: u32) -> f32 { return dy_at(row * lddy + column); }
`,
  );

export const gatedNormBackward: Lowering = ({ sizes: { rows, groups, size, dweight, dbias, dskip } }) =>
  withModule(
    [
      ...(dweight || dbias || dskip
        ? columnSums(rows, groups * size, { term: 'addend_at(row * ldAddend + column)', name: 'dskip' })
        : []),
      inputGradient(
        rows,
        groups,
        size,
        `let z = gate_at(row * ldGate + column);
  let s = sigmoid_of(z);
  let factor = select(1.0, weightOffset + weight_at(column), has_weight);
  let added = skip_at(column) * addend_at(row * ldAddend + column);
  let u = normalized(row, column) * factor + bias_at(column) + added;
  let above = dy_at(row * lddy + column);
  set_daddend(row * lddaddend + column, above * z * s * skip_at(column));
  set_dgate(row * lddgate + column, above * u * s * (1.0 + z * (1.0 - s)));`,
      ),
    ],
    `${normalized}
fn upstream(row: u32, column: u32) -> f32 {
  let z = gate_at(row * ldGate + column);
  return dy_at(row * lddy + column) * z * sigmoid_of(z);
}
`,
  );
