import { type Lowering, ofAnySize, widthFor } from '../shader.ts';
import {
  addChunk,
  addProduct,
  chunkSizes,
  eachElement,
  gatesModule,
  inWgsl,
  LANES,
  piecePlace,
  stagedModule,
  sumOfRows,
  tileModule,
  tilePlace,
} from './mlstm_chunks.ts';
import { type Rounding, rounders } from './products.ts';

/**
 * Gradients of the chunkwise form, m held constant. With dnum = dh / denominator, to which the normalizer's gradient is
 * the column of ones: gradients of the states between the chunks, from the last to the first; then those of all tokens.
 * The gradient of log σ(f_t) is x_t = ⟨dC_t, F_t C_{t−1}⟩, which is kept + Σ read at a chunk's entry, and goes along the chunk as
 * x_{t+1} = x_t + di_t − passed_t, so that no error adds up beyond it. Of token t, read is what its query takes from the entry
 * state, times its gradient; passed is that and what it takes of the chunk's own tokens; di of what the others take of its key.
 * `spare` has read and passed of each token.
 */
const backward =
  (rounding: Rounding): Lowering =>
  ({ sizes }) => {
    const { one } = rounders[rounding];
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
      module: module + tileModule(rounding),
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
${addChunk(rounding, 'q_of(member, t, top + x) * entry_weight(j, m)', 'dnum_of(member, t, side + x, share_of(member, t))')}
  ${eachElement((x) => `set_gradient(member, c, d, e, state.${x});`)}
}
${eachElement(
  (x) =>
    `if (e == valueDim) { set_dn(member * keyDim + d, state.${x}); } else { set_dc((member * keyDim + d) * valueDim + e, state.${x}); }`,
)}`,
    };
    const spare = 2 * members * length;
    const place = piecePlace(sizes);
    /** What a query with weight for a key gives, and its gradient: `mixing` and `above`, of sums that are there for each token i. */
    const blocks = (name: string, body: string): string => `
for (var first_${name} = 0u; first_${name} < ${tokens}u; first_${name} += ${LANES}u) {
  let ${name} = first_${name} + lane;
  ${body}
}
`;
    const scale = 'queryScale * keyScale * weight';
    const queries = {
      groups: members * chunks * pieces,
      size: LANES,
      spare,
      module: `${module}${stagedModule(few)}
var<workgroup> towards: array<f32, ${few * tokens}>;
var<workgroup> entries: array<f32, ${few}>;
var<workgroup> shares: array<f32, ${few}>;
var<workgroup> below: array<f32, ${few}>;
`,
      body: `${place}
if (lane < ${few}u) {
  let t = token_of(c, first + lane);
  entries[lane] = entry_weight(min(first + lane, count - 1u), entry_m(member, c));
  shares[lane] = share_of(member, t);
  below[lane] = dnum_of(member, t, valueDim, 0.0);
}
var read = array<f32, ${few}>();
var passed = array<f32, ${few}>();
${blocks(
  'j',
  `var sum = array<f32, ${few}>();
  ${addProduct({ few, extent: 'valueDim', active: `j < min(first + ${few}u, count)` }, rounding, 'dh_of(member, token_of(c, first + i), x) * shares[i]', 'v_of(member, start + j, x)')}
  ${
    rounding === 'f32'
      ? ''
      : `var score = array<f32, ${few}>();
  ${addProduct({ few, extent: 'keyDim', active: `j < min(first + ${few}u, count)` }, rounding, 'given_q(member, token_of(c, first + i), x)', 'given_k(member, start + j, x)', 'score')}`
  }
  if (j < ${tokens}u) {
    for (var i = 0u; i < ${few}u; i++) {
      let t = first + i;
      var toward = 0.0;
      if (t < count && j <= t) {
        let weight = weight_of(j, t);
        if (weight > 0.0) {
          let above = sum[i] + below[i];
          toward = above * ${scale};
          ${rounding === 'f32' ? '' : `passed[i] += score[i] * ${scale} * above;`}
        }
      }
      towards[i * ${tokens}u + j] = ${one('toward')};
    }
  }`,
)}
for (var first_d = 0u; first_d < keyDim; first_d += ${LANES}u) {
  let d = first_d + lane;
  var sum = array<f32, ${few}>();
  ${addProduct({ few, extent: 'valueDim', active: 'd < keyDim' }, rounding, 'dh_of(member, token_of(c, first + i), x) * shares[i]', 'state_at(member, c, d, x)')}
  if (d < keyDim) {
    let n = state_at(member, c, d, valueDim);
    var within = array<f32, ${few}>();
    for (var j = 0u; j < min(first + ${few}u, count); j++) {
      let key = ${one('given_k(member, start + j, d)')};
      for (var i = 0u; i < ${few}u; i++) { within[i] += towards[i * ${tokens}u + j] * key; }
    }
    for (var i = 0u; i < ${few}u; i++) {
      if (first + i < count) {
        let query = given_q(member, start + first + i, d);
        let of_state = queryScale * entries[i] * (sum[i] + below[i] * n);
        read[i] += query * of_state;
        passed[i] += query * ${rounding === 'f32' ? '(of_state + within[i])' : 'of_state'};
        set_dq(row_of(member, start + first + i) * lddq + member % heads * keyDim + d, of_state + within[i]);
      }
    }
  }
}
${sumOfRows(few, 'read', 'if (first + lane < count) { set_spare(2u * (member * length + start + first + lane), all); }')}
${sumOfRows(few, 'passed', 'if (first + lane < count) { set_spare(2u * (member * length + start + first + lane) + 1u, all); }')}`,
    };
    const keys = {
      groups: members * chunks * pieces,
      size: LANES,
      module: `${module}${stagedModule(few)}
