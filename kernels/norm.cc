// LayerNorm and RMSNorm over column groups, with the gradients of input, weight and bias in one pass over the rows.
#include "ahead.h"
#include "generated/kernels.h"
#include "simd.h"

namespace xl {

// Σ f(c), four vectors at a time; f(column, lanes) is 0 in the lanes past `lanes`.
template <class F> XL_INLINE float sumColumns(int64_t n, F f) {
  vf s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
  int64_t c = 0;
  for (; c + 4 * W <= n; c += 4 * W) {
    s0 += f(c, W);
    s1 += f(c + W, W);
    s2 += f(c + 2 * W, W);
    s3 += f(c + 3 * W, W);
  }
  for (; c + W <= n; c += W) s0 += f(c, W);
  if (c < n) s1 += f(c, (int)(n - c));
  return sum((s0 + s1) + (s2 + s3));
}
// f(column, lanes) for all columns.
template <class F> XL_INLINE void eachColumns(int64_t n, F f) {
  int64_t c = 0;
  for (; c + W <= n; c += W) f(c, W);
  if (c < n) f(c, (int)(n - c));
}
XL_INLINE vf loadLanes(const float* p, int lanes) { return lanes == W ? load(p) : loadFirst(p, lanes); }
XL_INLINE void storeLanes(float* p, vf x, int lanes) { lanes == W ? store(p, x) : storeFirst(p, x, lanes); }

template <bool WEIGHT, bool BIAS> static void normRows(const NormForwardArgs& a, Range items) {
  const int64_t n = a.size;
  const vf offset = splat(a.weightOffset);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t row = item / a.groups, first = item % a.groups * n;
    const float* x = a.x + row * a.ldx + first;
    float* y = a.y + row * a.ldy + first;
    const float* weight = a.weight + first;
    const float* bias = a.bias + first;
    // The squares are summed about the mean, not as E[x²] − μ², which cancels.
    const float mean = a.rms ? 0.0f : sumColumns(n, [&](int64_t c, int k) { return loadLanes(x + c, k); }) / (float)n;
    const vf mu = splat(mean);
    const float squares = sumColumns(n, [&](int64_t c, int k) {
      const vf d = keepFirst(loadLanes(x + c, k) - mu, k);
      return d * d;
    });
    const float inverse = 1.0f / sqrt(splat(squares / (float)n + a.eps))[0];
    const vf scale = splat(inverse);
    eachColumns(n, [&](int64_t c, int k) {
      vf v = (loadLanes(x + c, k) - mu) * scale;
      if (WEIGHT && BIAS) v = fma(v, offset + loadLanes(weight + c, k), loadLanes(bias + c, k));
      else if (WEIGHT) v *= offset + loadLanes(weight + c, k);
      else if (BIAS) v += loadLanes(bias + c, k);
      storeLanes(y + c, v, k);
    });
    a.stats[2 * item] = mean;
    a.stats[2 * item + 1] = inverse;
  }
}

void normForward(const NormForwardArgs& a, const Context& ctx) {
  const Range items = share(ctx, a.rows * a.groups);
  if (a.weight) return a.bias ? normRows<true, true>(a, items) : normRows<true, false>(a, items);
  return a.bias ? normRows<false, true>(a, items) : normRows<false, false>(a, items);
}

