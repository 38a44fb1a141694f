// Vectors of W floats: 16 with AVX-512, 8 with AVX2, 4 elsewhere (SSE2, NEON, WebAssembly).
// Kernels are written once against these few functions.
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#define XL_WIDTH 16
#elif defined(__AVX2__)
#define XL_WIDTH 8
#else
#define XL_WIDTH 4
#endif

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#define XL_INLINE inline __attribute__((always_inline))
#define XL_LAMBDA_INLINE __attribute__((always_inline))

// Sanitizers see plain accesses alone, not those of the intrinsics: under them the masked and the streaming ones are
// spelled out.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define XL_PLAIN_ACCESS 1
#else
#define XL_PLAIN_ACCESS 0
#endif

namespace xl {

constexpr int W = XL_WIDTH;
typedef float vf __attribute__((vector_size(XL_WIDTH * 4)));
typedef int32_t vi __attribute__((vector_size(XL_WIDTH * 4)));
typedef uint32_t vu __attribute__((vector_size(XL_WIDTH * 4)));
typedef int32_t vi_unaligned __attribute__((vector_size(XL_WIDTH * 4), aligned(4), may_alias));
typedef float vf_unaligned __attribute__((vector_size(XL_WIDTH * 4), aligned(4), may_alias));

XL_INLINE vf load(const float* p) { return *reinterpret_cast<const vf_unaligned*>(p); }
XL_INLINE void store(float* p, vf x) { *reinterpret_cast<vf_unaligned*>(p) = x; }

// A store past the caches, of a whole line where a vector is one; elsewhere a plain store. p is aligned to the vector.
// What other threads are to read needs streamFence before the barrier.
XL_INLINE void stream(float* p, vf x) {
#if defined(__AVX512F__) && !XL_PLAIN_ACCESS
  _mm512_stream_ps(p, (__m512)x);
#else
  store(p, x);
#endif
}
XL_INLINE void streamFence() {
#if defined(__AVX512F__)
  _mm_sfence();
#endif
}

XL_INLINE vi loadInts(const int32_t* p) { return *reinterpret_cast<const vi_unaligned*>(p); }
XL_INLINE vf toFloat(vi x) { return __builtin_convertvector(x, vf); }
// W signed bytes.
XL_INLINE vi loadBytes(const int8_t* p) {
#if defined(__AVX512F__)
  return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(__AVX2__)
  return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
#elif defined(__wasm_simd128__)
  return (vi)wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(p)));
#else
  return vi{p[0], p[1], p[2], p[3]};
#endif
}
// Zeros come in from the left.
XL_INLINE vi shiftRight(vi x, int bits) { return (vi)((vu)x >> bits); }

XL_INLINE vf splat(float x) { return x - vf{}; }
XL_INLINE vf zero() { return vf{}; }

XL_INLINE vi laneNumbers() {
#if XL_WIDTH == 16
  return vi{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif XL_WIDTH == 8
  return vi{0, 1, 2, 3, 4, 5, 6, 7};
#else
  return vi{0, 1, 2, 3};
#endif
}
XL_INLINE vi firstLanes(int n) { return laneNumbers() < vi{} + n; }

// The first n lanes, 0 <= n <= W; the others are 0 and their memory is not touched.
XL_INLINE vf loadFirst(const float* p, int n) {
#if XL_PLAIN_ACCESS
  vf x{};
  for (int i = 0; i < n; i++) x[i] = p[i];
  return x;
#elif defined(__AVX512F__)
  return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__)
  return (vf)_mm256_maskload_ps(p, (__m256i)firstLanes(n));
#else
  if (n == W) return load(p);
  return vf{n > 0 ? p[0] : 0, n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, 0};
#endif
}
XL_INLINE void storeFirst(float* p, vf x, int n) {
#if XL_PLAIN_ACCESS
  for (int i = 0; i < n; i++) p[i] = x[i];
#elif defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, (__m256i)firstLanes(n), (__m256)x);
#else
  if (n == W) return store(p, x);
  if (n > 0) p[0] = x[0];
  if (n > 1) p[1] = x[1];
  if (n > 2) p[2] = x[2];
#endif
}

