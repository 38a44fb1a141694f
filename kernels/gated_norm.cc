// y = (n + skip ∘ addend) ∘ SiLU(gate) with n the norm of x, and its gradients: what lies between a cell and its output
// projection, in one pass over memory each way. n is not stored; the backward pass makes it again from x and its
// statistics.
#include "ahead.h"
#include "generated/kernels.h"
#include "math.h"
#include "norm.h"
#include "partitions.h"

namespace xl {

// The parameters of one column group.
template <bool SKIP> struct GatedNormWeights {
  NormFactor factor;
  const float* bias;
  const float* skip;

  template <class Args>
  XL_INLINE GatedNormWeights(const Args& a, int64_t first)
      : factor{a.weight ? a.weight + first : nullptr, splat(a.weightOffset)},
        bias(a.bias ? a.bias + first : nullptr),
        skip(SKIP ? a.skip + first : nullptr) {}

  XL_INLINE vf biasAt(int64_t c, int k) const { return bias ? loadLanes(bias + c, k) : zero(); }
  XL_INLINE vf skipAt(int64_t c, int k) const { return SKIP ? loadLanes(skip + c, k) : zero(); }
};

template <bool SKIP> static void gatedNormRows(const GatedNormForwardArgs& a, Range items) {
  const int64_t n = a.size;
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t row = item / a.groups, first = item % a.groups * n;
    const float* x = a.x + row * a.ldx + first;
    const float* addend = SKIP ? a.addend + row * a.ldAddend + first : nullptr;
    const float* gate = a.gate + row * a.ldGate + first;
    float* y = a.y + row * a.ldy + first;
    const GatedNormWeights<SKIP> weights(a, first);
    fetchRow(x + 2 * a.ldx, n);
    if (SKIP) fetchRow(addend + 2 * a.ldAddend, n);
    fetchRow(gate + 2 * a.ldGate, n);
    const NormStats stats = normStats(x, n, a.rms, a.eps);
    const vf mu = splat(stats.mean), scale = splat(stats.inverse);
    eachVector(n, [&](int64_t c, int k) {
      const vf z = loadLanes(gate + c, k);
      vf u = fma((loadLanes(x + c, k) - mu) * scale, weights.factor(c, k), weights.biasAt(c, k));
      if (SKIP) u = fma(weights.skipAt(c, k), loadLanes(addend + c, k), u);
      storeLanes(y + c, u * silu(z), k);
    });
    a.stats[2 * item] = stats.mean;
    a.stats[2 * item + 1] = stats.inverse;
  }
}

void gatedNormForward(const GatedNormForwardArgs& a, const Context& ctx) {
  const Range items = share(ctx, a.rows * a.groups);
  a.skip ? gatedNormRows<true>(a, items) : gatedNormRows<false>(a, items);
}

// Element (row, column) of a matrix is at p[row · ld + column].
template <class T> struct GatedNormMatrix {
  T* p;
  int64_t ld;

  XL_INLINE GatedNormMatrix(T* base, int64_t ld, int64_t row, int64_t column)
      : p(base ? base + row * ld + column : nullptr), ld(ld) {}
  XL_INLINE vf read(int64_t row, int64_t column, int k) const { return loadLanes(p + row * ld + column, k); }
  XL_INLINE void write(int64_t row, int64_t column, vf v, int k) const { storeLanes(p + row * ld + column, v, k); }
};

struct GatedNormAhead {
  Ahead x, addend, gate, dy;
};

