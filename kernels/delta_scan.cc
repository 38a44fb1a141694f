// Gated delta rule, token by token: a head's state stays in cache while the sequence passes.
#include "generated/kernels.h"
#include "recurrent.h"

namespace xl {

static void deltaCopy(float* to, int64_t ldTo, const float* from, int64_t ldFrom, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j += W) {
      const int n = static_cast<int>(smaller(W, columns - j));
      storeLanes(to + i * ldTo + j, from ? loadLanes(from + i * ldFrom + j, n) : zero(), n);
    }
}

// One head's state moves from `before` to `after` [DK, ld], which may be the same; errors [ld] = v - (alpha S)ᵀ k.
// before is null where the state is empty. h is absent when it is not asked for.
static void deltaToken(const float* before, float* after, int64_t ld, int64_t keyDim, int64_t valueDim, const float* q,
                       const float* k, const float* v, float alpha, float beta, float* errors, float* h) {
  for (int64_t j = 0; j < valueDim; j += W) {
    const int n = static_cast<int>(smaller(W, valueDim - j));
    vf remembered[2] = {zero(), zero()};
    if (before)
      for (int64_t i = 0; i < keyDim; i++)
        remembered[i & 1] = fma(splat(k[i]), load(before + i * ld + j), remembered[i & 1]);
    const vf error = loadLanes(v + j, n) - (remembered[0] + remembered[1]) * alpha, written = error * beta;
    store(errors + j, error);
    vf out[2] = {zero(), zero()};
    for (int64_t i = 0; i < keyDim; i++) {
      const vf x = fma(splat(k[i]), written, before ? load(before + i * ld + j) * alpha : zero());
      store(after + i * ld + j, x);
      if (h) out[i & 1] = fma(splat(q[i]), x, out[i & 1]);
    }
    if (h) storeLanes(h + j, out[0] + out[1], n);
  }
}

void deltaScanForward(const DeltaScanForwardArgs& a, const Context& ctx) {
  const int64_t keyDim = a.keyDim, valueDim = a.valueDim, ld = wholeVectors(valueDim), size = keyDim * valueDim;
  const int64_t chunks = (a.length + a.chunk - 1) / a.chunk;
  float* state = ctx.scratch;              // [DK, ld]
  float* errors = state + keyDim * ld;     // [ld]
  const Range items = share(ctx, a.batch * a.heads);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t head = item % a.heads;
    fillOrZero(state, nullptr, keyDim * ld);
    if (a.state) deltaCopy(state, ld, a.state + item * size, valueDim, keyDim, valueDim);
    for (int64_t t = 0; t < a.length; t++) {
      const int64_t row = item / a.heads * a.length + t;
      if (a.chunkStates && t % a.chunk == 0)
        deltaCopy(a.chunkStates + (item * chunks + t / a.chunk) * size, valueDim, state, ld, keyDim, valueDim);
      const bool starts = a.reset && a.reset[row] != 0.0f;
      deltaToken(starts ? nullptr : state, state, ld, keyDim, valueDim, a.q + row * a.ldq + head * keyDim,
                 a.k + row * a.ldk + head * keyDim, a.v + row * a.ldv + head * valueDim, a.alpha[row * a.ldalpha + head],
                 a.beta[row * a.ldbeta + head], errors, a.h + row * a.ldh + head * valueDim);
    }
    if (a.lastState) deltaCopy(a.lastState + item * size, valueDim, state, ld, keyDim, valueDim);
  }
}

// Workspace of one head's backward pass.
struct DeltaBackward {
  float* states;     // before each token of a chunk and after its last  [chunk + 1, DK, ld]
  float* errors;     // of each token  [chunk, ld]
  float* g;          // gradient of the state  [DK, ld]
  float* upstream;   // dh, padded  [ld]
  float* throughKey; // gᵀ k  [ld]
  float* derrors;    // [ld]
  int64_t ld;
};

