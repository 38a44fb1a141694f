import { type CellName, cellNames, recurrentCells } from '../../../program/constants.ts';
import type { Sizes } from '../../../program/kernels/kernel.ts';
import { type Dispatch, each, type Lowering, widthFor } from '../shader.ts';

/** WGSL of a unit at a token. */
interface Cell {
  /** From raw inputs x0 … and recurrent inputs rec0 …, of which raw0 … are the sums, to y_new, with c, n, m in place. */
  readonly forward: string;
  /** What `forward` saves, plane by plane. */
  readonly saved: readonly string[];
  /** From s0 … (saved), y_t, c_t, n_t, c_before, n_before, dy, dc, dn to draw0 …, direct, and dc, dn in place. */
  readonly backward: string;
}

const cells: Readonly<Record<CellName, Cell>> = {
  slstm: {
    forward: `
let l = m + select(log_sigmoid_of(raw1), raw1, exponentialForget == 1u);
m = select(max(raw0, l), raw0, n == 0.0);
let input = min(exp(raw0 - m), 1.0);
let forget = min(exp(min(l - m, 0.0)), 1.0);
let z = tanh_of(raw2);
let o = sigmoid_of(raw3);
c = forget * c + input * z;
n = forget * n + input;
y_new = o * c / n;`,
    saved: ['input', 'forget', 'z', 'o', 'select(sigmoid_of(-raw1), 1.0, exponentialForget == 1u)'],
    backward: `
dc += dy * s3 / n_t;
dn -= dy * y_t / n_t;
let draw0 = s0 * (s2 * dc + dn);
let draw1 = s1 * (c_before * dc + n_before * dn) * s4;
let draw2 = dc * s0 * (1.0 - s2 * s2);
let draw3 = dy * y_t * (1.0 - s3);
dc *= s1;
dn *= s1;`,
  },
  lstm: {
    forward: `
let input = sigmoid_of(raw0);
let forget = sigmoid_of(raw1);
let z = tanh_of(raw2);
let o = sigmoid_of(raw3);
c = forget * c + input * z;
y_new = o * tanh_of(c);`,
    saved: ['input', 'forget', 'z', 'o'],
    backward: `
let squashed = tanh_of(c_t);
dc += dy * s3 * (1.0 - squashed * squashed);
let draw0 = dc * s2 * s0 * (1.0 - s0);
let draw1 = dc * c_before * s1 * (1.0 - s1);
let draw2 = dc * s0 * (1.0 - s2 * s2);
let draw3 = dy * y_t * (1.0 - s3);
dc *= s1;`,
  },
  gru: {
    forward: `
let r = sigmoid_of(raw0);
let z = sigmoid_of(raw1);
let candidate = tanh_of(x2 + r * rec2);
y_new = (1.0 - z) * candidate + z * y_before;`,
    saved: ['r', 'z', 'candidate', 'rec2'],
    backward: `
let draw2 = dy * (1.0 - s1) * (1.0 - s2 * s2);
let draw0 = draw2 * s3 * s0 * (1.0 - s0);
let draw1 = dy * (y_t - s2) * (1.0 - s1);
direct = dy * s1;`,
  },
  rnn: {
    forward: 'y_new = tanh_of(raw0);',
    saved: [],
    backward: 'let draw0 = dy * (1.0 - y_t * y_t);',
  },
};

const numbered = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

function shape(sizes: Sizes) {
  const name = cellNames[sizes.cell];
  const { states, savedPlanes } = recurrentCells[name];
  const has = (state: string): boolean => (states as readonly string[]).includes(state);
  const width = widthFor(sizes.headDim, 256);
  const dim = sizes.heads * sizes.headDim;
  return { cell: cells[name], planes: savedPlanes, has, width, dim };
}

/** Invocations of a workgroup take turns over the units of a head. */
const units = (width: number, body: string): string =>
  `for (var u = lane; u < headDim; u += ${width}u) {\nlet d = head * headDim + u;\n${body}\n}`;

