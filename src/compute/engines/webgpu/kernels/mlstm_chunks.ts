import type { Sizes } from '../../../program/kernels/kernel.ts';
import { widthFor } from '../shader.ts';
import { type Rounding, rounders, roundingModule } from './products.ts';

/** Invocations of a workgroup of the chunkwise mLSTM. */
export const LANES = 64;
/** Rows and columns of the tile of a state [DK, DV + 1] that a workgroup carries along the sequence. */
export const TILE = 16;
/** Tokens whose keys and values are in workgroup memory at once. */
export const SLICE = 32;

/** Sizes that the shaders of both directions share. */
export function chunkSizes({ batch, heads, length, chunk, keyDim, valueDim }: Sizes) {
  /** Tokens of a chunk, rounded so that shaders serve other lengths too. */
  const tokens = Math.min(chunk, widthFor(Math.max(length, 16), chunk));
  const members = batch * heads;
  const chunks = Math.ceil(length / chunk);
  /** Tokens of a workgroup that has scores of them with a whole chunk in workgroup memory. */
  const few = Math.max(1, Math.min(16, Math.floor(1024 / tokens)));
  return {
    members,
    chunks,
    tokens,
    few,
    /** Pieces of `few` tokens that a chunk has. */
    pieces: Math.ceil(tokens / few),
    tiles: Math.ceil(keyDim / TILE) * Math.ceil((valueDim + 1) / TILE),
  };
}

/** The same in WGSL, of numbers that are read when it runs. */
export const inWgsl = {
  members: '(batch * heads)',
  chunks: '((length + chunk - 1u) / chunk)',
  tilesAcross: `((valueDim + ${TILE}u) / ${TILE}u)`,
  tiles: `((keyDim + ${TILE - 1}u) / ${TILE}u * ((valueDim + ${TILE}u) / ${TILE}u))`,
  stateElements: '(keyDim * (valueDim + 1u))',
} as const;

/**
 * What a chunk's gates give: decay[j] = Σ log σ(f) from its first token to j, peak[j] = m_j, and since[j] = 1 + the last
 * document start up to j, 0 where the state at entry still counts. Then
 *   the weight of token j for token t is exp(decay[t] − decay[j] + i_j − peak[t]) where j + 1 ≥ since[t],
 *   that of the state at entry exp(decay[t] + m_entry − peak[t]) where since[t] = 0.
 * A state is [DK, DV + 1]: n is the column of values that are all 1.
 */
