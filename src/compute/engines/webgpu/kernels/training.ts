import { PARTITIONS } from '../../../program/constants.ts';
import { each, type Lowering, literal, partitionRows, widthFor } from '../shader.ts';
import { partitionSum, sumOfPartitions } from './block_linear.ts';

export const crossEntropyForward: Lowering = ({ sizes: { rows, vocab } }) => {
  const width = widthFor(vocab, 256);
  return [
    {
      groups: rows,
      size: width,
      sums: 1,
      body: `
let at = block * ldLogits;
var most = -3.4028234e38f;
for (var v = lane; v < vocab; v += ${width}u) { most = max(most, logits_at(at + v)); }
most = largest(lane, most);
var sum = 0.0;
for (var v = lane; v < vocab; v += ${width}u) { sum += exp(logits_at(at + v) - most); }
sum = total(lane, sum);
if (lane == 0u) {
  let normalizer = most + log(sum);
  set_logNormalizer(block, normalizer);
  let target_value = targets_at(block);
  let id = id_named(target_value, vocab);
  if (target_value < 0.0) { set_loss(block, 0.0); }
  else if (id < 0) { set_loss(block, not_a_number()); }
  else { set_loss(block, normalizer - logits_at(at + u32(id))); }
}`,
    },
  ];
};

export const crossEntropyBackward: Lowering = ({ sizes: { rows, vocab } }) => [
  each(
    rows * vocab,
    `let row = index / vocab;
let v = index % vocab;
let target_value = targets_at(row);
let id = id_named(target_value, vocab);
var gradient = (exp(logits_at(row * ldLogits + v) - logNormalizer_at(row)) - select(0.0, 1.0, id == i32(v))) * dloss_at(row);
if (id < 0) { gradient = not_a_number(); }
if (target_value < 0.0) { gradient = 0.0; }
set_dlogits(row * lddlogits + v, gradient);`,
  ),
];

const term = `
fn value(row: u32, column: u32) -> f32 {
  let v = x_at(row * ldx + column);
  if (has_factor) { return v * factor_at(row * ldFactor + column); }
  return v;
}
`;

/** Long rows that are too few to keep a GPU busy are summed in two steps. */
const LONG = 4096;

export const reduce: Lowering = ({ sizes: { rows, cols, axis } }) => {
  if (axis === 0) {
    return [
      each(
        PARTITIONS * cols,
        `let p = index / cols;
${partitionRows(rows, PARTITIONS)}
var sum = 0.0;
for (var row = first; row < last; row++) { sum += value(row, index % cols); }
set_scratch(index, sum);`,
        term,
      ),
      each(cols, `set_y(index, ${sumOfPartitions(cols, 'index')});`, partitionSum),
    ];
  }
  const split = cols >= LONG && rows < 64;
  const width = widthFor(cols, split ? 256 : 64);
  const parts = split ? PARTITIONS : 1;
  const share = Math.ceil(cols / parts);
  const sums = {
    groups: rows * parts,
    size: width,
    module: term,
    sums: 1,
    body: `
let row = block / ${parts}u;
let p = block % ${parts}u;
var sum = 0.0;
for (var column = p * ${share}u + lane; column < min((p + 1u) * ${share}u, cols); column += ${width}u) { sum += value(row, column); }
sum = total(lane, sum);
if (lane == 0u) { ${split ? 'set_scratch(p * rows + row, sum)' : 'set_y(row, sum)'}; }`,
  };
  return split
    ? [sums, each(rows, `set_y(index, ${sumOfPartitions(rows, 'index')});`, partitionSum)]
    : [sums];
};

export const adamw: Lowering = ({ sizes: { count, beta1, beta2 } }) => [
  each(
    count,
    // 1 − β in float32 would be off by 5e-5 for 0.999.
    `let g = gradients_at(index) * schedule_at(1u);
let first = beta1 * firstMoment_at(index) + ${literal(1 - beta1)} * g;
let second = beta2 * secondMoment_at(index) + ${literal(1 - beta2)} * g * g;
set_firstMoment(index, first);
set_secondMoment(index, second);
let step = first / schedule_at(2u) / (sqrt(second / schedule_at(3u)) + epsilon);
let p = parameters_at(index);
set_parameters(index, p - schedule_at(0u) * (step + weightDecay * p));`,
  ),
];