// ROWS rows of one group: dx, and dweight and dbias added to `sums` [2, groups · size].
// With x̂ = (x − μ) · s and g = dy · (weightOffset + weight): dx = s · (g − mean(g) − x̂ · mean(g · x̂)), where RMSNorm
// has no mean(g).
struct NormAhead {
  Ahead x, dy;
};
template <int ROWS>
static void normBackwardRows(const NormBackwardArgs& a, int64_t row, int64_t group, float* sums, NormAhead& ahead) {
  const int64_t n = a.size, first = group * n, width = a.groups * n;
  const float* weight = a.weight ? a.weight + first : nullptr;
  const vf offset = splat(a.weightOffset);
  const auto factor = [&](int64_t c, int k) { return weight ? offset + loadLanes(weight + c, k) : splat(1.0f); };
  const float* x[ROWS];
  const float* dy[ROWS];
  vf mu[ROWS], scale[ROWS], shift[ROWS], slope[ROWS];
  for (int r = 0; r < ROWS; r++) {
    x[r] = a.x + (row + r) * a.ldx + first;
    dy[r] = a.dy + (row + r) * a.lddy + first;
    const float* stats = a.stats + 2 * ((row + r) * a.groups + group);
    mu[r] = splat(stats[0]);
    scale[r] = splat(stats[1]);
    vf mean = zero();
    const float projection = sumColumns(n, [&](int64_t c, int k) {
      const vf g = loadLanes(dy[r] + c, k) * factor(c, k);
      mean += g;
      return (loadLanes(x[r] + c, k) - mu[r]) * scale[r] * g;
    });
    shift[r] = splat(a.rms ? 0.0f : sum(mean) / (float)n);
    slope[r] = splat(projection / (float)n);
  }
  float* dx = a.dx + row * a.lddx + first;
  const float* residual = a.residual ? a.residual + row * a.ldResidual + first : nullptr;
  eachColumns(n, [&](int64_t c, int k) {
    ahead.x.fetch(ROWS * W);
    ahead.dy.fetch(ROWS * W);
    const vf w = factor(c, k);
    vf dweight = zero(), dbias = zero();
    for (int r = 0; r < ROWS; r++) {
      const vf d = loadLanes(dy[r] + c, k);
      const vf normalized = (loadLanes(x[r] + c, k) - mu[r]) * scale[r];
      dweight = fma(d, normalized, dweight);
      dbias += d;
      vf v = scale[r] * (fma(d, w, -shift[r]) - normalized * slope[r]);
      if (residual) v += loadLanes(residual + r * a.ldResidual + c, k);
      storeLanes(dx + r * a.lddx + c, v, k);
    }
    if (a.dweight) storeLanes(sums + first + c, loadLanes(sums + first + c, k) + dweight, k);
    if (a.dbias) storeLanes(sums + width + first + c, loadLanes(sums + width + first + c, k) + dbias, k);
  });
}

void normBackward(const NormBackwardArgs& a, const Context& ctx) {
  const int64_t width = a.groups * a.size;
  const Range parts = share(ctx, PARTITIONS);
  for (int64_t p = parts.begin; p < parts.end; p++) {
    float* sums = a.scratch + p * 2 * width;
    for (int64_t c = 0; c < 2 * width; c++) sums[c] = 0.0f;
    const Range rows = partition((int)p, a.rows);
    int64_t row = rows.begin;
    NormAhead ahead{{a.x + (row + 4) * a.ldx, a.ldx, width}, {a.dy + (row + 4) * a.lddy, a.lddy, width}};
    for (; row + 4 <= rows.end; row += 4)
      for (int64_t g = 0; g < a.groups; g++) normBackwardRows<4>(a, row, g, sums, ahead);
    for (; row < rows.end; row++)
      for (int64_t g = 0; g < a.groups; g++) normBackwardRows<1>(a, row, g, sums, ahead);
  }
  if (!a.dweight && !a.dbias) return;
  ctx.sync();
  const Range columns = share(ctx, width, W);
  float* outputs[2] = {a.dweight, a.dbias};
  for (int o = 0; o < 2; o++) {
    if (!outputs[o]) continue;
    for (int64_t c = columns.begin; c < columns.end; c += W) {
      const int k = columns.end - c < W ? (int)(columns.end - c) : W;
      vf total = zero();
      for (int p = 0; p < PARTITIONS; p++) total += loadLanes(a.scratch + (p * 2 + o) * width + c, k);
      storeLanes(outputs[o] + c, total, k);
    }
  }
}

}  // namespace xl
