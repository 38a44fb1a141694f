// The cells of the recurrent scan: what one unit does in one step, forward and backward side by side, on vectors
// of units. The scan in recurrent_forward.cc and recurrent_backward.cc is the same for all of them.
//
// Forward is in two parts, each of which runs over all units before the next, so that the chains of dependent
// instructions of different units overlap. gates: wx and rec [GATES] with rec = R · y_{t−1} + b; leaves in rec what
// update needs, and in saved the planes of the mask EARLY. update: rec, previous = y_{t−1} and state [STATES] give
// the new state, the other planes of saved, and y_t. The first CELLS states are kept for the backward pass.
// backward: dy is the whole gradient of y_t; dcell [CELLS] comes in as the gradient of the state after the step and
// leaves as that of the state before it; fills dwx and drec [GATES] and returns the gradient of y_{t−1} that does
// not pass through R.
#pragma once
#include "math.h"
#include "simd.h"

namespace xl {

// x[i] / y[i] with one division for all. The y are the denominators of sigmoids and tanhs, between 1 and 2.
template <int N> XL_INLINE void divideTogether(vf* x, const vf* y) {
  vf before[N];
  before[0] = y[0];
  for (int i = 1; i < N; i++) before[i] = before[i - 1] * y[i];
  vf inverse = splat(1.0f) / before[N - 1];
  for (int i = N - 1; i > 0; i--) {
    x[i] *= before[i - 1] * inverse;
    inverse *= y[i];
  }
  x[0] *= inverse;
}

// sigmoid(x) = over / under.
struct SigmoidParts {
  vf over, under;
};
XL_INLINE SigmoidParts sigmoidParts(vf x) {
  const vf e = exp(-abs(x));
  return {select(x < 0.0f, e, splat(1.0f)), e + 1.0f};
}

template <bool EXPONENTIAL_FORGET> struct SlstmCell {
  static constexpr int GATES = 4, STATES = 3, CELLS = 2, SAVED = 5, EARLY = 0b11100;
  static constexpr bool READS_Y = false, HAS_DIRECT = false, HAS_DREC = false;

  // Leaves i, log F or f, tanh(z), σ(o).
  static XL_INLINE void gates(const vf* wx, vf* rec, vf* saved) {
    const vf f = wx[1] + rec[1], z = wx[2] + rec[2], t = tanhTerm(z);
    const SigmoidParts o = sigmoidParts(wx[3] + rec[3]);
    vf over[3] = {o.over, t, splat(1.0f)};
    vf logForget = f;
    if (EXPONENTIAL_FORGET) {
      const vf under[] = {o.under, t + 2.0f};
      divideTogether<2>(over, under);
    } else {
      const vf e = exp(-abs(f)), under[] = {o.under, t + 2.0f, e + 1.0f};
      over[2] = select(f < 0.0f, splat(1.0f), e);
      divideTogether<3>(over, under);
      logForget = min(f, zero()) - log1pUnit(e);
    }
    rec[0] += wx[0];
    rec[1] = logForget;
    rec[2] = saved[2] = withSignOf(over[1], z);
    rec[3] = saved[3] = over[0];
    saved[4] = over[2];
  }

  // With d = l − i one of the gates exp(i − m), exp(l − m) is 1 and the other exp(−|d|), m being their maximum. Where
  // n is 0, m is i: then I is 1 and F, clamped to 1, stays what it was.
  static XL_INLINE vf update(const vf* rec, vf, vf* state, vf* saved) {
    const vf i = rec[0], l = state[2] + rec[1], d = l - i, e = exp(-abs(d));
    const vi keeps = d > 0.0f, fresh = state[1] == 0.0f;
    const vf I = select(keeps & ~fresh, e, splat(1.0f)), F = select(keeps, splat(1.0f), e);
    state[0] = fma(F, state[0], I * rec[2]);
    state[1] = fma(F, state[1], I);
    state[2] = select(keeps & ~fresh, l, i);
    saved[0] = I, saved[1] = F;
    return rec[3] * state[0] / state[1];
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
  static constexpr int GATES = 4, STATES = 1, CELLS = 1, SAVED = 4, EARLY = 0b1111;
  static constexpr bool READS_Y = false, HAS_DIRECT = false, HAS_DREC = false;

  // Leaves σ(i), σ(f), tanh(z), σ(o).
  static XL_INLINE void gates(const vf* wx, vf* rec, vf* saved) {
    const vf z = wx[2] + rec[2], t = tanhTerm(z);
    const SigmoidParts i = sigmoidParts(wx[0] + rec[0]), f = sigmoidParts(wx[1] + rec[1]);
    const SigmoidParts o = sigmoidParts(wx[3] + rec[3]);
    vf over[] = {i.over, f.over, t, o.over};
    const vf under[] = {i.under, f.under, t + 2.0f, o.under};
    divideTogether<4>(over, under);
    over[2] = withSignOf(over[2], z);
    for (int g = 0; g < GATES; g++) rec[g] = saved[g] = over[g];
  }

  static XL_INLINE vf update(const vf* rec, vf, vf* state, vf*) {
    state[0] = fma(rec[1], state[0], rec[0] * rec[2]);
    return rec[3] * tanh(state[0]);
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
  static constexpr int GATES = 3, STATES = 0, CELLS = 0, SAVED = 4, EARLY = 0b1011;
  static constexpr bool READS_Y = true, HAS_DIRECT = true, HAS_DREC = true;

  // Leaves z and the pre-activation of ñ.
  static XL_INLINE void gates(const vf* wx, vf* rec, vf* saved) {
    const SigmoidParts r = sigmoidParts(wx[0] + rec[0]), z = sigmoidParts(wx[1] + rec[1]);
    vf over[] = {r.over, z.over};
    const vf under[] = {r.under, z.under};
    divideTogether<2>(over, under);
    saved[0] = over[0], saved[1] = over[1], saved[3] = rec[2];
    rec[1] = over[1];
    rec[2] = fma(over[0], rec[2], wx[2]);
  }

  static XL_INLINE vf update(const vf* rec, vf previous, vf*, vf* saved) {
    const vf n = tanh(rec[2]);
    saved[2] = n;
    return fma(rec[1], previous - n, n);
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
  static constexpr int GATES = 1, STATES = 0, CELLS = 0, SAVED = 0, EARLY = 0;
  static constexpr bool READS_Y = true, HAS_DIRECT = false, HAS_DREC = false;

  static XL_INLINE void gates(const vf* wx, vf* rec, vf*) { rec[0] += wx[0]; }

  static XL_INLINE vf update(const vf* rec, vf, vf*, vf*) { return tanh(rec[0]); }

  static XL_INLINE vf backward(vf dy, vf y, const vf*, const vf*, const vf*, vf*, vf* dwx, vf*) {
    dwx[0] = dy * (splat(1.0f) - y * y);
    return zero();
  }
};

}  // namespace xl
