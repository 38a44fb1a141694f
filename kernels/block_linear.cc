// Small dense blocks on the diagonal, forward and the gradient of the weights.
#include "generated/kernels.h"

namespace xl {

void blockLinear(const BlockLinearArgs& g, const Context& ctx) {
  const Range rows = share(ctx, g.rows);
  const int64_t stepO = g.transW ? 1 : g.inSize, stepI = g.transW ? g.outSize : 1;
  for (int64_t r = rows.begin; r < rows.end; r++) {
    for (int64_t group = 0; group < g.groups; group++) {
      const float* x = g.x + r * g.ldx + group * g.inSize;
      const float* w = g.w + group * g.inSize * g.outSize;
      float* y = g.y + r * g.ldy + group * g.outSize;
      const float* residual = g.residual ? g.residual + r * g.ldResidual + group * g.outSize : nullptr;
      for (int64_t o = 0; o < g.outSize; o++) {
        float s = 0;
        for (int64_t i = 0; i < g.inSize; i++) s += w[o * stepO + i * stepI] * x[i];
        y[o] = residual ? s + residual[o] : s;
      }
    }
  }
}

// Each thread sums whole partitions of the rows, then the partial sums are added in order.
void blockLinearGradient(const BlockLinearGradientArgs& g, const Context& ctx) {
  const int64_t block = g.inSize * g.outSize, size = g.groups * block;
  const Range mine = share(ctx, PARTITIONS);
  for (int64_t p = mine.begin; p < mine.end; p++) {
    float* dw = g.scratch + p * size;
    for (int64_t i = 0; i < size; i++) dw[i] = 0;
    const Range rows = partition(static_cast<int>(p), g.rows);
    for (int64_t r = rows.begin; r < rows.end; r++) {
      for (int64_t group = 0; group < g.groups; group++) {
        const float* x = g.x + r * g.ldx + group * g.inSize;
        const float* dy = g.dy + r * g.lddy + group * g.outSize;
        for (int64_t o = 0; o < g.outSize; o++)
          for (int64_t i = 0; i < g.inSize; i++) dw[group * block + o * g.inSize + i] += dy[o] * x[i];
      }
    }
  }
  ctx.sync();
  const Range elements = share(ctx, size);
  for (int64_t e = elements.begin; e < elements.end; e++) {
    float s = 0;
    for (int p = 0; p < PARTITIONS; p++) s += g.scratch[p * size + e];
    g.dw[e] = s;
  }
}

}  // namespace xl