// One token back. With P = alpha S', e = v - Pᵀk and S = P + beta k eᵀ: g grows by q dhᵀ; de = beta gᵀk; P's gradient is
// g - k deᵀ.
static void deltaTokenBack(const DeltaScanBackwardArgs& a, const DeltaBackward& w, int64_t row, int64_t head, int64_t t) {
  const int64_t keyDim = a.keyDim, valueDim = a.valueDim, ld = w.ld, plane = keyDim * ld;
  const bool starts = a.reset && a.reset[row] != 0.0f;
  const float* before = starts ? nullptr : w.states + t * plane;
  const float* after = w.states + (t + 1) * plane;
  const float* errors = w.errors + t * ld;
  const float* q = a.q + row * a.ldq + head * keyDim;
  const float* k = a.k + row * a.ldk + head * keyDim;
  const float alpha = a.alpha[row * a.ldalpha + head], beta = a.beta[row * a.ldbeta + head];
  for (int64_t j = 0; j < ld; j += W) {
    const int n = static_cast<int>(smaller(W, valueDim - j));
    store(w.upstream + j, loadLanes(a.dh + row * a.lddh + head * valueDim + j, n));
    store(w.throughKey + j, zero());
  }
  for (int64_t i0 = 0; i0 < keyDim; i0 += W) {
    const int some = static_cast<int>(smaller(W, keyDim - i0));
    vf dq[W];
    for (int r = 0; r < W; r++) dq[r] = zero();
    for (int r = 0; r < some; r++) {
      const int64_t i = i0 + r;
      const vf qi = splat(q[i]), ki = splat(k[i]);
      for (int64_t j = 0; j < ld; j += W) {
        const vf dh = load(w.upstream + j), g = fma(qi, dh, load(w.g + i * ld + j));
        store(w.g + i * ld + j, g);
        dq[r] = fma(load(after + i * ld + j), dh, dq[r]);
        store(w.throughKey + j, fma(ki, g, load(w.throughKey + j)));
      }
    }
    storeLanes(a.dq + row * a.lddq + head * keyDim + i0, sumEach(dq), some);
  }
  vf dbeta = zero(), dalpha = zero();
  for (int64_t j = 0; j < ld; j += W) {
    const int n = static_cast<int>(smaller(W, valueDim - j));
    const vf through = load(w.throughKey + j), derror = through * beta;
    dbeta = fma(through, load(errors + j), dbeta);
    store(w.derrors + j, derror);
    storeLanes(a.dv + row * a.lddv + head * valueDim + j, derror, n);
  }
  a.dbeta[row * a.lddbeta + head] = sum(dbeta);
  for (int64_t i0 = 0; i0 < keyDim; i0 += W) {
    const int some = static_cast<int>(smaller(W, keyDim - i0));
    vf dk[W];
    for (int r = 0; r < W; r++) dk[r] = zero();
    for (int r = 0; r < some; r++) {
      const int64_t i = i0 + r;
      for (int64_t j = 0; j < ld; j += W) {
        const vf derror = load(w.derrors + j), g = load(w.g + i * ld + j);
        dk[r] = fma(g * beta, load(errors + j), dk[r]);
        if (!before) continue;
        const vf old = load(before + i * ld + j), dp = g - derror * k[i];
        dk[r] -= derror * old * alpha;
        dalpha = fma(dp, old, dalpha);
        store(w.g + i * ld + j, dp * alpha);
      }
    }
    storeLanes(a.dk + row * a.lddk + head * keyDim + i0, sumEach(dk), some);
  }
  a.dalpha[row * a.lddalpha + head] = sum(dalpha);
  if (starts) fillOrZero(w.g, nullptr, plane);
}

void deltaScanBackward(const DeltaScanBackwardArgs& a, const Context& ctx) {
  const int64_t keyDim = a.keyDim, valueDim = a.valueDim, ld = wholeVectors(valueDim), plane = keyDim * ld;
  const int64_t chunks = (a.length + a.chunk - 1) / a.chunk, size = keyDim * valueDim;
  DeltaBackward w;
  w.ld = ld;
  w.states = ctx.scratch;
  w.g = w.states + (a.chunk + 1) * plane;
  w.errors = w.g + plane;
  w.upstream = w.errors + a.chunk * ld;
  w.throughKey = w.upstream + ld;
  w.derrors = w.throughKey + ld;
  const Range items = share(ctx, a.batch * a.heads);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t head = item % a.heads, rows = item / a.heads * a.length;
    fillOrZero(w.states, nullptr, plane);
    fillOrZero(w.g, nullptr, plane);
    if (a.dlastState) deltaCopy(w.g, ld, a.dlastState + item * size, valueDim, keyDim, valueDim);
    for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
      const int64_t start = chunk * a.chunk, count = smaller(a.chunk, a.length - start);
      deltaCopy(w.states, ld, a.chunkStates + (item * chunks + chunk) * size, valueDim, keyDim, valueDim);
      for (int64_t t = 0; t < count; t++) {
        const int64_t row = rows + start + t;
        const bool starts = a.reset && a.reset[row] != 0.0f;
        deltaToken(starts ? nullptr : w.states + t * plane, w.states + (t + 1) * plane, ld, keyDim, valueDim, nullptr,
                   a.k + row * a.ldk + head * keyDim, a.v + row * a.ldv + head * valueDim,
                   a.alpha[row * a.ldalpha + head], a.beta[row * a.ldbeta + head], w.errors + t * ld, nullptr);
      }
      for (int64_t t = count - 1; t >= 0; t--) deltaTokenBack(a, w, rows + start + t, head, t);
    }
    if (a.dstate) deltaCopy(a.dstate + item * size, valueDim, w.g, ld, keyDim, valueDim);
  }
}

}  // namespace xl