export function gatesModule(sizes: Sizes): string {
  const { tokens } = chunkSizes(sizes);
  const { members, chunks, stateElements } = inWgsl;
  const inScratch = 'chunkStates' in sizes && !sizes.chunkStates;
  const [stateArray, maxima, stats] = inScratch
    ? [
        'scratch',
        `${members} * ${chunks} * ${stateElements} + `,
        `${members} * ${chunks} * (${stateElements} + 1u) + `,
      ]
    : ['chunkStates', '', ''];
  const [maximaArray, statsArray] = inScratch ? ['scratch', 'scratch'] : ['chunkMaxima', 'tokenStats'];
  return `${roundingModule}
fn state_at(member: u32, c: u32, d: u32, e: u32) -> f32 {
  return ${stateArray}_at((member * ${chunks} + c) * ${stateElements} + d * (valueDim + 1u) + e);
}
fn set_state(member: u32, c: u32, d: u32, e: u32, value: f32) {
  set_${stateArray}((member * ${chunks} + c) * ${stateElements} + d * (valueDim + 1u) + e, value);
}
fn entry_m(member: u32, c: u32) -> f32 { return ${maximaArray}_at(${maxima}member * ${chunks} + c); }
fn set_entry_m(member: u32, c: u32, value: f32) { set_${maximaArray}(${maxima}member * ${chunks} + c, value); }
fn stats_at(member: u32, t: u32, which: u32) -> f32 { return ${statsArray}_at(${stats}2u * (member * length + t) + which); }
fn set_stats(member: u32, t: u32, which: u32, value: f32) { set_${statsArray}(${stats}2u * (member * length + t) + which, value); }
// Where a piece of a chunk has no such token: the last one, whose results are not stored.
fn token_of(c: u32, j: u32) -> u32 { return min(c * chunk + j, length - 1u); }
fn row_of(member: u32, t: u32) -> u32 { return member / heads * length + t; }
fn given_q(member: u32, t: u32, d: u32) -> f32 { return q_at(row_of(member, t) * ldq + member % heads * keyDim + d); }
fn given_k(member: u32, t: u32, d: u32) -> f32 { return k_at(row_of(member, t) * ldk + member % heads * keyDim + d); }
fn q_of(member: u32, t: u32, d: u32) -> f32 { return queryScale * given_q(member, t, d); }
fn k_of(member: u32, t: u32, d: u32) -> f32 { return keyScale * given_k(member, t, d); }
fn v_of(member: u32, t: u32, e: u32) -> f32 {
  if (e == valueDim) { return 1.0; }
  return v_at(row_of(member, t) * ldv + member % heads * valueDim + e);
}
fn i_of(member: u32, t: u32) -> f32 { return i_at(row_of(member, t) * ldi + member % heads); }
var<workgroup> decay: array<f32, ${tokens}>;
var<workgroup> peak: array<f32, ${tokens}>;
var<workgroup> inputs: array<f32, ${tokens}>;
var<workgroup> since: array<u32, ${tokens}>;
fn read_gates(lane: u32, member: u32, c: u32) {
  let count = min(chunk, length - c * chunk);
  workgroupBarrier();
  for (var j = lane; j < count; j += ${LANES}u) {
    let t = c * chunk + j;
    decay[j] = log_sigmoid_of(f_at(row_of(member, t) * ldf + member % heads));
    inputs[j] = i_of(member, t);
    peak[j] = stats_at(member, t, 0u);
    since[j] = select(0u, j + 1u, reset_at(row_of(member, t)) == 1.0);
  }
  workgroupBarrier();
  if (lane == 0u) {
    for (var j = 1u; j < count; j++) {
      decay[j] += decay[j - 1u];
      since[j] = max(since[j], since[j - 1u]);
    }
  }
  workgroupBarrier();
}
fn weight_of(j: u32, t: u32) -> f32 {
  if (j > t || j + 1u < since[t]) { return 0.0; }
  return exp(decay[t] - decay[j] + inputs[j] - peak[t]);
}
fn entry_weight(t: u32, m: f32) -> f32 {
  if (since[t] > 0u) { return 0.0; }
  return exp(decay[t] + m - peak[t]);
}
`;
}

/**
 * A workgroup's tile of states: `lane` keeps four columns, e to e + 3, of row d. slice_product gives them Σ_j left[j][row] ·
 * right[j][column] over a slice of tokens; where operands are rounded, exact[j][row] for n, the column of valueDim.
 */
export const tileModule = (rounding: Rounding): string => `
var<workgroup> left: array<f32, ${SLICE * TILE}>;
var<workgroup> right: array<f32, ${SLICE * TILE}>;
${rounding === 'f32' ? '' : `var<workgroup> exact: array<f32, ${SLICE * TILE}>;`}
fn slice_product(lane: u32, side: u32) -> vec4f {
  var sum = vec4f();
  let row = lane / 4u;
  let column = lane % 4u * 4u;
  let of_n = vec4u(0u, 1u, 2u, 3u) + vec4u(side + column) == vec4u(valueDim);
  for (var j = 0u; j < ${SLICE}u; j++) {
    let at = j * ${TILE}u + column;
    let of_row = ${rounding === 'f32' ? `left[j * ${TILE}u + row]` : `select(vec4f(left[j * ${TILE}u + row]), vec4f(exact[j * ${TILE}u + row]), of_n)`};
    sum += of_row * vec4f(right[at], right[at + 1u], right[at + 2u], right[at + 3u]);
  }
  return sum;
}
`;

/** For each of a tile's four elements of this invocation that is there: `x` is its part of a vec4. */
export const eachElement = (body: (x: string) => string): string =>
  ['x', 'y', 'z', 'w']
    .map((x, i) => `{ let e = first_e + ${i}u; if (d < keyDim && e <= valueDim) { ${body(x)} } }`)
    .join('\n');

