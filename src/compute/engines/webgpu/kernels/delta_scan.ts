import { each, type Lowering, widthFor } from '../shader.ts';

/** Moves `memory`, column `column` of S, over a token: v − alpha Sᵀ k is what it had wrong about the key. */
const module = (chunks: number): string => `
fn q_of(row: u32, head: u32, i: u32) -> f32 { return q_at(row * ldq + head * keyDim + i); }
fn k_of(row: u32, head: u32, i: u32) -> f32 { return k_at(row * ldk + head * keyDim + i); }
fn entry_of(member: u32, c: u32, i: u32, column: u32) -> u32 {
  return ((member * ${chunks}u + c) * keyDim + i) * valueDim + column;
}
fn advance(memory: ptr<function, array<f32, keyDim>>, row: u32, head: u32, column: u32) {
  let decay = select(alpha_at(row * ldalpha + head), 0.0, reset_at(row) == 1.0);
  var remembered = 0.0;
  for (var i = 0u; i < keyDim; i++) {
    (*memory)[i] *= decay;
    remembered += k_of(row, head, i) * (*memory)[i];
  }
  let write = beta_at(row * ldbeta + head) * (v_at(row * ldv + head * valueDim + column) - remembered);
  for (var i = 0u; i < keyDim; i++) { (*memory)[i] += write * k_of(row, head, i); }
}
`;

/** The columns of S know nothing of each other: an invocation carries one along the whole sequence. */
export const deltaScanForward: Lowering = ({ sizes: { batch, heads, valueDim, length, chunk } }) => [
  each(
    batch * heads * valueDim,
    `let member = index / valueDim;
let head = member % heads;
let column = index % valueDim;
var memory = array<f32, keyDim>();
for (var i = 0u; i < keyDim; i++) { memory[i] = state_at((member * keyDim + i) * valueDim + column); }
for (var t = 0u; t < length; t++) {
  let row = member / heads * length + t;
  if (t % chunk == 0u) {
    for (var i = 0u; i < keyDim; i++) { set_chunkStates(entry_of(member, t / chunk, i, column), memory[i]); }
  }
  advance(&memory, row, head, column);
  var sum = 0.0;
  for (var i = 0u; i < keyDim; i++) { sum += q_of(row, head, i) * memory[i]; }
  set_h(row * ldh + head * valueDim + column, sum);
}
for (var i = 0u; i < keyDim; i++) { set_lastState((member * keyDim + i) * valueDim + column, memory[i]); }`,
    module(Math.ceil(length / chunk)),
  ),
];

const MOST_LANES = 64;
/** Rows of S whose gradients are summed across columns at once. */
const ROWS = 16;

/**
 * A workgroup for each batch member and head, its lanes sharing the columns. The state before a token is computed again
 * from its chunk's entry. With S = P + beta k eᵀ, e = v − Pᵀ k and P = alpha · S before.
 */
export const deltaScanBackward: Lowering = ({ sizes }) => {
  const { batch, heads, valueDim, length, chunk } = sizes;
  const lanes = widthFor(valueDim, MOST_LANES);
  const turns = Math.ceil(valueDim / lanes);
  const chunks = Math.ceil(length / chunk);
  const columns = (body: string): string =>
    `for (var turn = 0u; turn < ${turns}u; turn++) {
  let column = turn * ${lanes}u + lane;
  if (column < valueDim) { ${body} }
}`;
  return [
    {
      groups: batch * heads,
      size: lanes,
      sums: 1,
      module: `${module(chunks)}
var<workgroup> of_q: array<f32, ${ROWS * lanes}>;
var<workgroup> of_k: array<f32, ${ROWS * lanes}>;
`,
      body: `
let member = block;
let head = member % heads;
var g = array<array<f32, keyDim>, ${turns}>();
var before = array<array<f32, keyDim>, ${turns}>();
var errors = array<f32, ${turns}>();
var derrors = array<f32, ${turns}>();
${columns(`for (var i = 0u; i < keyDim; i++) { g[turn][i] = dlastState_at((member * keyDim + i) * valueDim + column); }`)}
for (var t = length; t > 0u;) {
  t--;
  let row = member / heads * length + t;
  let starts = reset_at(row) == 1.0;
  let alpha_t = alpha_at(row * ldalpha + head);
  let beta_t = beta_at(row * ldbeta + head);
  let entry = t / chunk;
  var of_beta = 0.0;
  ${columns(`
    var memory = array<f32, keyDim>();
    for (var i = 0u; i < keyDim; i++) { memory[i] = chunkStates_at(entry_of(member, entry, i, column)); }
    for (var u = entry * chunk; u < t; u++) { advance(&memory, member / heads * length + u, head, column); }
    let above = dh_at(row * lddh + head * valueDim + column);
    var remembered = 0.0;
    var gk = 0.0;
    for (var i = 0u; i < keyDim; i++) {
      if (starts) { memory[i] = 0.0; }
      g[turn][i] += q_of(row, head, i) * above;
      remembered += k_of(row, head, i) * alpha_t * memory[i];
      gk += k_of(row, head, i) * g[turn][i];
    }
    before[turn] = memory;
    errors[turn] = v_at(row * ldv + head * valueDim + column) - remembered;
    derrors[turn] = beta_t * gk;
    of_beta += gk * errors[turn];
    set_dv(row * lddv + head * valueDim + column, derrors[turn]);`)}
  var of_alpha = 0.0;
  for (var first = 0u; first < keyDim; first += ${ROWS}u) {
    for (var j = 0u; j < min(${ROWS}u, keyDim - first); j++) {
      let i = first + j;
      let key = k_of(row, head, i);
      var dq_part = 0.0;
      var dk_part = 0.0;
      ${columns(`
        let p = alpha_t * before[turn][i];
        dq_part += (p + beta_t * key * errors[turn]) * dh_at(row * lddh + head * valueDim + column);
        dk_part += beta_t * g[turn][i] * errors[turn] - p * derrors[turn];
        let below = g[turn][i] - key * derrors[turn];
        of_alpha += below * before[turn][i];
        g[turn][i] = select(alpha_t * below, 0.0, starts);`)}
      of_q[j * ${lanes}u + lane] = dq_part;
      of_k[j * ${lanes}u + lane] = dk_part;
    }
    workgroupBarrier();
    for (var j = lane; j < min(${ROWS}u, keyDim - first); j += ${lanes}u) {
      var dq_sum = 0.0;
      var dk_sum = 0.0;
      for (var other = 0u; other < ${lanes}u; other++) {
        dq_sum += of_q[j * ${lanes}u + other];
        dk_sum += of_k[j * ${lanes}u + other];
      }
      set_dq(row * lddq + head * keyDim + first + j, dq_sum);
      set_dk(row * lddk + head * keyDim + first + j, dk_sum);
    }
    workgroupBarrier();
  }
  let dalpha_sum = total(lane, of_alpha);
  let dbeta_sum = total(lane, of_beta);
  if (lane == 0u) {
    set_dalpha(row * lddalpha + head, dalpha_sum);
    set_dbeta(row * lddbeta + head, dbeta_sum);
  }
}
${columns(`for (var i = 0u; i < keyDim; i++) { set_dstate((member * keyDim + i) * valueDim + column, g[turn][i]); }`)}`,
    },
  ];
};