/** R as the product with y reads it: neighbours among the outputs are neighbours in memory. */
const turned = ({ heads, headDim, gatesPerUnit }: Sizes): Dispatch =>
  each(
    heads * gatesPerUnit * headDim * headDim,
    `let i = index % headDim;
let out = index / headDim % ${gatesPerUnit * headDim}u;
let head = index / ${gatesPerUnit * headDim * headDim}u;
set_scratch((head * headDim + i) * ${gatesPerUnit * headDim}u + out, r_at(index));`,
  );

/** Units of a workgroup's batch members together, at most: their states lie in workgroup memory. */
const TILE_UNITS = 512;
/** Fewer workgroups than these would leave processors idle. */
const FEWEST_GROUPS = 4;

/** Batch members of a workgroup: each number of R is read once for all of them. */
const tileOf = ({ batch, heads, headDim }: Sizes): number =>
  [4, 2].find(
    (tile) => batch % tile === 0 && tile * headDim <= TILE_UNITS && (batch * heads) / tile >= FEWEST_GROUPS,
  ) ?? 1;

/** A workgroup carries a head of some batch members along the whole sequence; y of its units is in workgroup memory. */
export const recurrentForward: Lowering = ({ sizes }) => {
  const { batch, heads, headDim, gatesPerUnit, length } = sizes;
  const { cell, planes, has, width, dim } = shape(sizes);
  const rows = gatesPerUnit * headDim;
  const tile = tileOf(sizes);
  const inner = ['c', 'n', 'm'].filter(has);
  const weight = (g: number, i: string): string =>
    length > 1
      ? `scratch_at((head * headDim + ${i}) * ${rows}u + ${g}u * headDim + u)`
      : `r_at(((head * gatesPerUnit + ${g}u) * headDim + u) * headDim + ${i})`;
  /** Terms of the product with R for one turn of its loop. */
  const together = headDim % 4 === 0 ? 4 : 1;
  const members = (line: (s: number) => string): string => numbered(tile, line);
  const scan: Dispatch = {
    groups: (batch / tile) * heads,
    size: width,
    // y by turns: what the units of a token write, those of the next one read.
    module: `var<workgroup> y_now: array<f32, ${2 * headDim * tile}>;
${inner.map((name) => `var<workgroup> ${name}_now: array<f32, ${headDim * tile}>;\n`).join('')}`,
    body: `
let b = block / heads * ${tile}u;
let head = block % heads;
${units(
  width,
  members(
    (s) => `y_now[${s}u * headDim + u] = y0_at((b + ${s}u) * ${dim}u + d);
${inner.map((name) => `${name}_now[${s}u * headDim + u] = ${name}0_at((b + ${s}u) * ${dim}u + d);`).join('\n')}`,
  ),
)}
for (var t = 0u; t < length; t++) {
  let half = t % 2u * ${headDim * tile}u;
  workgroupBarrier();
  ${units(
    width,
    `${members(
      (s) => `let row${s} = (b + ${s}u) * length + t;
let keep${s} = reset_at(row${s}) != 1.0;
let before${s} = select(0.0, y_now[half + ${s}u * headDim + u], keep${s});
set_previous(row${s} * ${dim}u + d, before${s});
${numbered(gatesPerUnit, (g) => `var rec${g}of${s} = 0.0;`)}`,
    )}
for (var i = 0u; i < headDim; i += ${together}u) {
  ${numbered(
    together,
    (j) => `{
    ${numbered(gatesPerUnit, (g) => `let weight${g} = ${weight(g, `(i + ${j}u)`)};`)}
    ${members(
      (s) => `{
      let before = y_now[half + ${s}u * headDim + i + ${j}u];
      ${numbered(gatesPerUnit, (g) => `rec${g}of${s} += before * weight${g};`)}
    }`,
    )}
  }`,
  )}
}
${members(
  (s) => `{
let row = row${s};
let y_before = before${s};
${numbered(gatesPerUnit, (g) => `let rec${g} = bias_at(${g * dim}u + d) + select(0.0, rec${g}of${s}, keep${s});\nlet x${g} = wx_at(row * ldwx + ${g * dim}u + d);\nlet raw${g} = x${g} + rec${g};`)}
${inner.map((name) => `var ${name} = select(0.0, ${name}_now[${s}u * headDim + u], keep${s});`).join('\n')}
var y_new = 0.0;
${cell.forward}
y_now[${headDim * tile}u - half + ${s}u * headDim + u] = y_new;
${inner.map((name) => `${name}_now[${s}u * headDim + u] = ${name};`).join('\n')}
set_y(row * ldy + d, y_new);
${numbered(planes, (p) => `set_gates((row * ${planes}u + ${p}u) * ${dim}u + d, ${cell.saved[p]});`)}
${has('c') ? `set_cells(row * ${2 * dim}u + d, c);` : ''}
${has('n') ? `set_cells(row * ${2 * dim}u + ${dim}u + d, n);` : ''}
}`,
)}`,
  )}
}
${units(
  width,
  members(
    (
      s,
    ) => `set_lastY((b + ${s}u) * ${dim}u + d, y_now[length % 2u * ${headDim * tile}u + ${s}u * headDim + u]);
${inner.map((name) => `set_last${name.toUpperCase()}((b + ${s}u) * ${dim}u + d, ${name}_now[${s}u * headDim + u]);`).join('\n')}`,
  ),
)}`,
  };
  return length > 1 ? [turned(sizes), scan] : [scan];
};

