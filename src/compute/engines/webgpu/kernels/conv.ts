import { PARTITIONS } from '../../../program/constants.ts';
import { type Dispatch, each, type Lowering, partitionRows } from '../shader.ts';
import { partitionSum, sumOfPartitions } from './block_linear.ts';

/** x at a time that may lie before this piece, and the weighted sum at time t; no tap reaches before its document. */
const module = `
const history = i32(taps) - 1;
fn value_at(b: u32, time: i32, d: u32) -> f32 {
  if (time >= 0) { return x_at((b * length + u32(time)) * ldx + d); }
  return state_at(u32((i32(b) + 1) * history + time) * dim + d);
}
fn starts_at(b: u32, time: i32) -> bool { return time >= 0 && reset_at(b * length + u32(max(time, 0))) == 1.0; }
fn sum_at(b: u32, t: i32, d: u32) -> f32 {
  var sum = bias_at(d);
  for (var back = 0; back <= history; back++) {
    sum += weight_at(d * taps + u32(history - back)) * value_at(b, t - back, d);
    if (starts_at(b, t - back)) { break; }
  }
  return sum;
}
`;

/** Rows that the next call needs, oldest first: where the sequence is short it may move rows of the state itself. */
const lastState = (batch: number, dim: number): Dispatch =>
  each(
    batch * dim,
    `let b = index / dim;
let d = index % dim;
for (var s = 0; s < history; s++) {
  let time = i32(length) - history + s;
  var seen = true;
  for (var later = max(time + 1, 0); later < i32(length); later++) { seen = seen && !starts_at(b, later); }
  set_lastState(u32(i32(b) * history + s) * dim + d, select(0.0, value_at(b, time, d), seen));
}`,
    module,
  );

export const convForward: Lowering = ({ sizes }) => {
  const { batch, length, dim } = sizes;
  const y = each(
    batch * length * dim,
    `let row = index / dim;
let d = index % dim;
let sum = sum_at(row / length, i32(row % length), d);
set_y(row * ldy + d, select(sum, sum * sigmoid_of(sum), silu == 1u));`,
    module,
  );
  return sizes.lastState ? [y, lastState(batch, dim)] : [y];
};

export const convBackward: Lowering = ({ sizes }) => {
  const { batch, length, dim, taps } = sizes;
  const upstream = `${module}
fn upstream(b: u32, t: i32, d: u32) -> f32 {
  let above = dy_at((b * length + u32(t)) * lddy + d);
  if (silu == 0u) { return above; }
  let sum = sum_at(b, t, d);
  let s = sigmoid_of(sum);
  return above * s * (1.0 + sum * (1.0 - s));
}
fn gradient_at(b: u32, time: i32, d: u32) -> f32 {
  var sum = 0.0;
  var seen = true;
  for (var ahead = 0; ahead <= history; ahead++) {
    let t = time + ahead;
    if (t >= i32(length)) { break; }
    if (ahead > 0 && starts_at(b, t)) { seen = false; break; }
    if (t >= 0) { sum += upstream(b, t, d) * weight_at(d * taps + u32(history - ahead)); }
  }
  let s = time - (i32(length) - history);
  if (seen && s >= 0) { sum += dlastState_at(u32(i32(b) * history + s) * dim + d); }
  return sum;
}
`;
  const columns = dim * (taps + 1);
  const sums = Array.from({ length: taps }, (_, back) => back);
  const dispatches = [
    each(
      batch * length * dim,
      `let row = index / dim;
let d = index % dim;
set_dx(row * lddx + d, gradient_at(row / length, i32(row % length), d) + residual_at(row * ldResidual + d));`,
      upstream,
    ),
    each(
      PARTITIONS * dim,
      `let p = index / dim;
let d = index % dim;
${partitionRows(batch * length, PARTITIONS)}
var biases = 0.0;
${sums.map((back) => `var sum${back} = 0.0;`).join('\n')}
for (var row = first; row < last; row++) {
  let b = row / length;
  let t = i32(row % length);
  let u = upstream(b, t, d);
  biases += u;
  var seen = true;
  ${sums.map((back) => `if (seen) { sum${back} += u * value_at(b, t - ${back}, d); seen = !starts_at(b, t - ${back}); }`).join('\n')}
}
${sums.map((back) => `set_scratch(p * ${columns}u + d * taps + ${taps - 1 - back}u, sum${back});`).join('\n')}
set_scratch(p * ${columns}u + ${dim * taps}u + d, biases);`,
      upstream,
    ),
    each(
      columns,
      `let sum = ${sumOfPartitions(columns, 'index')};
if (index < ${dim * taps}u) { set_dweight(index, sum); } else { set_dbias(index - ${dim * taps}u, sum); }`,
      partitionSum,
    ),
  ];
  if (!sizes.dstate || taps === 1) return dispatches;
  const dstate = each(
    batch * (taps - 1) * dim,
    `let d = index % dim;
let s = i32(index / dim) % history;
let b = index / dim / u32(history);
set_dstate(index, gradient_at(b, s - history, d));`,
    upstream,
  );
  return [...dispatches, dstate];
};
