import { each, type Lowering, ofAnySize } from '../shader.ts';
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
  tileModule,
  tilePlace,
} from './mlstm_chunks.ts';
import { type Rounding, rounders } from './products.ts';

/**
 * The tiled chunkwise form: m along the sequence; the states between the chunks, every tile of a state by itself; then
 * all tokens of all chunks at once, from these states and their chunk's own tokens.
 */
const forward =
  (rounding: Rounding): Lowering =>
  ({ sizes }) => {
    const { members, chunks, tokens, few, pieces, tiles } = chunkSizes(sizes);
    const gates = gatesModule(sizes);
    const maxima = each(
      members,
      `var m = m_at(index);
for (var t = 0u; t < length; t++) {
  if (t % chunk == 0u) { set_entry_m(index, t / chunk, m); }
  let row = row_of(index, t);
  if (reset_at(row) == 1.0) { m = 0.0; }
  m = max(log_sigmoid_of(f_at(row * ldf + index % heads)) + m, i_of(index, t));
  set_stats(index, t, 0u, m);
}
set_lastM(index, m);`,
      gates,
      inWgsl.members,
    );
    const states = {
      groups: members * tiles,
      size: LANES,
      module: gates + tileModule(rounding),
      body: `${tilePlace}
var state = vec4f();
${eachElement(
  (x) =>
    `if (e == valueDim) { state.${x} = n_at(member * keyDim + d); } else { state.${x} = c_at((member * keyDim + d) * valueDim + e); }`,
)}
for (var c = 0u; c < ${inWgsl.chunks}; c++) {
  ${eachElement((x) => `set_state(member, c, d, e, state.${x});`)}
  read_gates(lane, member, c);
  let count = min(chunk, length - c * chunk);
  let last = count - 1u;
  state *= entry_weight(last, entry_m(member, c));
${addChunk(rounding, 'k_of(member, t, top + x) * weight_of(j, last)', 'v_of(member, t, side + x)')}
}
${eachElement(
  (x) =>
    `if (e == valueDim) { set_lastN(member * keyDim + d, state.${x}); } else { set_lastC((member * keyDim + d) * valueDim + e, state.${x}); }`,
)}`,
    };
    const outputs = {
      groups: members * chunks * pieces,
      size: LANES,
      module: `${gates}${stagedModule(few)}
var<workgroup> scores: array<f32, ${few * tokens}>;
var<workgroup> entries: array<f32, ${few}>;
var<workgroup> shares: array<f32, ${few}>;
`,
      body: `${piecePlace(sizes)}
for (var first_j = 0u; first_j < ${tokens}u; first_j += ${LANES}u) {
  let j = first_j + lane;
  var sum = array<f32, ${few}>();
  ${addProduct({ few, extent: 'keyDim', active: `j < min(first + ${few}u, count)` }, rounding, 'given_q(member, token_of(c, first + i), x)', 'given_k(member, start + j, x)')}
  if (j < ${tokens}u) {
    for (var i = 0u; i < ${few}u; i++) {
      let t = first + i;
      var score = 0.0;
      if (t < count && j <= t) {
        let weight = weight_of(j, t);
        if (weight > 0.0) { score = sum[i] * queryScale * keyScale * weight; }
      }
      scores[i * ${tokens}u + j] = score;
    }
  }
}
workgroupBarrier();
if (lane < ${few}u && first + lane < count) {
  let t = first + lane;
  let entry = entry_weight(t, entry_m(member, c));
  var normalizer = 0.0;
  for (var d = 0u; d < keyDim; d++) { normalizer += q_of(member, start + t, d) * state_at(member, c, d, valueDim); }
  normalizer *= entry;
  for (var j = 0u; j <= t; j++) { normalizer += scores[lane * ${tokens}u + j]; }
  set_stats(member, start + t, 1u, normalizer);
  entries[lane] = entry;
  shares[lane] = 1.0 / (max(abs(normalizer), exp(-peak[t])) + eps);
}
workgroupBarrier();
${rounding === 'f32' ? '' : `for (var flat = lane; flat < ${few * tokens}u; flat += ${LANES}u) { scores[flat] = bf16(scores[flat]); }`}
for (var first_e = 0u; first_e < valueDim; first_e += ${LANES}u) {
  let e = first_e + lane;
  var sum = array<f32, ${few}>();
  ${addProduct({ few, extent: 'keyDim', active: 'e < valueDim' }, rounding, 'entries[i] * q_of(member, token_of(c, first + i), x)', 'state_at(member, c, x, e)')}
  if (e < valueDim) {
    for (var j = 0u; j < min(first + ${few}u, count); j++) {
      let value = ${rounders[rounding].one('v_of(member, start + j, e)')};
      for (var i = 0u; i < ${few}u; i++) { sum[i] += scores[i * ${tokens}u + j] * value; }
    }
    for (var i = 0u; i < ${few}u; i++) { if (first + i < count) { set_h(row_of(member, start + first + i) * ldh + member % heads * valueDim + e, sum[i] * shares[i]); } }
  }
}`,
    };
    return ofAnySize([maxima, states, outputs]);
  };

export const mlstmForward = forward('f32');
export const mlstmForwardBf16 = forward('bf16');

/** Columns of C by themselves; then n and m, which all columns read. */
export const mlstmStep: Lowering = ({ sizes: { batch, heads, valueDim } }) => {
  const members = batch * heads;
  const gates = `
struct Gates { m: f32, forget: f32, input: f32 }
fn gates_of(member: u32) -> Gates {
  let b = member / heads;
  let head = member % heads;
  let keep = select(1.0, 0.0, reset_at(b) == 1.0);
  let l = log_sigmoid_of(f_at(b * ldf + head)) + keep * m_at(member);
  let i = i_at(b * ldi + head);
  let m = max(l, i);
  return Gates(m, keep * exp(l - m), exp(i - m));
}
`;
  return [
    each(
      members * valueDim,
      `let member = index / valueDim;
let e = index % valueDim;
let b = member / heads;
let head = member % heads;
let gates = gates_of(member);
let value = v_at(b * ldv + head * valueDim + e) * gates.input;
var sum = 0.0;
var normalizer = 0.0;
for (var d = 0u; d < keyDim; d++) {
  let key = keyScale * k_at(b * ldk + head * keyDim + d);
  let query = queryScale * q_at(b * ldq + head * keyDim + d);
  let at = (member * keyDim + d) * valueDim + e;
  var state = key * value;
  var n = gates.input * key;
  if (gates.forget != 0.0) {
    state += gates.forget * c_at(at);
    n += gates.forget * n_at(member * keyDim + d);
  }
  set_lastC(at, state);
  sum += state * query;
  normalizer += n * query;
}
set_h(b * ldh + head * valueDim + e, sum / (max(abs(normalizer), exp(-gates.m)) + eps));`,
      gates,
    ),
    {
      groups: members,
      size: LANES,
      module: gates,
      body: `
let b = block / heads;
let gates = gates_of(block);
for (var d = lane; d < keyDim; d += ${LANES}u) {
  var n = gates.input * keyScale * k_at(b * ldk + block % heads * keyDim + d);
  if (gates.forget != 0.0) { n += gates.forget * n_at(block * keyDim + d); }
  set_lastN(block * keyDim + d, n);
}
storageBarrier();
if (lane == 0u) { set_lastM(block, gates.m); }`,
    },
  ];
};
