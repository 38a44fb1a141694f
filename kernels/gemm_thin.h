// Matrix products of which only n is long, B stored [k, n]: few steps (k) or few rows (m), as the gates of a few heads
// have them in the backward pass. They are bound by the memory of the long rows of B, C or the residual, which tiles
// would touch in short pieces of many rows; here they are read and written along the rows. The sums are those of
// gemmTiles(), step for step.
#pragma once
#include "ahead.h"
#include "product.h"

namespace xl {

namespace thin {
constexpr int MOST = 8;                 // steps or rows
constexpr int64_t LEAST = 64;           // columns
constexpr int64_t MEMORY = 1 << 18;     // elements of the long operand: tiles are faster on what caches hold
constexpr int64_t COLUMNS = 768;        // of one pass: MOST rows of them stay in the first-level cache
constexpr int STEPS = 4;
constexpr int VECTORS = W == 16 ? 2 : 1;

template <int N> struct Count {
  static constexpr int value = N;
};
}  // namespace thin

// One row of C of K steps; element p of the row of A lies at a[p * stepA].
template <int K>
static void thinRow(const Product& g, int64_t i, int64_t j, int64_t columns, const float* a, int64_t stepA) {
  vf x[K];
#pragma GCC unroll 8
  for (int p = 0; p < K; p++) x[p] = splat(a[p * stepA]);
  const float* b = g.b + j;
  float* c = g.c + i * g.ldc + j;
  const float* bias = g.bias ? g.bias + j : nullptr;
  const float* residual = g.residual ? g.residual + i * g.ldResidual + j : nullptr;
  const auto vector = [&](int64_t u, int part) XL_LAMBDA_INLINE {
    const auto read = [&](const float* from) XL_LAMBDA_INLINE {
      return loadLanes(from + u, part);
    };
    vf sum = zero();
    if (residual && u % 16 == 0) __builtin_prefetch(residual + 2 * g.ldResidual + u);
#pragma GCC unroll 8
    for (int p = 0; p < K; p++) sum = fma(x[p], read(b + p * g.ldb), sum);
    if (bias) sum += read(bias);
    if (residual) sum += read(residual);
    storeLanes(c + u, sum, part);
  };
  const int64_t whole = columns / W * W;
  for (int64_t u = 0; u < whole; u += W) vector(u, W);
  if (whole < columns) vector(whole, static_cast<int>(columns - whole));
}

// Adds S steps to sums [M, COLUMNS]; b is their first row, (r, s) of A lies at a[r * rowA + s * stepA].
template <int M, int S>
static void thinSteps(const float* a, int64_t rowA, int64_t stepA, const float* b, int64_t ldb, int64_t columns,
                      float* sums) {
  Ahead ahead{b + S * ldb, ldb, columns};
  const auto vectors = [&](auto count, int64_t u, int part) XL_LAMBDA_INLINE {
    constexpr int V = decltype(count)::value;
    ahead.fetch(S * V * W);
    vf acc[M][V];
#pragma GCC unroll 8
    for (int r = 0; r < M; r++)
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) acc[r][v] = load(sums + r * thin::COLUMNS + u + v * W);
#pragma GCC unroll 8
    for (int s = 0; s < S; s++) {
      vf row[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) {
        const float* from = b + s * ldb + u + v * W;
        row[v] = loadLanes(from, part);
      }
#pragma GCC unroll 8
      for (int r = 0; r < M; r++) {
        const vf x = splat(a[r * rowA + s * stepA]);
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) acc[r][v] = fma(x, row[v], acc[r][v]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < M; r++)
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) store(sums + r * thin::COLUMNS + u + v * W, acc[r][v]);
  };
  constexpr int64_t wide = thin::VECTORS * W;
  int64_t u = 0;
  for (; u + wide <= columns; u += wide) vectors(thin::Count<thin::VECTORS>(), u, W);
  for (; u < columns; u += W) vectors(thin::Count<1>(), u, static_cast<int>(smaller(W, columns - u)));
}

// M rows of C, k steps from p on.
template <int M>
static void thinRows(const Product& g, int64_t p, int64_t k, int64_t j, int64_t columns, float* sums) {
  const int64_t rowA = g.transA ? 1 : g.lda, stepA = g.transA ? g.lda : 1;
  const float* a = g.a + p * stepA;
  const float* b = g.b + p * g.ldb + j;
  for (int64_t e = 0; e < M * thin::COLUMNS; e += W) store(sums + e, zero());
  int64_t s = 0;
  for (; s + thin::STEPS <= k; s += thin::STEPS)
    thinSteps<M, thin::STEPS>(a + s * stepA, rowA, stepA, b + s * g.ldb, g.ldb, columns, sums);
  for (; s < k; s++) thinSteps<M, 1>(a + s * stepA, rowA, stepA, b + s * g.ldb, g.ldb, columns, sums);
  for (int r = 0; r < M; r++) {
    float* c = g.c + r * g.ldc + j;
    const float* bias = p == 0 && g.bias ? g.bias + j : nullptr;
    const float* residual = p > 0 ? c : g.residual ? g.residual + r * g.ldResidual + j : nullptr;
    for (int64_t u = 0; u < columns; u += W) {
      const int part = static_cast<int>(smaller(W, columns - u));
      vf x = load(sums + r * thin::COLUMNS + u);
      if (bias) x += loadFirst(bias + u, part);
      if (residual) x += loadFirst(residual + u, part);
      storeFirst(c + u, x, part);
    }
  }
}

// Whether this way is the faster one (measured); the result is the same.
static inline bool isThin(const Product& g) {
  if (g.transB || g.n < thin::LEAST) return false;
  if (g.k > 0 && g.k <= thin::MOST) return g.m * g.n >= thin::MEMORY;
  return g.transA && g.m > 0 && g.m <= thin::MOST && g.k * g.n >= thin::MEMORY;
}

// scratch: MOST * COLUMNS floats. block: the steps that gemmTiles() sums before it adds them to C.
static void thinProducts(const Product& g, int64_t block, float* scratch) {
  using Row = void (*)(const Product&, int64_t, int64_t, int64_t, const float*, int64_t);
  using Rows = void (*)(const Product&, int64_t, int64_t, int64_t, int64_t, float*);
  constexpr Row row[] = {thinRow<1>, thinRow<2>, thinRow<3>, thinRow<4>, thinRow<5>, thinRow<6>, thinRow<7>, thinRow<8>};
  constexpr Rows rows[] = {thinRows<1>, thinRows<2>, thinRows<3>, thinRows<4>,
                           thinRows<5>, thinRows<6>, thinRows<7>, thinRows<8>};
  for (int64_t j = 0; j < g.n; j += thin::COLUMNS) {
    const int64_t columns = smaller(thin::COLUMNS, g.n - j);
    if (g.k <= thin::MOST) {
      for (int64_t i = 0; i < g.m; i++)
        row[g.k - 1](g, i, j, columns, g.a + i * (g.transA ? 1 : g.lda), g.transA ? g.lda : 1);
    } else {
      for (int64_t p = 0; p < g.k; p += block) rows[g.m - 1](g, p, smaller(block, g.k - p), j, columns, scratch);
    }
  }
}

}  // namespace xl