/** Declares member, d, first_e and the tile's corner for a workgroup of a tile. */
export const tilePlace = `
let member = block / ${inWgsl.tiles};
let tile = block % ${inWgsl.tiles};
let top = tile / ${inWgsl.tilesAcross} * ${TILE}u;
let side = tile % ${inWgsl.tilesAcross} * ${TILE}u;
let d = top + lane / 4u;
let first_e = side + lane % 4u * 4u;
`;

/**
 * Adds to the tile `state` what the tokens of chunk c give it: Σ_j left[j][row] · right[j][column], a slice of them at a
 * time. `left` and `right` are WGSL of token j of the chunk, in row top + x of the tile and in column side + x.
 */
export const addChunk = (rounding: Rounding, left: string, right: string): string => `
  for (var start = 0u; start < count; start += ${SLICE}u) {
    for (var flat = lane; flat < ${SLICE * TILE}u; flat += ${LANES}u) {
      let j = start + flat / ${TILE}u;
      let x = flat % ${TILE}u;
      var of_row = 0.0;
      var of_column = 0.0;
      if (j < count) {
        let t = c * chunk + j;
        if (top + x < keyDim) { of_row = ${left}; }
        if (side + x <= valueDim) { of_column = ${right}; }
      }
      ${
        rounding === 'f32'
          ? `left[flat] = of_row;
      right[flat] = of_column;`
          : `exact[flat] = of_row;
      left[flat] = bf16(of_row);
      right[flat] = select(bf16(of_column), of_column, side + x == valueDim);`
      }
    }
    workgroupBarrier();
    state += slice_product(lane, side);
    workgroupBarrier();
  }
`;

/** What addProduct keeps of its left operand, and sumOfRows of each invocation's values. */
export const stagedModule = (few: number): string => `var<workgroup> staged: array<f32, ${few * LANES}>;\n`;

/**
 * Adds Σ_x left · right over x below `extent` to sum[i] of each of the workgroup's `few` tokens: `left` is WGSL of token i and of
 * x, of which the workgroup makes each once; `right` of x and of what the invocation has, where it is `active`.
 */
export function addProduct(
  { few, extent, active }: { readonly few: number; readonly extent: string; readonly active: string },
  rounding: Rounding,
  left: string,
  right: string,
  sum = 'sum',
): string {
  const { one } = rounders[rounding];
  return `
for (var begin = 0u; begin < ${extent}; begin += ${LANES}u) {
  let end = min(begin + ${LANES}u, ${extent});
  workgroupBarrier();
  let x = begin + lane;
  if (x < end) {
    for (var i = 0u; i < ${few}u; i++) { staged[i * ${LANES}u + lane] = ${one(left)}; }
  }
  workgroupBarrier();
  if (${active}) {
    for (var x = begin; x < end; x++) {
      let other = ${one(right)};
      for (var i = 0u; i < ${few}u; i++) { ${sum}[i] += staged[i * ${LANES}u + x - begin] * other; }
    }
  }
}
`;
}

/** Of what each invocation has in `values` for the `few` tokens, the first ones have the sums: one each, in `all`. */
export const sumOfRows = (few: number, values: string, store: string): string => `
workgroupBarrier();
for (var i = 0u; i < ${few}u; i++) { staged[i * ${LANES}u + lane] = ${values}[i]; }
workgroupBarrier();
if (lane < ${few}u) {
  var all = 0.0;
  for (var other = 0u; other < ${LANES}u; other++) { all += staged[lane * ${LANES}u + other]; }
  ${store}
}
`;

/** Declares member, c, the chunk's tokens start and count, and `first` of those of a workgroup that has `few` of them. */
export function piecePlace(sizes: Sizes): string {
  const { few, pieces } = chunkSizes(sizes);
  return `
let member = block / (${inWgsl.chunks} * ${pieces}u);
let c = block / ${pieces}u % ${inWgsl.chunks};
let first = block % ${pieces}u * ${few}u;
let count = min(chunk, length - c * chunk);
if (first >= count) { return; }
read_gates(lane, member, c);
let start = c * chunk;
`;
}
