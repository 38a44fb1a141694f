import { SELECTIVE_SCAN_GROUP } from '../../../program/constants.ts';
import { type Dispatch, each, type Lowering } from '../shader.ts';

/** An invocation carries the states of a channel along the whole sequence. */
export const selectiveScanForward: Lowering = ({ sizes: { batch, dim, length, chunk } }) => [
  each(
    batch * dim,
    `let b_index = index / dim;
let d = index % dim;
var h = array<f32, states>();
for (var s = 0u; s < states; s++) { h[s] = state_at((b_index * states + s) * dim + d); }
for (var t = 0u; t < length; t++) {
  let row = b_index * length + t;
  if (t % chunk == 0u) {
    for (var s = 0u; s < states; s++) {
      set_chunkStates(((b_index * ${Math.ceil(length / chunk)}u + t / chunk) * states + s) * dim + d, h[s]);
    }
  }
  let starts = reset_at(row) == 1.0;
  let step = delta_at(row * lddelta + d);
  let input = x_at(row * ldx + d);
  var sum = 0.0;
  for (var s = 0u; s < states; s++) {
    let before = select(h[s], 0.0, starts);
    h[s] = exp(step * a_at(s * dim + d)) * before + step * b_at(row * ldb + s) * input;
    sum += c_at(row * ldc + s) * h[s];
  }
  set_y(row * ldy + d, sum);
}
for (var s = 0u; s < states; s++) { set_lastState((b_index * states + s) * dim + d, h[s]); }`,
  ),
];

/**
 * A workgroup for each batch member and group of channels goes back chunk by chunk; the states within a chunk are computed
 * again. Sums over channels, for b and c, are those of the groups first.
 */
export const selectiveScanBackward: Lowering = ({ sizes }) => {
  const { batch, length, dim, states, chunk } = sizes;
  const lanes = SELECTIVE_SCAN_GROUP;
  const groups = Math.ceil(dim / lanes);
  const chunks = Math.ceil(length / chunk);
  const tokens = Math.min(chunk, length);
  /** Of scratch: da of each batch member, then db and dc of each group. */
  const perMember = batch * states * dim;
  const perGroup = batch * length * states;
  const scan: Dispatch = {
    groups: batch * groups,
    size: lanes,
    module: `
var<workgroup> of_b: array<f32, ${tokens * lanes}>;
var<workgroup> of_c: array<f32, ${tokens * lanes}>;
`,
    body: `
let b_index = block / ${groups}u;
let group_index = block % ${groups}u;
let d = group_index * ${lanes}u + lane;
let mine = d < dim;
var carried = array<f32, states>();
var da_sum = array<f32, states>();
if (mine) {
  for (var s = 0u; s < states; s++) { carried[s] = dlastState_at((b_index * states + s) * dim + d); }
}
for (var c_index = ${chunks}u; c_index > 0u;) {
  c_index--;
  let start = c_index * chunk;
  let count = min(chunk, length - start);
  var dinput = array<f32, ${tokens}>();
  var dstep = array<f32, ${tokens}>();
  for (var s = 0u; s < states; s++) {
    if (mine) {
      let rate = a_at(s * dim + d);
      var before = array<f32, ${tokens}>();
      var h = chunkStates_at(((b_index * ${chunks}u + c_index) * states + s) * dim + d);
      for (var j = 0u; j < count; j++) {
        let row = b_index * length + start + j;
        if (reset_at(row) == 1.0) { h = 0.0; }
        before[j] = h;
        let step = delta_at(row * lddelta + d);
        h = exp(step * rate) * h + step * b_at(row * ldb + s) * x_at(row * ldx + d);
      }
      for (var j = count; j > 0u;) {
        j--;
        let row = b_index * length + start + j;
        let step = delta_at(row * lddelta + d);
        let input = x_at(row * ldx + d);
        let above = dy_at(row * lddy + d);
        let weight = b_at(row * ldb + s);
        let decay = exp(step * rate);
        let g = carried[s] + above * c_at(row * ldc + s);
        of_c[j * ${lanes}u + lane] = above * (decay * before[j] + step * weight * input);
        of_b[j * ${lanes}u + lane] = g * step * input;
        dinput[j] += g * step * weight;
        dstep[j] += g * (weight * input + rate * decay * before[j]);
        da_sum[s] += g * step * decay * before[j];
        carried[s] = select(g * decay, 0.0, reset_at(row) == 1.0);
      }
    } else {
      for (var j = 0u; j < count; j++) {
        of_b[j * ${lanes}u + lane] = 0.0;
        of_c[j * ${lanes}u + lane] = 0.0;
      }
    }
    workgroupBarrier();
    if (lane < count) {
      var db_sum = 0.0;
      var dc_sum = 0.0;
      for (var i = 0u; i < ${lanes}u; i++) {
        db_sum += of_b[lane * ${lanes}u + i];
        dc_sum += of_c[lane * ${lanes}u + i];
      }
      let at = ${perMember}u + group_index * ${2 * perGroup}u + (b_index * length + start + lane) * states + s;
      set_scratch(at, db_sum);
      set_scratch(at + ${perGroup}u, dc_sum);
    }
    workgroupBarrier();
  }
  if (mine) {
    for (var j = 0u; j < count; j++) {
      let row = b_index * length + start + j;
      set_dx(row * lddx + d, dinput[j]);
      set_ddelta(row * ldddelta + d, dstep[j]);
    }
  }
}
if (mine) {
  for (var s = 0u; s < states; s++) {
    set_scratch((b_index * states + s) * dim + d, da_sum[s]);
    set_dstate((b_index * states + s) * dim + d, carried[s]);
  }
}`,
  };
  return [
    scan,
    each(
      states * dim,
      `var sum = 0.0;
for (var member = 0u; member < batch; member++) { sum += scratch_at(member * ${states * dim}u + index); }
set_da(index, sum);`,
    ),
    each(
      perGroup,
      `var db_sum = 0.0;
var dc_sum = 0.0;
for (var i = 0u; i < ${groups}u; i++) {
  let at = ${perMember}u + i * ${2 * perGroup}u + index;
  db_sum += scratch_at(at);
  dc_sum += scratch_at(at + ${perGroup}u);
}
let row = index / states;
set_db(row * lddb + index % states, db_sum);
set_dc(row * lddc + index % states, dc_sum);`,
    ),
  ];
};
