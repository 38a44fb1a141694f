import { type Lowering, ofAnySize, widthFor } from '../shader.ts';
import {
  addChunk,
  chunkSizes,
  eachElement,
  gatesModule,
  inWgsl,
  LANES,
  piecePlace,
  tileModule,
  tilePlace,
} from './mlstm_chunks.ts';

/**
 * Gradients of the chunkwise form, m held constant. With dnum = dh / denominator, to which the normalizer's gradient is
 * the column of ones: gradients of the states between the chunks, from the last to the first; then those of all tokens.
 * The gradient of log σ(f_t) is x_t = ⟨dC_t, F_t C_{t−1}⟩, which goes along a chunk as x_{t+1} = x_t + k̂_t · dk̂_t − q̂_t ·
 * dq̂_t from ⟨gradient, state⟩ at the chunk's entry, so that no error adds up beyond a chunk.
 */
export const mlstmBackward: Lowering = ({ sizes }) => {
  const { members, chunks, tokens, few, pieces, tiles } = chunkSizes(sizes);
  const { length, valueDim } = sizes;
  const module = `${gatesModule(sizes)}
fn gradient_at(member: u32, c: u32, d: u32, e: u32) -> f32 {
  return scratch_at((member * (${inWgsl.chunks} + 1u) + c) * ${inWgsl.stateElements} + d * (valueDim + 1u) + e);
}
fn set_gradient(member: u32, c: u32, d: u32, e: u32, value: f32) {
  set_scratch((member * (${inWgsl.chunks} + 1u) + c) * ${inWgsl.stateElements} + d * (valueDim + 1u) + e, value);
}
fn normalizers() -> u32 { return ${inWgsl.members} * (${inWgsl.chunks} + 1u) * ${inWgsl.stateElements}; }
fn share_of(member: u32, t: u32) -> f32 {
  return 1.0 / (max(abs(stats_at(member, t, 1u)), exp(-stats_at(member, t, 0u))) + eps);
}
fn dh_of(member: u32, t: u32, e: u32) -> f32 { return dh_at(row_of(member, t) * lddh + member % heads * valueDim + e); }
fn dnum_of(member: u32, t: u32, e: u32, share: f32) -> f32 {
  if (e == valueDim) { return scratch_at(normalizers() + member * length + t); }
  return dh_of(member, t, e) * share;
}
`;
  const lanes = widthFor(valueDim, LANES);
  const normalizers = {
    groups: members * length,
    size: lanes,
    module,
    sums: 1,
    body: `
let member = block / length;
let t = block % length;
var product = 0.0;
for (var e = lane; e < valueDim; e += ${lanes}u) {
  product += dh_of(member, t, e) * h_at(row_of(member, t) * ldh + member % heads * valueDim + e);
}
product = total(lane, product);
if (lane == 0u) {
  let normalizer = stats_at(member, t, 1u);
  let below = -product * share_of(member, t);
  set_scratch(normalizers() + block, select(0.0, sign(normalizer) * below, abs(normalizer) > exp(-stats_at(member, t, 0u))));
}`,
  };
  const states = {
    groups: members * tiles,
    size: LANES,
    module: module + tileModule,
    body: `${tilePlace}
var state = vec4f();
${eachElement(
  (x) =>
    `if (e == valueDim) { state.${x} = dlastN_at(member * keyDim + d); } else { state.${x} = dlastC_at((member * keyDim + d) * valueDim + e); }
set_gradient(member, ${inWgsl.chunks}, d, e, state.${x});`,
)}
for (var c = ${inWgsl.chunks}; c > 0u;) {
  c--;
  read_gates(lane, member, c);
  let count = min(chunk, length - c * chunk);
  let m = entry_m(member, c);
  state *= entry_weight(count - 1u, m);
${addChunk('q_of(member, t, top + x) * entry_weight(j, m)', 'dnum_of(member, t, side + x, share_of(member, t))')}
  ${eachElement((x) => `set_gradient(member, c, d, e, state.${x});`)}
}
${eachElement(
  (x) =>
    `if (e == valueDim) { set_dn(member * keyDim + d, state.${x}); } else { set_dc((member * keyDim + d) * valueDim + e, state.${x}); }`,
)}`,
  };
  const place = piecePlace(sizes);
  const scores = (also: string): string => `
for (var flat = lane; flat < ${few * tokens}u; flat += ${LANES}u) {
  let mine = first + flat / ${tokens}u;
  let other = flat % ${tokens}u;
  ${also}
}
workgroupBarrier();
`;
  const passed = `
      for (var e = 0u; e < valueDim; e++) { above += dh_of(member, start + t, e) * v_of(member, start + j, e); }
      above = (above * share_of(member, start + t) + dnum_of(member, start + t, valueDim, 0.0)) * weight;`;
  const queries = {
    groups: members * chunks * pieces,
    size: LANES,
    module: `${module}
var<workgroup> towards: array<f32, ${few * tokens}>;
`,
    body: `${place}
${scores(`let t = mine;
  let j = other;
  var above = 0.0;
  if (t < count && j <= t) {
    let weight = weight_of(j, t);
    if (weight > 0.0) {${passed}
    }
  }
  towards[flat] = above;`)}
let m = entry_m(member, c);
var shares = array<f32, ${few}>();
for (var i = 0u; i < ${few}u; i++) { shares[i] = share_of(member, token_of(c, first + i)); }
for (var d = lane; d < keyDim; d += ${LANES}u) {
  var sum = array<f32, ${few}>();
  for (var e = 0u; e <= valueDim; e++) {
    let state = state_at(member, c, d, e);
    for (var i = 0u; i < ${few}u; i++) { sum[i] += state * dnum_of(member, token_of(c, first + i), e, shares[i]); }
  }
  for (var i = 0u; i < ${few}u; i++) { sum[i] *= entry_weight(min(first + i, count - 1u), m); }
  for (var j = 0u; j < min(first + ${few}u, count); j++) {
    let key = k_of(member, start + j, d);
    for (var i = 0u; i < ${few}u; i++) { sum[i] += towards[i * ${tokens}u + j] * key; }
  }
  for (var i = 0u; i < ${few}u; i++) { if (first + i < count) { set_dq(row_of(member, token_of(c, first + i)) * lddq + member % heads * keyDim + d, queryScale * sum[i]); } }
}`,
  };
  const keys = {
    groups: members * chunks * pieces,
    size: LANES,
    module: `${module}
var<workgroup> towards: array<f32, ${few * tokens}>;
var<workgroup> weights: array<f32, ${few * tokens}>;
`,
    body: `${place}
${scores(`let j = mine;
  let t = other;
  var above = 0.0;
  var score = 0.0;
  if (t < count && j <= t) {
    let weight = weight_of(j, t);
    if (weight > 0.0) {${passed}
      for (var d = 0u; d < keyDim; d++) { score += q_of(member, start + t, d) * k_of(member, start + j, d); }
      score *= weight * share_of(member, start + t);
    }
  }
  towards[flat] = above;
  weights[flat] = score;`)}
let last = count - 1u;
var onward = array<f32, ${few}>();
for (var i = 0u; i < ${few}u; i++) { onward[i] = weight_of(min(first + i, last), last); }
for (var d = lane; d < keyDim; d += ${LANES}u) {
  var sum = array<f32, ${few}>();
  for (var e = 0u; e <= valueDim; e++) {
    let gradient = gradient_at(member, c + 1u, d, e);
    for (var i = 0u; i < ${few}u; i++) { sum[i] += gradient * v_of(member, token_of(c, first + i), e); }
  }
  for (var i = 0u; i < ${few}u; i++) { sum[i] *= onward[i]; }
  for (var t = first; t < count; t++) {
    let query = q_of(member, start + t, d);
    for (var i = 0u; i < ${few}u; i++) { sum[i] += towards[i * ${tokens}u + t] * query; }
  }
  for (var i = 0u; i < ${few}u; i++) { if (first + i < count) { set_dk(row_of(member, token_of(c, first + i)) * lddk + member % heads * keyDim + d, keyScale * sum[i]); } }
}
for (var e = lane; e < valueDim; e += ${LANES}u) {
  var sum = array<f32, ${few}>();
  for (var d = 0u; d < keyDim; d++) {
    let gradient = gradient_at(member, c + 1u, d, e);
    for (var i = 0u; i < ${few}u; i++) { sum[i] += gradient * k_of(member, token_of(c, first + i), d); }
  }
  for (var i = 0u; i < ${few}u; i++) { sum[i] *= onward[i]; }
  for (var t = first; t < count; t++) {
    let above = dh_of(member, start + t, e);
    for (var i = 0u; i < ${few}u; i++) { sum[i] += weights[i * ${tokens}u + t] * above; }
  }
  for (var i = 0u; i < ${few}u; i++) { if (first + i < count) { set_dv(row_of(member, token_of(c, first + i)) * lddv + member % heads * valueDim + e, sum[i]); } }
}`,
  };
  const gates = {
    groups: members * chunks,
    size: LANES,
    sums: 1,
    module: `${module}
var<workgroup> change: array<f32, ${tokens}>;
`,
    body: `
let member = block / ${inWgsl.chunks};
let c = block % ${inWgsl.chunks};
let count = min(chunk, length - c * chunk);
read_gates(lane, member, c);
var product = 0.0;
for (var flat = lane; flat < ${inWgsl.stateElements}; flat += ${LANES}u) {
  let d = flat / (valueDim + 1u);
  let e = flat % (valueDim + 1u);
  product += gradient_at(member, c, d, e) * state_at(member, c, d, e);
}
var x = total(lane, product);
for (var j = lane; j < count; j += ${LANES}u) {
  let row = row_of(member, c * chunk + j);
  let head = member % heads;
  var queries = 0.0;
  var keys = 0.0;
  for (var d = 0u; d < keyDim; d++) {
    queries += q_at(row * ldq + head * keyDim + d) * dq_at(row * lddq + head * keyDim + d);
    keys += k_at(row * ldk + head * keyDim + d) * dk_at(row * lddk + head * keyDim + d);
  }
  set_di(row * lddi + head, keys);
  change[j] = keys - queries;
}
workgroupBarrier();
if (lane == 0u) {
  for (var j = 0u; j < count; j++) {
    let row = row_of(member, c * chunk + j);
    if (since[j] == j + 1u) { x = 0.0; }
    set_df(row * lddf + member % heads, x * sigmoid_of(-f_at(row * ldf + member % heads)));
    x += change[j];
  }
}`,
  };
  return ofAnySize([normalizers, states, queries, keys, gates]);
};
