/**
 * WGSL of sums across a workgroup of `size` invocations, in an order that is always the same. Every invocation calls them
 * at once:
 * - total(lane, x), largest(lane, x): of the values of all, for all;
 * - row_total(lane, rows): where each has an array of `rows` values, the sum of row `lane` for the first `rows` of them.
 *
 * A barrier is what costs most, above all on a GPU in software, so there is one; two where the device sums across no
 * subgroups.
 */
export function workgroupSums(size: number, rows: number, subgroups: boolean): string {
  return subgroups ? throughSubgroups(size, rows) : inTwoSteps(size, rows);
}

/** Builtins of the entry point that throughSubgroups needs, and the statements that hand them on. */
export const subgroupEntry = {
  parameters:
    ', @builtin(subgroup_id) subgroup_id: u32, @builtin(num_subgroups) num_subgroups: u32, ' +
    '@builtin(subgroup_invocation_id) subgroup_lane: u32',
  statements: 'subgroup = subgroup_id; subgroups = num_subgroups; first_of_subgroup = subgroup_lane == 0u;\n',
};

/** WebGPU's smallest subgroup. */
const SMALLEST = 4;

function throughSubgroups(size: number, rows: number): string {
  const most = Math.ceil(size / SMALLEST);
  const gathered = (name: string, across: string, start: string, together: string): string => `
fn ${name}(lane: u32, value: f32) -> f32 {
  let own = ${across}(value);
  turn = ${most}u - turn;
  if (first_of_subgroup) { partial[turn + subgroup] = own; }
  workgroupBarrier();
  var result = ${start};
  for (var s = 0u; s < subgroups; s++) { result = ${together}; }
  return result;
}
`;
  // One call writes where the one before it does not read any more: two halves by turns.
  return `
var<private> subgroup: u32;
var<private> subgroups: u32;
var<private> first_of_subgroup: bool;
var<private> turn: u32;
var<workgroup> partial: array<f32, ${2 * most}>;
${gathered('total', 'subgroupAdd', '0.0', 'result + partial[turn + s]')}
${gathered('largest', 'subgroupMax', '-3.4028234e38f', 'max(result, partial[turn + s])')}
${
  rows > 1
    ? `var<workgroup> row_partial: array<f32, ${rows * most}>;
fn row_total(lane: u32, values: array<f32, ${rows}>) -> f32 {
  for (var row = 0u; row < ${rows}u; row++) {
    let own = subgroupAdd(values[row]);
    if (first_of_subgroup) { row_partial[row * ${most}u + subgroup] = own; }
  }
  workgroupBarrier();
  var sum = 0.0;
  if (lane < ${rows}u) {
    for (var s = 0u; s < subgroups; s++) { sum += row_partial[lane * ${most}u + s]; }
  }
  return sum;
}
`
    : 'fn row_total(lane: u32, values: array<f32, 1>) -> f32 { return total(lane, values[0]); }\n'
}`;
}

function inTwoSteps(size: number, rows: number): string {
  const parts = 2 ** (Math.log2(size) >> 1);
  const share = size / parts;
  const gathered = (name: string, start: string, together: (next: string) => string): string => `
fn ${name}(lane: u32, value: f32) -> f32 {
  partial[lane] = value;
  workgroupBarrier();
  if (lane < ${parts}u) {
    var part = partial[lane];
    for (var s = 1u; s < ${share}u; s++) { part = ${together('part').replace('@', `partial[lane + s * ${parts}u]`)}; }
    parts[lane] = part;
  }
  workgroupBarrier();
  var result = ${start};
  for (var s = 0u; s < ${parts}u; s++) { result = ${together('result').replace('@', 'parts[s]')}; }
  return result;
}
`;
  return `
var<workgroup> partial: array<f32, ${rows * size}>;
var<workgroup> parts: array<f32, ${rows * parts}>;
${gathered('total', '0.0', (before) => `${before} + @`)}
${gathered('largest', '-3.4028234e38f', (before) => `max(${before}, @)`)}
fn row_total(lane: u32, values: array<f32, ${rows}>) -> f32 {
  for (var row = 0u; row < ${rows}u; row++) { partial[row * ${size}u + lane] = values[row]; }
  workgroupBarrier();
  for (var at = lane; at < ${rows * parts}u; at += ${size}u) {
    var part = 0.0;
    for (var s = 0u; s < ${share}u; s++) { part += partial[at / ${parts}u * ${size}u + at % ${parts}u + s * ${parts}u]; }
    parts[at] = part;
  }
  workgroupBarrier();
  var sum = 0.0;
  if (lane < ${rows}u) {
    for (var s = 0u; s < ${parts}u; s++) { sum += parts[lane * ${parts}u + s]; }
  }
  return sum;
}
`;
}
