/**
 * Scalar functions that WGSL lacks or leaves too free: its tanh may overflow, and it has no error function. They meet
 * float32 to a few units of the last place.
 */
export const scalarMath = `
var<private> infinity_bits: u32 = 0x7f800000u;
var<private> nan_bits: u32 = 0x7fc00000u;
fn infinity() -> f32 { return bitcast<f32>(infinity_bits); }
fn not_a_number() -> f32 { return bitcast<f32>(nan_bits); }
fn sigmoid_of(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}
fn log_sigmoid_of(x: f32) -> f32 {
  let e = exp(-abs(x));
  let log1p = select(log(1.0 + e), e * (1.0 - e * (0.5 - e * (0.33333333 - 0.25 * e))), e < 0.03);
  return min(x, 0.0) - log1p;
}
fn tanh_of(x: f32) -> f32 {
  let a = abs(x);
  let s = x * x;
  let near = x * (1.0 - s * (0.33333333 - s * (0.13333333 - s * (0.053968254 - s * 0.021869489))));
  return select(sign(x) * (1.0 - 2.0 / (exp(2.0 * min(a, 20.0)) + 1.0)), near, a < 0.2);
}
fn erf_of(x: f32) -> f32 {
  let a = abs(x);
  if (a < 2.0) {
    var term = x;
    var sum = x;
    for (var n = 1u; n < 26u; n++) {
      term *= 2.0 * x * x / f32(2u * n + 1u);
      sum += term;
    }
    return 1.1283791671 * exp(-x * x) * sum;
  }
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - p * exp(-a * a));
}
fn uniform_of(seed: i32, salt: i32, element: i32) -> f32 {
  var h = (bitcast<u32>(seed) * 0x9e3779b1u) ^ (bitcast<u32>(salt) * 0x85ebca77u) ^ (bitcast<u32>(element) * 0xc2b2ae3du);
  h ^= h >> 16u;
  h *= 0x7feb352du;
  h ^= h >> 15u;
  h *= 0x846ca68bu;
  h ^= h >> 16u;
  return f32(h >> 8u) / 16777216.0;
}
fn id_named(value: f32, ids: u32) -> i32 {
  let whole = value >= 0.0 && value < f32(ids) && floor(value) == value;
  return select(-1, i32(value), whole);
}
`;
