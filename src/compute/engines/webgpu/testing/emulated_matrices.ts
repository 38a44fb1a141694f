import type { MatrixConfig, MatrixUnit } from '../subgroup_matrices.ts';

/**
 * Matrices of subgroups for devices that have none: `width` invocations in turn are a subgroup, and each keeps its share of
 * the elements of C. Of A and B they keep the place, since workgroup memory stays as it is until they are multiplied.
 * `width` may be smaller than `lanes`, the widest that a text is made for.
 */
export function emulatedMatrices(config: MatrixConfig, lanes: number, width = lanes): MatrixUnit {
  const { M, N, K, componentType } = config;
  return {
    config,
    lanes,
    features: [],
    directives: '',
    parameters: '',
    statements: `subgroup_lane = lane % ${width}u;\nlet subgroup_id = lane / ${width}u;\n`,
    module: `
struct place { at: u32, stride: u32 }
alias own_part = array<f32, ${Math.ceil((M * N) / width)}>;
var<private> subgroup_lane: u32;
fn multiply_add(a: place, b: place, before: own_part) -> own_part {
  var sum = before;
  for (var e = subgroup_lane; e < ${M * N}u; e += ${width}u) {
    for (var i = 0u; i < ${K}u; i++) {
      sum[e / ${width}u] += left[a.at + i * a.stride + e / ${N}u] * right[b.at + i * b.stride + e % ${N}u];
    }
  }
  return sum;
}
fn store_sum(at: u32, sum: own_part, stride: u32) {
  var own = sum;
  for (var e = subgroup_lane; e < ${M * N}u; e += ${width}u) {
    sums[at + e / ${N}u * stride + e % ${N}u] = own[e / ${width}u];
  }
}
`,
    element: 'f32',
    operand: (x) => (componentType === 'f16' ? `quantizeToF16(${x})` : x),
    zero: () => 'own_part()',
    left: (at, stride) => `place(${at}, ${stride}u)`,
    right: (at, stride) => `place(${at}, ${stride}u)`,
    multiplyAdd: (left, right, sum) => `multiply_add(${left}, ${right}, ${sum})`,
    store: (at, sum, stride) => `store_sum(${at}, ${sum}, ${stride}u);`,
  };
}
