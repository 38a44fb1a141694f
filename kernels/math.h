// Elementary functions on vectors. The polynomials are minimax fits made for these ranges; errors are about 1 ulp
// for exp and log and below 5e-7 relative for the others. NaN in gives NaN out: training detects divergence by it.
#pragma once
#include "simd.h"

namespace xl {

constexpr float LOG2_E = 1.44269504f;
// LN2_HIGH has 9 significant bits, so that its product with an exponent is exact.
constexpr float LN2_HIGH = 0.693359375f;
constexpr float LN2_LOW = -2.12194440e-4f;

// Bit patterns are unsigned where they may overflow.
typedef uint32_t vu __attribute__((vector_size(XL_WIDTH * 4)));
XL_INLINE vi splatInt(int32_t x) { return vi{} + x; }
XL_INLINE vf withSignOf(vf magnitude, vf sign) {
  return (vf)(((vi)magnitude & splatInt(0x7fffffff)) | ((vi)sign & splatInt(INT32_MIN)));
}

// c[0] + c[1] x + … + c[N-1] x^(N-1).
template <int N> XL_INLINE vf polynomial(vf x, const float (&c)[N]) {
  vf y = splat(c[N - 1]);
  for (int i = N - 2; i >= 0; i--) y = fma(y, x, splat(c[i]));
  return y;
}

// x = n · ln 2 + r with |r| <= ln 2 / 2, n an integer; shifted = n + ROUND, tail = exp(r) - 1.
struct Reduced {
  vf shifted, tail;
};
// 1.5 · 2^23: adding it rounds to an integer, which is then in the low bits.
constexpr float ROUND = 12582912.0f;
XL_INLINE Reduced reduceExp(vf x) {
  constexpr float c[] = {0.5f, 1.666651666e-01f, 4.166619852e-02f, 8.369239047e-03f, 1.395109808e-03f};
  const vf shifted = fma(x, splat(LOG2_E), splat(ROUND));
  const vf n = shifted - ROUND;
  const vf r = fma(n, splat(-LN2_LOW), fma(n, splat(-LN2_HIGH), x));
  return {shifted, fma(r * r, polynomial(r, c), r)};
}
// 2^(n + offset), 0 where that is -127.
XL_INLINE vf power(const Reduced& e, uint32_t offset) { return (vf)(((vu)e.shifted << 23) + ((127 + offset) << 23)); }

// Results below 1.7e-38 may be 0.
XL_INLINE vf exp(vf x) {
  // With x second a NaN passes min and max.
#if defined(__AVX512F__)
  const Reduced e = reduceExp(max(splat(-104.0f), min(splat(89.0f), x)));
  return (vf)_mm512_scalef_ps((__m512)(e.tail + 1.0f), (__m512)(e.shifted - ROUND));
#else
  const Reduced e = reduceExp(max(splat(-87.3f), min(splat(89.0f), x)));
  // n is up to 128, which a power of two cannot reach: 2 · exp(r) · 2^(n - 1).
  return fma(e.tail, splat(2.0f), splat(2.0f)) * power(e, -1u);
#endif
}

// log(1 + f) for f in [√½ - 1, √2 - 1], less the leading f.
XL_INLINE vf logTail(vf f) {
  constexpr float c[] = {3.333333135e-01f, -2.500083148e-01f, 2.000124454e-01f, -1.662293077e-01f,
                         1.420097798e-01f, -1.316382587e-01f, 1.276928484e-01f, -7.634288818e-02f};
  const vf f2 = f * f;
  return fma(f2, splat(-0.5f), f2 * f * polynomial(f, c));
}

XL_INLINE vf log(vf x) {
  const vi subnormal = x < 1.17549435e-38f;
  const vi sqrtHalf = splatInt(0x3f3504f3);
  const vi bits = (vi)((vu)select(subnormal, x * 8388608.0f, x) - (vu)sqrtHalf);
  const vf e = __builtin_convertvector((bits >> 23) - (subnormal & 23), vf);
  const vf f = (vf)((bits & 0x7fffff) + sqrtHalf) - 1.0f;
  const vf y = fma(e, splat(LN2_HIGH), fma(e, splat(LN2_LOW), logTail(f)) + f);
  const vf limit = select(x == 0.0f, splat(-__builtin_inff()), select(x > 0.0f, x, splat(__builtin_nanf(""))));
  return select((x > 0.0f) & (x < __builtin_inff()), y, limit);
}

// Far below 0 the exponential is infinite and the result 0.
XL_INLINE vf sigmoid(vf x) { return splat(1.0f) / (exp(-x) + 1.0f); }

// SiLU(x) = x σ(x); its slope is σ + SiLU (1 - σ).
XL_INLINE vf silu(vf x) { return x * sigmoid(x); }
struct SiluParts {
  vf value, slope;
};
XL_INLINE SiluParts siluParts(vf x) {
  const vf s = sigmoid(x), value = x * s;
  return {value, fma(value, splat(1.0f) - s, s)};
}

// log(1 + e) for e in [0, 1].
XL_INLINE vf log1pUnit(vf e) {
  constexpr float c[] = {-4.999964833e-01f, 3.332132399e-01f, -2.485716343e-01f, 1.915365607e-01f,
                         -1.375380307e-01f, 7.920454443e-02f, -3.006579913e-02f, 5.364826415e-03f};
  return fma(e * e, polynomial(e, c), e);
}

XL_INLINE vf logSigmoid(vf x) { return min(x, zero()) - log1pUnit(exp(-abs(x))); }

// t = exp(-2|x|) - 1, which keeps its relative accuracy near 0: tanh|x| = -t / (2 + t). 40 is past 1.0f.
XL_INLINE vf tanhTerm(vf x) {
  const Reduced e = reduceExp(max(splat(-40.0f), abs(x) * -2.0f));
  const vf p = power(e, 0);
  return fma(p, e.tail, p - 1.0f);
}
XL_INLINE vf tanh(vf x) {
  const vf t = tanhTerm(x);
  return withSignOf(t / (t + 2.0f), x);
}

XL_INLINE vf erf(vf x) {
  constexpr float inner[] = {1.128379107e+00f, -3.761233389e-01f, 1.128022969e-01f,
                             -2.671243064e-02f, 4.918657709e-03f, -5.635405541e-04f};
  // log(1 - erf(a)) for a in [1, 4]; past 4 erf is 1.0f.
  constexpr float outer[] = {-2.662791405e-03f, -1.117468357e+00f, -6.544495225e-01f,
                             -8.865955472e-02f, 1.478611305e-02f, -1.151406090e-03f};
  const vf a = abs(x);
  const vf far = splat(1.0f) - exp(polynomial(min(splat(4.0f), a), outer));
  return select(a < 1.0f, x * polynomial(x * x, inner), withSignOf(far, x));
}

XL_INLINE float expScalar(float x) { return exp(splat(x))[0]; }
XL_INLINE float logScalar(float x) { return log(splat(x))[0]; }
XL_INLINE float tanhScalar(float x) { return tanh(splat(x))[0]; }
XL_INLINE float sigmoidScalar(float x) { return sigmoid(splat(x))[0]; }
XL_INLINE float logSigmoidScalar(float x) { return logSigmoid(splat(x))[0]; }
XL_INLINE float erfScalar(float x) { return erf(splat(x))[0]; }

}  // namespace xl