// For loops whose last vector is short: plain loads and stores for the others, which some processors do much faster.
XL_INLINE vf loadLanes(const float* p, int n) { return n == W ? load(p) : loadFirst(p, n); }
XL_INLINE void storeLanes(float* p, vf x, int n) { n == W ? store(p, x) : storeFirst(p, x, n); }
// f(first, lanes) for the vectors of n elements.
template <class F> XL_INLINE void eachVector(int64_t n, F f) {
  int64_t c = 0;
  for (; c + W <= n; c += W) f(c, W);
  if (c < n) f(c, static_cast<int>(n - c));
}

// a * b + c in one rounding where the target has it (relaxed SIMD decides by the host).
XL_INLINE vf fma(vf a, vf b, vf c) {
#if defined(__AVX512F__)
  return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__wasm_relaxed_simd__)
  return (vf)__builtin_wasm_relaxed_madd_f32x4((__f32x4)a, (__f32x4)b, (__f32x4)c);
#else
  return a * b + c;
#endif
}

XL_INLINE vf select(vi mask, vf yes, vf no) { return mask ? yes : no; }
// The first n lanes; the others become 0.
XL_INLINE vf keepFirst(vf x, int n) { return select(firstLanes(n), x, zero()); }
// Both return b where either is NaN.
XL_INLINE vf max(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__wasm_simd128__)
  // Spelled out: from a comparison the compiler makes the relaxed maximum, which may lose a NaN.
  return (vf)wasm_f32x4_pmax((v128_t)b, (v128_t)a);
#else
  return a > b ? a : b;
#endif
}
XL_INLINE vf min(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__wasm_simd128__)
  return (vf)wasm_f32x4_pmin((v128_t)b, (v128_t)a);
#else
  return a < b ? a : b;
#endif
}
XL_INLINE vf sqrt(vf a) {
#if defined(__AVX512F__)
  return (vf)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX2__)
  return (vf)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__)
  return (vf)_mm_sqrt_ps((__m128)a);
#elif defined(__aarch64__)
  return (vf)vsqrtq_f32((float32x4_t)a);
#else
  return (vf)wasm_f32x4_sqrt((v128_t)a);
#endif
}
XL_INLINE vf abs(vf a) { return (vf)((vi)a & (vi{} + 0x7fffffff)); }

// f over all lanes, halves first: (x0 f x2) f (x1 f x3) for four.
template <class F> XL_INLINE float foldLanes(vf x, F f) {
#if XL_WIDTH == 16
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)x), 1));
  const __m256 y = f(_mm512_castps512_ps256((__m512)x), high);
#elif XL_WIDTH == 8
  const __m256 y = (__m256)x;
#endif
#if XL_WIDTH >= 8
  const __m128 z = f(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
#else
  const vf z = x;
#endif
  return f(f(z[0], z[2]), f(z[1], z[3]));
}
XL_INLINE float sum(vf x) {
  return foldLanes(x, [](auto a, auto b) XL_LAMBDA_INLINE { return a + b; });
}
XL_INLINE float maximum(vf x) {
  return foldLanes(x, [](auto a, auto b) XL_LAMBDA_INLINE { return a > b ? a : b; });
}

// A vector is W / 4 quads of 4 lanes.
#if XL_WIDTH == 16
#define XL_IN_QUADS(a, b, c, d) \
  a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12, b + 12, c + 12, d + 12
#elif XL_WIDTH == 8
#define XL_IN_QUADS(a, b, c, d) a, b, c, d, a + 4, b + 4, c + 4, d + 4
#else
#define XL_IN_QUADS(a, b, c, d) a, b, c, d
#endif
// Lane i of each quad to all lanes of that quad.
template <int i>
XL_INLINE vf splatInQuads(vf x) {
  return __builtin_shufflevector(x, x, XL_IN_QUADS(i, i, i, i));
}

