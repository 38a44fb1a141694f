import { type Dispatch, each, type Lowering, literal } from '../shader.ts';

/** Keys, or queries, of a step of a workgroup. */
const LANES = 64;

const unrolled = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

/** Turns of a full circle for each pair, in pieces of few bits: the product with a position is exact. */
function turnsOf(headDim: number): string {
  const half = headDim / 2;
  const pieces = Array.from({ length: half }, (_, j) => {
    let rest = 10_000 ** (-j / half) / (2 * Math.PI);
    const parts = [0, 1].map(() => {
      const unit = 2 ** (Math.floor(Math.log2(rest)) - 9);
      const part = Math.floor(rest / unit) * unit;
      rest -= part;
      return part;
    });
    return `vec3f(${[...parts, rest].map(literal).join(', ')})`;
  });
  return `const turns = array<vec3f, ${half}>(${pieces.join(', ')});\n`;
}

/** Cosine and sine of turns: WGSL's own may be off by 5e-4. */
const rotation = `
fn rotation_of(turns: f32) -> vec2f {
  let quarter = round(4.0 * turns);
  let x = (4.0 * turns - quarter) * 1.5707963268;
  let s = x * x;
  let sine = x * (1.0 - s / 6.0 * (1.0 - s / 20.0 * (1.0 - s / 42.0 * (1.0 - s / 72.0))));
  let cosine = 1.0 - s / 2.0 * (1.0 - s / 12.0 * (1.0 - s / 30.0 * (1.0 - s / 56.0 * (1.0 - s / 90.0))));
  switch (i32(quarter) & 3) {
    case 0: { return vec2f(cosine, sine); }
    case 1: { return vec2f(-sine, cosine); }
    case 2: { return vec2f(-cosine, -sine); }
    default: { return vec2f(sine, -cosine); }
  }
}
`;

export const rotate: Lowering = ({ sizes: { rows, heads, headDim } }) => {
  const half = headDim / 2;
  return [
    each(
      rows * heads * half,
      `let j = index % ${half}u;
let head = index / ${half}u % heads;
let row = index / ${half * heads}u;
var all_turns = turns;
let parts = positions_at(row) * all_turns[j];
let rotation = rotation_of(fract(fract(parts.x) + fract(parts.y) + parts.z) * f32(direction));
let at = head * headDim + j;
let first = x_at(row * ldx + at);
let second = x_at(row * ldx + at + ${half}u);
set_y(row * ldy + at, first * rotation.x - second * rotation.y);
set_y(row * ldy + at + ${half}u, first * rotation.y + second * rotation.x);`,
      turnsOf(headDim) + rotation,
    ),
  ];
};

/** Place of token t's predecessor of an age: in the sequence, else in the rings of the state. */
const module = `
fn key_at(b: u32, head: u32, t: u32, age: u32, count: u32, d: u32) -> f32 {
  if (age <= t) { return k_at((b * length + t - age) * ldk + head * headDim + d); }
  return keys_at(((b * heads + head) * window + (count - age - 1u) % window) * headDim + d);
}
fn value_at(b: u32, head: u32, t: u32, age: u32, count: u32, d: u32) -> f32 {
  if (age <= t) { return v_at((b * length + t - age) * ldv + head * headDim + d); }
  return values_at(((b * heads + head) * window + (count - age - 1u) % window) * headDim + d);
}
fn query_at(b: u32, head: u32, t: u32, d: u32) -> f32 { return q_at((b * length + t) * ldq + head * headDim + d); }
fn count_at(b: u32, t: u32) -> u32 { return u32(counts_at(b * length + t)); }
var<workgroup> weights: array<f32, ${LANES}>;
var<workgroup> seen_by: u32;
`;

const place = `
let member = block / length;
let b = member / heads;
let head = member % heads;
let t = block % length;
let count = count_at(b, t);
if (lane == 0u) { seen_by = min(count, window); }
let seen = workgroupUniformLoad(&seen_by);
`;

/** The last token of the sequence that a place of the ring belongs to; else what was there. */
const ring = (
  { batch, heads, window, headDim }: Record<string, number>,
  last: string,
  before: string,
  x: string,
) =>
  each(
    batch * heads * window * headDim,
    `let d = index % headDim;
let slot = index / headDim % window;
let head = index / ${headDim * window}u % heads;
let b = index / ${headDim * window * heads}u;
var value = ${before}_at(index);
for (var t = length; t > 0u; t--) {
  if ((u32(counts_at(b * length + t - 1u)) - 1u) % window == slot) {
    value = ${x}_at((b * length + t - 1u) * ld${x} + head * headDim + d);
    break;
  }
}
set_${last}(index, value);`,
  );

