// AdamW over a flat region.
#include "generated/kernels.h"
#include "simd.h"

namespace xl {

void adamw(const AdamwArgs& a, const Context& ctx) {
  const float rate = a.schedule[0];
  const vf factor = splat(a.schedule[1]), step = splat(rate / a.schedule[2]), unbias = splat(1.0f / a.schedule[3]);
  const vf beta1 = splat(a.beta1), beta2 = splat(a.beta2), epsilon = splat(a.epsilon);
  const vf rest1 = splat((float)(1.0 - a.beta1)), rest2 = splat((float)(1.0 - a.beta2));
  const vf decay = splat(rate * a.weightDecay);
  const auto update = [&](vf gradient, vf& p, vf& m, vf& v) {
    const vf g = gradient * factor;
    m = fma(beta1, m, rest1 * g);
    v = fma(beta2, v, rest2 * g * g);
    p = fma(-decay, p, p) - step * m / (sqrt(v * unbias) + epsilon);
  };
  const Range all = share(ctx, a.count, 16);
  int64_t i = all.begin;
  for (; i + W <= all.end; i += W) {
    vf p = load(a.parameters + i), m = load(a.firstMoment + i), v = load(a.secondMoment + i);
    update(load(a.gradients + i), p, m, v);
    store(a.parameters + i, p);
    store(a.firstMoment + i, m);
    store(a.secondMoment + i, v);
  }
  if (i < all.end) {
    const int k = (int)(all.end - i);
    vf p = loadFirst(a.parameters + i, k), m = loadFirst(a.firstMoment + i, k), v = loadFirst(a.secondMoment + i, k);
    update(loadFirst(a.gradients + i, k), p, m, v);
    storeFirst(a.parameters + i, p, k);
    storeFirst(a.firstMoment + i, m, k);
    storeFirst(a.secondMoment + i, v, k);
  }
}

}  // namespace xl
