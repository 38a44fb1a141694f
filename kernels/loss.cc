// Cross entropy of logits with integer targets.
#include "generated/kernels.h"
#include "map.h"

namespace xl {

struct LogSum {
  float maximum, logSum;  // log Σ exp(x) = maximum + logSum
};

// One pass over memory: a block's maximum rescales the sum of the blocks before it.
static LogSum logSumExp(const float* x, int64_t n) {
  constexpr int64_t BLOCK = 2048;
  // Finite, so that logits of −∞ add exp(−∞ − maximum) = 0.
  float top = -3.4028234e38f, total = 0.0f;
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const float* b = x + begin;
    const int64_t size = n - begin < BLOCK ? n - begin : BLOCK;
    float blockTop = top;
    int64_t c = 0;
    if (size >= W) {
      vf m0 = load(b), m1 = m0;
      for (; c + 2 * W <= size; c += 2 * W) {
        m0 = max(m0, load(b + c));
        m1 = max(m1, load(b + c + W));
      }
      const float m = maximum(max(max(m0, m1), load(b + size - W)));
      blockTop = m > top ? m : top;
    } else {
      for (; c < size; c++) blockTop = b[c] > blockTop ? b[c] : blockTop;
    }
    const vf shift = splat(blockTop);
    vf s0 = zero(), s1 = zero();
    for (c = 0; c + 2 * W <= size; c += 2 * W) {
      s0 += exp(load(b + c) - shift);
      s1 += exp(load(b + c + W) - shift);
    }
    for (; c < size; c += W) {
      const int lanes = size - c < W ? (int)(size - c) : W;
      s0 += keepFirst(exp(loadFirst(b + c, lanes) - shift), lanes);
    }
    total = begin == 0 ? sum(s0 + s1) : total * expScalar(top - blockTop) + sum(s0 + s1);
    top = blockTop;
  }
  return {top, logScalar(total)};
}

void crossEntropyForward(const CrossEntropyForwardArgs& a, const Context& ctx) {
  const Range rows = share(ctx, a.rows);
  for (int64_t r = rows.begin; r < rows.end; r++) {
    const float* x = a.logits + r * a.ldLogits;
    const LogSum s = logSumExp(x, a.vocab);
    a.logNormalizer[r] = s.maximum + s.logSum;
    // Less the maximum first: a small loss is not the difference of two large numbers.
    const int64_t target = rowNamed(a.targets[r], a.vocab);
    if (a.targets[r] < 0.0f) a.loss[r] = 0.0f;
    else a.loss[r] = target < 0 ? __builtin_nanf("") : s.logSum - (x[target] - s.maximum);
  }
}

void crossEntropyBackward(const CrossEntropyBackwardArgs& a, const Context& ctx) {
  const Range rows = share(ctx, a.rows);
  for (int64_t r = rows.begin; r < rows.end; r++) {
    const float* x = a.logits + r * a.ldLogits;
    float* dx = a.dlogits + r * a.lddlogits;
    if (a.targets[r] < 0.0f) {
      fillBlock(dx, 0.0f, a.vocab);
      continue;
    }
    const int64_t target = rowNamed(a.targets[r], a.vocab);
    if (target < 0) {
      fillBlock(dx, __builtin_nanf(""), a.vocab);
      continue;
    }
    const vf shift = splat(a.logNormalizer[r]), scale = splat(a.dloss[r]);
    mapUnary(dx, x, a.vocab, [&](vf v) { return exp(v - shift) * scale; });
    dx[target] = (expScalar(x[target] - a.logNormalizer[r]) - 1.0f) * a.dloss[r];
  }
}

}  // namespace xl