/** A workgroup for each query and head: a block of keys at a time, with the largest score and the sum so far. */
export const attentionForward: Lowering = ({ sizes }) => {
  const { batch, heads, length, headDim } = sizes;
  const columns = Math.ceil(headDim / LANES);
  const scan: Dispatch = {
    groups: batch * heads * length,
    size: LANES,
    module,
    sums: 1,
    body: `${place}
var most = -3.4028234e38f;
var sum = 0.0;
${unrolled(columns, (i) => `var h${i} = 0.0;`)}
for (var start = 0u; start < seen; start += ${LANES}u) {
  var score = -3.4028234e38f;
  if (start + lane < seen) {
    let age = seen - 1u - start - lane;
    score = 0.0;
    for (var d = 0u; d < headDim; d++) { score += query_at(b, head, t, d) * key_at(b, head, t, age, count, d); }
    score *= scale;
  }
  let now = max(most, largest(lane, score));
  let weight = select(0.0, exp(score - now), start + lane < seen);
  let shrink = exp(most - now);
  weights[lane] = weight;
  sum = sum * shrink + total(lane, weight);
  most = now;
  ${unrolled(
    columns,
    (i) => `if (${i * LANES}u + lane < headDim) {
    h${i} *= shrink;
    for (var j = 0u; j < min(${LANES}u, seen - start); j++) {
      h${i} += weights[j] * value_at(b, head, t, seen - 1u - start - j, count, ${i * LANES}u + lane);
    }
  }`,
  )}
  workgroupBarrier();
}
${unrolled(
  columns,
  (i) =>
    `if (${i * LANES}u + lane < headDim) { set_h((b * length + t) * ldh + head * headDim + ${i * LANES}u + lane, h${i} / sum); }`,
)}
if (lane == 0u) { set_logSums(block, most + log(sum)); }`,
  };
  return [
    scan,
    ...(sizes.lastKeys ? [ring(sizes, 'lastKeys', 'keys', 'k')] : []),
    ...(sizes.lastValues ? [ring(sizes, 'lastValues', 'values', 'v')] : []),
  ];
};

export const attentionBackward: Lowering = ({ sizes: { batch, heads, length, headDim } }) => {
  const columns = Math.ceil(headDim / LANES);
  const shared = `${module}
fn above_at(b: u32, head: u32, t: u32, d: u32) -> f32 { return dh_at((b * length + t) * lddh + head * headDim + d); }
fn mean_of(b: u32, head: u32, t: u32) -> f32 {
  var sum = 0.0;
  for (var d = 0u; d < headDim; d++) { sum += above_at(b, head, t, d) * h_at((b * length + t) * ldh + head * headDim + d); }
  return sum;
}
`;
  const queries: Dispatch = {
    groups: batch * heads * length,
    size: LANES,
    module: shared,
    body: `${place}
let mean = mean_of(b, head, t);
${unrolled(columns, (i) => `var dq${i} = 0.0;`)}
for (var start = 0u; start < seen; start += ${LANES}u) {
  if (start + lane < seen) {
    let age = seen - 1u - start - lane;
    var score = 0.0;
    var product = 0.0;
    for (var d = 0u; d < headDim; d++) {
      score += query_at(b, head, t, d) * key_at(b, head, t, age, count, d);
      product += above_at(b, head, t, d) * value_at(b, head, t, age, count, d);
    }
    weights[lane] = exp(scale * score - logSums_at(block)) * (product - mean) * scale;
  }
  workgroupBarrier();
  ${unrolled(
    columns,
    (i) => `if (${i * LANES}u + lane < headDim) {
    for (var j = 0u; j < min(${LANES}u, seen - start); j++) {
      dq${i} += weights[j] * key_at(b, head, t, seen - 1u - start - j, count, ${i * LANES}u + lane);
    }
  }`,
  )}
  workgroupBarrier();
}
${unrolled(
  columns,
  (i) =>
    `if (${i * LANES}u + lane < headDim) { set_dq((b * length + t) * lddq + head * headDim + ${i * LANES}u + lane, dq${i}); }`,
)}`,
  };
  const keys: Dispatch = {
    groups: batch * heads * length,
    size: LANES,
    module: `${shared}
var<workgroup> scores: array<f32, ${LANES}>;
`,
    body: `
let member = block / length;
let b = member / heads;
let head = member % heads;
let s = block % length;
${unrolled(columns, (i) => `var dk${i} = 0.0;\nvar dv${i} = 0.0;`)}
for (var start = s; start < min(length, s + window); start += ${LANES}u) {
  let t = start + lane;
  var weight = 0.0;
  var dscore = 0.0;
  if (t < length && t - s < min(count_at(b, t), window)) {
    var score = 0.0;
    var product = 0.0;
    for (var d = 0u; d < headDim; d++) {
      score += query_at(b, head, t, d) * key_at(b, head, s, 0u, 0u, d);
      product += above_at(b, head, t, d) * value_at(b, head, s, 0u, 0u, d);
    }
    weight = exp(scale * score - logSums_at(member * length + t));
    dscore = weight * (product - mean_of(b, head, t)) * scale;
  }
  weights[lane] = weight;
  scores[lane] = dscore;
  workgroupBarrier();
  ${unrolled(
    columns,
    (i) => `if (${i * LANES}u + lane < headDim) {
    for (var j = 0u; j < min(${LANES}u, length - start); j++) {
      dk${i} += scores[j] * query_at(b, head, start + j, ${i * LANES}u + lane);
      dv${i} += weights[j] * above_at(b, head, start + j, ${i * LANES}u + lane);
    }
  }`,
  )}
  workgroupBarrier();
}
${unrolled(
  columns,
  (i) => `if (${i * LANES}u + lane < headDim) {
  set_dk((b * length + s) * lddk + head * headDim + ${i * LANES}u + lane, dk${i});
  set_dv((b * length + s) * lddv + head * headDim + ${i * LANES}u + lane, dv${i});
}`,
)}`,
  };
  return [queries, keys];
};