var<workgroup> towards: array<f32, ${few * tokens}>;
var<workgroup> weights: array<f32, ${few * tokens}>;
var<workgroup> shares: array<f32, ${tokens}>;
var<workgroup> onward: array<f32, ${few}>;
`,
      body: `${place}
let last = count - 1u;
if (lane < ${few}u) { onward[lane] = weight_of(min(first + lane, last), last); }
for (var t = lane; t < count; t += ${LANES}u) { shares[t] = share_of(member, start + t); }
var taken = array<f32, ${few}>();
${blocks(
  't',
  `var sum = array<f32, ${few}>();
  ${addProduct({ few, extent: 'valueDim', active: 'first <= t && t < count' }, rounding, 'v_of(member, token_of(c, first + i), x)', 'dh_of(member, start + t, x) * shares[t]')}
  var score = array<f32, ${few}>();
  ${addProduct({ few, extent: 'keyDim', active: 'first <= t && t < count' }, rounding, 'given_k(member, token_of(c, first + i), x)', 'given_q(member, start + t, x)', 'score')}
  if (t < ${tokens}u) {
    for (var i = 0u; i < ${few}u; i++) {
      let j = first + i;
      var toward = 0.0;
      var mixing = 0.0;
      if (t < count && j <= t) {
        let weight = weight_of(j, t);
        if (weight > 0.0) {
          let above = sum[i] + dnum_of(member, start + t, valueDim, 0.0);
          toward = above * ${scale};
          mixing = score[i] * ${scale};
          taken[i] += mixing * above;
        }
      }
      towards[i * ${tokens}u + t] = ${one('toward')};
      weights[i * ${tokens}u + t] = ${one('mixing')};
    }
  }`,
)}
for (var first_d = 0u; first_d < keyDim; first_d += ${LANES}u) {
  let d = first_d + lane;
  var sum = array<f32, ${few}>();
  ${addProduct({ few, extent: 'valueDim', active: 'd < keyDim' }, rounding, 'v_of(member, token_of(c, first + i), x)', 'gradient_at(member, c + 1u, d, x)')}
  if (d < keyDim) {
    let n = gradient_at(member, c + 1u, d, valueDim);
    var within = array<f32, ${few}>();
    for (var t = first; t < count; t++) {
      let query = ${one('given_q(member, start + t, d)')};
      for (var i = 0u; i < ${few}u; i++) { within[i] += towards[i * ${tokens}u + t] * query; }
    }
    for (var i = 0u; i < ${few}u; i++) {
      if (first + i < count) {
        let to_state = keyScale * onward[i] * (sum[i] + n);
        taken[i] += given_k(member, start + first + i, d) * to_state;
        set_dk(row_of(member, start + first + i) * lddk + member % heads * keyDim + d, to_state + within[i]);
      }
    }
  }
}
for (var first_e = 0u; first_e < valueDim; first_e += ${LANES}u) {
  let e = first_e + lane;
  var sum = array<f32, ${few}>();
  ${addProduct({ few, extent: 'keyDim', active: 'e < valueDim' }, rounding, 'onward[i] * k_of(member, token_of(c, first + i), x)', 'gradient_at(member, c + 1u, x, e)')}
  if (e < valueDim) {
    for (var t = first; t < count; t++) {
      let above = ${one('dh_of(member, start + t, e) * shares[t]')};
      for (var i = 0u; i < ${few}u; i++) { sum[i] += weights[i * ${tokens}u + t] * above; }
    }
    for (var i = 0u; i < ${few}u; i++) { if (first + i < count) { set_dv(row_of(member, start + first + i) * lddv + member % heads * valueDim + e, sum[i]); } }
  }
}
${sumOfRows(few, 'taken', 'if (first + lane < count) { set_di(row_of(member, start + first + lane) * lddi + member % heads, all); }')}`,
    };
    const gates = {
      groups: members * chunks,
      size: LANES,
      sums: 1,
      spare,
      module,
      body: `
let member = block / ${inWgsl.chunks};
let c = block % ${inWgsl.chunks};
let start = c * chunk;
let count = min(chunk, length - start);
read_gates(lane, member, c);
let kept = entry_weight(count - 1u, entry_m(member, c));
var part = 0.0;
if (kept > 0.0) {
  for (var flat = lane; flat < ${inWgsl.stateElements}; flat += ${LANES}u) {
    let d = flat / (valueDim + 1u);
    let e = flat % (valueDim + 1u);
    part += gradient_at(member, c + 1u, d, e) * state_at(member, c, d, e);
  }
}
part *= kept;
for (var j = lane; j < count; j += ${LANES}u) { part += spare_at(2u * (member * length + start + j)); }
var x = total(lane, part);
if (lane == 0u) {
  for (var j = 0u; j < count; j++) {
    let row = row_of(member, start + j);
    if (since[j] == j + 1u) { x = 0.0; }
    set_df(row * lddf + member % heads, x * sigmoid_of(-f_at(row * ldf + member % heads)));
    x += di_at(row * lddi + member % heads) - spare_at(2u * (member * length + start + j) + 1u);
  }
}`,
    };
    return ofAnySize([normalizers, states, queries, keys, gates]);
  };

export const mlstmBackward = backward('f32');
export const mlstmBackwardBf16 = backward('bf16');
