// LayerNorm and RMSNorm over column groups, with the gradients of input, weight and bias in one pass over the rows.
#include "ahead.h"
#include "generated/kernels.h"
#include "norm.h"
#include "partitions.h"

namespace xl {

template <bool WEIGHT, bool BIAS> static void normRows(const NormForwardArgs& a, Range items) {
  const int64_t n = a.size;
  const vf offset = splat(a.weightOffset);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t row = item / a.groups, first = item % a.groups * n;
    const float* x = a.x + row * a.ldx + first;
    float* y = a.y + row * a.ldy + first;
    const float* weight = a.weight + first;
    const float* bias = a.bias + first;
    const NormStats stats = normStats(x, n, a.rms, a.eps);
    const vf mu = splat(stats.mean), scale = splat(stats.inverse);
    eachVector(n, [&](int64_t c, int k) {
      vf v = (loadLanes(x + c, k) - mu) * scale;
      if (WEIGHT && BIAS) v = fma(v, offset + loadLanes(weight + c, k), loadLanes(bias + c, k));
      else if (WEIGHT) v *= offset + loadLanes(weight + c, k);
      else if (BIAS) v += loadLanes(bias + c, k);
      storeLanes(y + c, v, k);
    });
    a.stats[2 * item] = stats.mean;
    a.stats[2 * item + 1] = stats.inverse;
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
  const NormFactor factor{a.weight ? a.weight + first : nullptr, splat(a.weightOffset)};
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
  eachVector(n, [&](int64_t c, int k) {
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
    if (a.dweight) addLanes(sums + first + c, dweight, k);
    if (a.dbias) addLanes(sums + width + first + c, dbias, k);
  });
}

void normBackward(const NormBackwardArgs& a, const Context& ctx) {
  const int64_t width = a.groups * a.size;
  sumPartitions(ctx, a.rows, a.scratch, 2 * width, [&](Range rows, float* sums) {
    int64_t row = rows.begin;
    NormAhead ahead{{a.x + (row + 4) * a.ldx, a.ldx, width}, {a.dy + (row + 4) * a.lddy, a.lddy, width}};
    for (; row + 4 <= rows.end; row += 4)
      for (int64_t g = 0; g < a.groups; g++) normBackwardRows<4>(a, row, g, sums, ahead);
    for (; row < rows.end; row++)
      for (int64_t g = 0; g < a.groups; g++) normBackwardRows<1>(a, row, g, sums, ahead);
  });
  addPartitions(ctx, a.scratch, 2 * width, width, a.dweight);
  addPartitions(ctx, a.scratch + width, 2 * width, width, a.dbias);
}

}  // namespace xl