export const recurrentBackward: Lowering = ({ sizes }) => {
  const { batch, heads, headDim, gatesPerUnit } = sizes;
  const { cell, planes, has, width, dim } = shape(sizes);
  const rows = gatesPerUnit * headDim;
  const isGru = cell === cells.gru;
  const before = (state: string, array: number): string =>
    has(state)
      ? `var ${state}_before = 0.0;
if (keep) {
  if (t > 0u) { ${state}_before = cells_at((row - 1u) * ${2 * dim}u + ${array * dim}u + d); } else { ${state}_before = ${state}0_at(b * ${dim}u + d); }
}
let ${state}_t = cells_at(row * ${2 * dim}u + ${array * dim}u + d);`
      : '';
  return [
    {
      groups: batch * heads,
      size: width,
      module: `${['dy', 'dc', 'dn', 'direct']
        .map((name) => `var<workgroup> ${name}_now: array<f32, ${headDim}>;\n`)
        .join('')}var<workgroup> draw: array<f32, ${rows}>;\n`,
      body: `
let b = block / heads;
let head = block % heads;
${units(
  width,
  `dy_now[u] = dlastY_at(b * ${dim}u + d);
dc_now[u] = dlastC_at(b * ${dim}u + d);
dn_now[u] = dlastN_at(b * ${dim}u + d);`,
)}
for (var t = length; t > 0u;) {
  t--;
  let row = b * length + t;
  let keep = reset_at(row) != 1.0;
  ${units(
    width,
    `let dy = dy_now[u] + dy_at(row * lddy + d);
var dc = dc_now[u];
var dn = dn_now[u];
let y_t = y_at(row * ldy + d);
var direct = 0.0;
${numbered(planes, (p) => `let s${p} = gates_at((row * ${planes}u + ${p}u) * ${dim}u + d);`)}
${before('c', 0)}
${before('n', 1)}
${cell.backward}
direct_now[u] = direct;
dc_now[u] = select(0.0, dc, keep);
dn_now[u] = select(0.0, dn, keep);
${numbered(gatesPerUnit, (g) => {
  const recurrent = isGru && g === 2 ? 'draw2 * s0' : `draw${g}`;
  return `set_dwx(row * lddwx + ${g * dim}u + d, draw${g});
set_drec(row * lddrec + ${g * dim}u + d, ${recurrent});
draw[${g}u * headDim + u] = ${recurrent};`;
})}`,
  )}
  workgroupBarrier();
  ${units(
    width,
    `var through = 0.0;
if (cutRecurrent == 0u) {
  for (var out = 0u; out < ${rows}u; out++) { through += r_at((head * ${rows}u + out) * headDim + u) * draw[out]; }
  if (recurrentClip > 0.0) { through = clamp(through, -recurrentClip, recurrentClip); }
}
dy_now[u] = select(0.0, through + direct_now[u], keep);`,
  )}
  workgroupBarrier();
}
${units(
  width,
  `set_dy0(b * ${dim}u + d, dy_now[u]);
${has('c') ? `set_dc0(b * ${dim}u + d, dc_now[u]);` : ''}
${has('n') ? `set_dn0(b * ${dim}u + d, dn_now[u]);` : ''}`,
)}`,
    },
  ];
};