// In each quad, lane j of vector i becomes lane i of vector j; 4 vectors.
XL_INLINE void transposeInQuads(vf* x) {
  const vf a = __builtin_shufflevector(x[0], x[1], XL_IN_QUADS(0, W, 1, W + 1));
  const vf b = __builtin_shufflevector(x[0], x[1], XL_IN_QUADS(2, W + 2, 3, W + 3));
  const vf c = __builtin_shufflevector(x[2], x[3], XL_IN_QUADS(0, W, 1, W + 1));
  const vf d = __builtin_shufflevector(x[2], x[3], XL_IN_QUADS(2, W + 2, 3, W + 3));
  x[0] = __builtin_shufflevector(a, c, XL_IN_QUADS(0, 1, W, W + 1));
  x[1] = __builtin_shufflevector(a, c, XL_IN_QUADS(2, 3, W + 2, W + 3));
  x[2] = __builtin_shufflevector(b, d, XL_IN_QUADS(0, 1, W, W + 1));
  x[3] = __builtin_shufflevector(b, d, XL_IN_QUADS(2, 3, W + 2, W + 3));
}

// Quad j of vector i becomes quad i of vector j; W / 4 vectors, `step` apart.
XL_INLINE void transposeQuads(vf* x, int step) {
#if XL_WIDTH == 8
  const vf a = x[0], b = x[step];
  x[0] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
  x[step] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
#elif XL_WIDTH == 16
  const auto even = [](vf a, vf b) XL_LAMBDA_INLINE {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
  };
  const auto odd = [](vf a, vf b) XL_LAMBDA_INLINE {
    return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  };
  const vf a = even(x[0], x[step]), b = odd(x[0], x[step]);
  const vf c = even(x[2 * step], x[3 * step]), d = odd(x[2 * step], x[3 * step]);
  x[0] = even(a, c);
  x[step] = even(b, d);
  x[2 * step] = odd(a, c);
  x[3 * step] = odd(b, d);
#else
  (void)x, (void)step;
#endif
}

// x[i][j] becomes x[j][i].
XL_INLINE void transpose(vf* x) {
#pragma GCC unroll 4
  for (int i = 0; i < W; i += 4) transposeInQuads(x + i);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) transposeQuads(x + i, 4);
}

// Lane i is the sum of the lanes of x[i].
XL_INLINE vf sumEach(const vf* x) {
  vf y[W / 4];
#pragma GCC unroll 4
  for (int i = 0; i < W; i += 4) {
    const vf a = __builtin_shufflevector(x[i], x[i + 1], XL_IN_QUADS(0, W, 1, W + 1)) +
                 __builtin_shufflevector(x[i], x[i + 1], XL_IN_QUADS(2, W + 2, 3, W + 3));
    const vf b = __builtin_shufflevector(x[i + 2], x[i + 3], XL_IN_QUADS(0, W, 1, W + 1)) +
                 __builtin_shufflevector(x[i + 2], x[i + 3], XL_IN_QUADS(2, W + 2, 3, W + 3));
    y[i / 4] = __builtin_shufflevector(a, b, XL_IN_QUADS(0, 1, W, W + 1)) +
               __builtin_shufflevector(a, b, XL_IN_QUADS(2, 3, W + 2, W + 3));
  }
#if XL_WIDTH == 4
  return y[0];
#elif XL_WIDTH == 8
  return __builtin_shufflevector(y[0], y[1], 0, 1, 2, 3, 8, 9, 10, 11) +
         __builtin_shufflevector(y[0], y[1], 4, 5, 6, 7, 12, 13, 14, 15);
#else
  const auto halve = [](vf a, vf b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
           __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  };
  return halve(halve(y[0], y[1]), halve(y[2], y[3]));
#endif
}
#undef XL_IN_QUADS

}  // namespace xl
