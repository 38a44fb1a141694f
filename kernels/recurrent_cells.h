// The cells of the recurrent scan: what one unit does in one step, forward and backward side by side, on vectors
// of units. The scan in recurrent_forward.cc and recurrent_backward.cc is the same for all of them.
//
// forward: wx and rec [GATES] with rec = R · y_{t−1} + b, previous = y_{t−1}; updates state [STATES], fills
// saved [SAVED] and returns y_t. The first CELLS states are kept for the backward pass.
// backward: dy is the whole gradient of y_t; dcell [CELLS] comes in as the gradient of the state after the step and
// leaves as that of the state before it; fills dwx and drec [GATES] and returns the gradient of y_{t−1} that does
// not pass through R.
#pragma once
#include "math.h"
#include "simd.h"

namespace xl {

template <bool EXPONENTIAL_FORGET> struct SlstmCell {
  static constexpr int GATES = 4, STATES = 3, CELLS = 2, SAVED = 5;
  static constexpr bool READS_Y = false, DIRECT = false, DREC = false;

  // With d = l − i one of the gates exp(i − m), exp(l − m) is 1 and the other exp(−|d|), m being their maximum. Where
  // n is 0, m is i: then I is 1 and F, clamped to 1, stays what it was.
  static XL_INLINE vf forward(const vf* wx, const vf* rec, vf, vf* state, vf* saved) {
    const vf i = wx[0] + rec[0], f = wx[1] + rec[1];
    const vf z = tanh(wx[2] + rec[2]), o = sigmoid(wx[3] + rec[3]);
    vf logForget = f, slope = splat(1.0f);
    if (!EXPONENTIAL_FORGET) {
      const vf e = exp(-abs(f)), share = splat(1.0f) / (e + 1.0f);
      slope = select(f < 0.0f, share, e * share);
      logForget = min(f, zero()) - log1pUnit(e);
    }
    const vf l = state[2] + logForget, d = l - i, e = exp(-abs(d));
    const vi keeps = d > 0.0f, fresh = state[1] == 0.0f;
    const vf I = select(keeps & ~fresh, e, splat(1.0f)), F = select(keeps, splat(1.0f), e);
    state[0] = fma(F, state[0], I * z);
    state[1] = fma(F, state[1], I);
    state[2] = select(keeps & ~fresh, l, i);
    saved[0] = I, saved[1] = F, saved[2] = z, saved[3] = o, saved[4] = slope;
    return o * state[0] / state[1];
  }

  // m is a constant: y = σ(o) c / n does not depend on it.
  static XL_INLINE vf backward(vf dy, vf, const vf* saved, const vf* cell, const vf* before, vf* dcell, vf* dwx, vf*) {
    const vf I = saved[0], F = saved[1], z = saved[2], o = saved[3], slope = saved[4];
    const vf inverse = splat(1.0f) / cell[1], h = cell[0] * inverse, scaled = dy * o * inverse;
    const vf dc = dcell[0] + scaled, dn = dcell[1] - scaled * h;
    dwx[0] = I * fma(z, dc, dn);
    dwx[1] = F * fma(dc, before[0], dn * before[1]) * slope;
    dwx[2] = dc * I * (splat(1.0f) - z * z);
    dwx[3] = dy * o * (splat(1.0f) - o) * h;
    dcell[0] = F * dc;
    dcell[1] = F * dn;
    return zero();
  }
};

struct LstmCell {
  static constexpr int GATES = 4, STATES = 1, CELLS = 1, SAVED = 4;
  static constexpr bool READS_Y = false, DIRECT = false, DREC = false;

  static XL_INLINE vf forward(const vf* wx, const vf* rec, vf, vf* state, vf* saved) {
    const vf i = sigmoid(wx[0] + rec[0]), f = sigmoid(wx[1] + rec[1]);
    const vf z = tanh(wx[2] + rec[2]), o = sigmoid(wx[3] + rec[3]);
    state[0] = fma(f, state[0], i * z);
    saved[0] = i, saved[1] = f, saved[2] = z, saved[3] = o;
    return o * tanh(state[0]);
  }

  static XL_INLINE vf backward(vf dy, vf, const vf* saved, const vf* cell, const vf* before, vf* dcell, vf* dwx, vf*) {
    const vf i = saved[0], f = saved[1], z = saved[2], o = saved[3], one = splat(1.0f);
    const vf h = tanh(cell[0]), dc = fma(dy * o, one - h * h, dcell[0]);
    dwx[0] = dc * z * i * (one - i);
    dwx[1] = dc * before[0] * f * (one - f);
    dwx[2] = dc * i * (one - z * z);
    dwx[3] = dy * h * o * (one - o);
    dcell[0] = dc * f;
    return zero();
  }
};

struct GruCell {
  static constexpr int GATES = 3, STATES = 0, CELLS = 0, SAVED = 4;
  static constexpr bool READS_Y = true, DIRECT = true, DREC = true;

  static XL_INLINE vf forward(const vf* wx, const vf* rec, vf previous, vf*, vf* saved) {
    const vf r = sigmoid(wx[0] + rec[0]), z = sigmoid(wx[1] + rec[1]);
    const vf n = tanh(fma(r, rec[2], wx[2]));
    saved[0] = r, saved[1] = z, saved[2] = n, saved[3] = rec[2];
    return fma(z, previous - n, n);
  }

  // z (y_{t−1} − ñ) = y_t − ñ gives the update gate's gradient without y_{t−1}.
  static XL_INLINE vf backward(vf dy, vf y, const vf* saved, const vf*, const vf*, vf*, vf* dwx, vf* drec) {
    const vf r = saved[0], z = saved[1], n = saved[2], one = splat(1.0f);
    const vf dn = dy * (one - z) * (one - n * n);
    dwx[0] = dn * saved[3] * r * (one - r);
    dwx[1] = dy * (y - n) * (one - z);
    dwx[2] = dn;
    drec[0] = dwx[0], drec[1] = dwx[1], drec[2] = dn * r;
    return dy * z;
  }
};

struct RnnCell {
  static constexpr int GATES = 1, STATES = 0, CELLS = 0, SAVED = 0;
  static constexpr bool READS_Y = true, DIRECT = false, DREC = false;

  static XL_INLINE vf forward(const vf* wx, const vf* rec, vf, vf*, vf*) { return tanh(wx[0] + rec[0]); }

  static XL_INLINE vf backward(vf dy, vf y, const vf*, const vf*, const vf*, vf*, vf* dwx, vf*) {
    dwx[0] = dy * (splat(1.0f) - y * y);
    return zero();
  }
};

}  // namespace xl
