// First-order linear recurrence, forward and backward: W channels of one batch member at a time.
#include "generated/kernels.h"
#include "recurrent.h"

namespace xl {

void linearScanForward(const LinearScanForwardArgs& a, const Context& ctx) {
  const int64_t blocks = (a.dim + W - 1) / W;
  const Range items = share(ctx, a.batch * blocks);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t member = item / blocks, d = item % blocks * W;
    const int n = static_cast<int>(smaller(W, a.dim - d));
    vf y = a.state ? loadLanes(a.state + member * a.dim + d, n) : zero();
    for (int64_t t = 0; t < a.length; t++) {
      const int64_t row = member * a.length + t;
      if (a.reset && a.reset[row] != 0.0f) y = zero();
      y = fma(loadLanes(a.a + row * a.lda + d, n), y, loadLanes(a.b + row * a.ldb + d, n));
      storeLanes(a.y + row * a.ldy + d, y, n);
    }
    if (a.lastState) storeLanes(a.lastState + member * a.dim + d, y, n);
  }
}

// With g the whole gradient of y_t: db = g, da = g y_{t-1}, and a g is what reaches y_{t-1}.
void linearScanBackward(const LinearScanBackwardArgs& a, const Context& ctx) {
  const int64_t blocks = (a.dim + W - 1) / W;
  const Range items = share(ctx, a.batch * blocks);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t member = item / blocks, d = item % blocks * W, at = member * a.dim + d;
    const int n = static_cast<int>(smaller(W, a.dim - d));
    vf carried = a.dlastState ? loadLanes(a.dlastState + at, n) : zero();
    for (int64_t t = a.length - 1; t >= 0; t--) {
      const int64_t row = member * a.length + t;
      const bool starts = a.reset && a.reset[row] != 0.0f;
      const vf g = carried + loadLanes(a.dy + row * a.lddy + d, n);
      vf before = zero();
      if (!starts && t > 0) before = loadLanes(a.y + (row - 1) * a.ldy + d, n);
      else if (!starts && a.state) before = loadLanes(a.state + at, n);
      storeLanes(a.db + row * a.lddb + d, g, n);
      storeLanes(a.da + row * a.ldda + d, g * before, n);
      carried = starts ? zero() : g * loadLanes(a.a + row * a.lda + d, n);
    }
    if (a.dstate) storeLanes(a.dstate + at, carried, n);
  }
}

}  // namespace xl