// ROWS rows of one group: dx, dgate and daddend, and dweight, dbias and dskip added to `sums` [3, groups · size].
// With u = n + skip ∘ addend and s = σ(gate): du = dy · gate · s, dgate = dy · u · s · (1 + gate · (1 − s)),
// daddend = du · skip. du is the norm's upstream gradient, and the norm's dx needs means over the group (norm.cc): until
// a second sweep has them, dx holds g = du · (weightOffset + weight).
template <int ROWS, bool SKIP>
static void gatedNormBackwardRows(const GatedNormBackwardArgs& a, int64_t row, int64_t group, float* sums,
                                  GatedNormAhead& ahead) {
  const int64_t n = a.size, first = group * n, width = a.groups * n;
  const GatedNormWeights<SKIP> weights(a, first);
  const GatedNormMatrix<const float> x(a.x, a.ldx, row, first), addend(a.addend, a.ldAddend, row, first),
      gate(a.gate, a.ldGate, row, first), dy(a.dy, a.lddy, row, first), residual(a.residual, a.ldResidual, row, first);
  const GatedNormMatrix<float> dx(a.dx, a.lddx, row, first), dgate(a.dgate, a.lddgate, row, first),
      daddend(a.daddend, a.lddaddend, row, first);
  sums += first;
  vf mu[ROWS], scale[ROWS], mean[ROWS], projection[ROWS];
#pragma GCC unroll 4
  for (int r = 0; r < ROWS; r++) {
    const float* stats = a.stats + 2 * ((row + r) * a.groups + group);
    mu[r] = splat(stats[0]);
    scale[r] = splat(stats[1]);
    mean[r] = projection[r] = zero();
  }
  eachVector(n, [&](int64_t c, int k) {
    ahead.x.fetch(ROWS * W);
    if (SKIP) ahead.addend.fetch(ROWS * W);
    ahead.gate.fetch(ROWS * W);
    ahead.dy.fetch(ROWS * W);
    const vf w = weights.factor(c, k), bias = weights.biasAt(c, k), skip = weights.skipAt(c, k);
    vf dweight = zero(), dbias = zero(), dskip = zero();
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; r++) {
      const vf z = gate.read(r, c, k), d = dy.read(r, c, k);
      const vf normalized = (x.read(r, c, k) - mu[r]) * scale[r];
      const SiluParts gating = siluParts(z);
      const vf du = d * gating.value;
      vf u = fma(normalized, w, bias);
      if (SKIP) {
        const vf added = addend.read(r, c, k);
        u = fma(skip, added, u);
        dskip = fma(du, added, dskip);
        if (daddend.p) daddend.write(r, c, du * skip, k);
      }
      dgate.write(r, c, d * u * gating.slope, k);
      dweight = fma(du, normalized, dweight);
      dbias += du;
      const vf g = du * w;
      dx.write(r, c, g, k);
      mean[r] += g;
      projection[r] = fma(g, normalized, projection[r]);
    }
    if (a.dweight) addLanes(sums + c, dweight, k);
    if (a.dbias) addLanes(sums + width + c, dbias, k);
    if (a.dskip) addLanes(sums + 2 * width + c, dskip, k);
  });
  for (int r = 0; r < ROWS; r++) {
    const vf shift = splat(a.rms ? 0.0f : sum(mean[r]) / (float)n), slope = splat(sum(projection[r]) / (float)n);
    eachVector(n, [&](int64_t c, int k) {
      const vf normalized = (x.read(r, c, k) - mu[r]) * scale[r];
      const vf v = scale[r] * (dx.read(r, c, k) - shift - normalized * slope);
      dx.write(r, c, residual.p ? v + residual.read(r, c, k) : v, k);
    });
  }
}

template <bool SKIP> static void gatedNormBackwardOf(const GatedNormBackwardArgs& a, const Context& ctx) {
  const int64_t width = a.groups * a.size;
  const auto from = [&](const float* p, int64_t ld, int64_t row) { return Ahead{p + row * ld, ld, width}; };
  sumPartitions(ctx, a.rows, a.scratch, 3 * width, [&](Range rows, float* sums) {
    int64_t row = rows.begin;
    GatedNormAhead ahead{from(a.x, a.ldx, row + 4), from(a.addend, a.ldAddend, row + 4),
                         from(a.gate, a.ldGate, row + 4), from(a.dy, a.lddy, row + 4)};
    for (; row + 4 <= rows.end; row += 4)
      for (int64_t g = 0; g < a.groups; g++) gatedNormBackwardRows<4, SKIP>(a, row, g, sums, ahead);
    for (; row < rows.end; row++)
      for (int64_t g = 0; g < a.groups; g++) gatedNormBackwardRows<1, SKIP>(a, row, g, sums, ahead);
  });
  addPartitions(ctx, a.scratch, 3 * width, width, a.dweight);
  addPartitions(ctx, a.scratch + width, 3 * width, width, a.dbias);
  addPartitions(ctx, a.scratch + 2 * width, 3 * width, width, a.dskip);
}

void gatedNormBackward(const GatedNormBackwardArgs& a, const Context& ctx) {
  a.skip ? gatedNormBackwardOf<true>(a, ctx) : gatedNormBackwardOf<false>(a, ctx);
}

}  // namespace xl
