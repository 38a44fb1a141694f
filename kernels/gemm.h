// Matrix products on one thread: register tiles of MR rows by up to NV vectors of columns, panels packed where that
// pays. Each element of C is one chain of fused multiply-adds along k within a block of KC, and the blocks are
// added in order: the result of an element does not depend on which tile or thread computes it.
#pragma once
#include "simd.h"

namespace xl {

namespace tile {
#if XL_WIDTH == 16
constexpr int MR = 8, NV = 3;
#elif XL_WIDTH == 8
constexpr int MR = 6, NV = 2;
#elif defined(__aarch64__)
constexpr int MR = 8, NV = 3;
#else
constexpr int MR = 4, NV = 2;
#endif
// A block of packed B, KC x NC, stays in the second-level cache while all rows of A pass; MC bounds a packed A.
constexpr int KC = 256, NC = 512, MC = 96;

XL_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
}  // namespace tile

// Floats of scratch that matmul and gemmBlock may use.
constexpr int64_t GEMM_SCRATCH = tile::KC * (tile::NC + W) + tile::MC * tile::KC + 16;

// C[m, n] = op(A)[m, k] op(B)[k, n] + bias[n] + residual[m, n]; bias and residual may be absent, residual may be C.
struct Product {
  int64_t m, n, k;
  const float* a;
  int64_t lda;
  bool transA;
  const float* b;
  int64_t ldb;
  bool transB;
  float* c;
  int64_t ldc;
  const float* bias;
  const float* residual;
  int64_t ldResidual;
};

// What a tile adds to its sums, and where they go. `last` is the number of columns of its last vector.
struct TileEnd {
  float* c;
  int64_t ldc;
  const float* bias;
  const float* residual;
  int64_t ldResidual;
  int last;
};

// R rows by V vectors. Element (r, p) of A lies at a[r * rowA + p * stepA]; row p of B at b + p * ldb.
template <int R, int V>
static void gemmTile(int64_t k, const float* a, int64_t rowA, int64_t stepA, const float* b, int64_t ldb, const TileEnd& end) {
  vf acc[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[r][v] = zero();
  for (int64_t p = 0; p < k; p++) {
    vf row[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) row[v] = load(b + v * W);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const vf x = splat(a[r * rowA]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[r][v] = fma(x, row[v], acc[r][v]);
    }
    a += stepA;
    b += ldb;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      vf x = acc[r][v];
      float* c = end.c + r * end.ldc + v * W;
      if (v + 1 < V || end.last == W) {
        if (end.bias) x += load(end.bias + v * W);
        if (end.residual) x += load(end.residual + r * end.ldResidual + v * W);
        store(c, x);
      } else {
        if (end.bias) x += loadFirst(end.bias + v * W, end.last);
        if (end.residual) x += loadFirst(end.residual + r * end.ldResidual + v * W, end.last);
        storeFirst(c, x, end.last);
      }
    }
}

using GemmTile = void (*)(int64_t, const float*, int64_t, int64_t, const float*, int64_t, const TileEnd&);

template <int V>
static GemmTile gemmTileOfRows(int rows) {
  switch (rows) {
    case 1: return gemmTile<1, V>;
    case 2: return gemmTile<2, V>;
    case 3: return gemmTile<3, V>;
#if XL_WIDTH > 4 || defined(__aarch64__)
    case 4: return gemmTile<4, V>;
    case 5: return gemmTile<5, V>;
#endif
#if XL_WIDTH == 16 || defined(__aarch64__)
    case 6: return gemmTile<6, V>;
    case 7: return gemmTile<7, V>;
#endif
    default: return gemmTile<tile::MR, V>;
  }
}
static inline GemmTile gemmTileOf(int rows, int vectors) {
  if (vectors == 1) return gemmTileOfRows<1>(rows);
  if (vectors == 2) return gemmTileOfRows<2>(rows);
  return gemmTileOfRows<tile::NV>(rows);
}

// The next tile takes this many of `left` rows or vectors: full tiles, but no thin one at the end.
static inline int tileTake(int64_t left, int full) {
  if (left <= full) return static_cast<int>(left);
  if (left < full + (full + 1) / 2) return static_cast<int>((left + 1) / 2);
  return full;
}

// Columns [j, j + vectors * W) of op(B), rows [p, p + k): out [k, vectors * W], columns from n on are 0.
static void packColumns(const Product& g, int64_t p, int64_t k, int64_t j, int vectors, float* out) {
  const int width = vectors * W;
  for (int v = 0; v < vectors; v++) {
    const int64_t first = j + v * W;
    const int columns = static_cast<int>(tile::smaller(W, g.n - first));
    float* to = out + v * W;
    if (!g.transB) {
      const float* from = g.b + p * g.ldb + first;
      if (columns == W)
        for (int64_t i = 0; i < k; i++) store(to + i * width, load(from + i * g.ldb));
      else
        for (int64_t i = 0; i < k; i++) store(to + i * width, loadFirst(from + i * g.ldb, columns));
      continue;
    }
    const float* from = g.b + first * g.ldb + p;
    int64_t i = 0;
    for (; i < k; i += W) {
      const int steps = static_cast<int>(tile::smaller(W, k - i));
      vf x[W];
#pragma GCC unroll 16
      for (int c = 0; c < W; c++) {
        x[c] = c >= columns ? zero() : steps == W ? load(from + c * g.ldb + i) : loadFirst(from + c * g.ldb + i, steps);
      }
      transpose(x);
      if (steps == W) {
#pragma GCC unroll 16
        for (int s = 0; s < W; s++) store(to + (i + s) * width, x[s]);
      } else {
        for (int s = 0; s < steps; s++) store(to + (i + s) * width, x[s]);
      }
    }
  }
}

// Rows [i, i + rows) of op(A) where A is stored [k, m]: out [k, rows].
static void packRows(const Product& g, int64_t p, int64_t k, int64_t i, int rows, float* out) {
  const float* from = g.a + p * g.lda + i;
  for (int64_t q = 0; q < k; q++)
    for (int r = 0; r < rows; r++) out[q * rows + r] = from[q * g.lda + r];
}

static void gemmBlock(const Product& g, float* scratch) {
  scratch = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(scratch) + 63) & ~uintptr_t(63));
  float* packedB = scratch;
  float* packedA = scratch + tile::KC * (tile::NC + W);
  for (int64_t j0 = 0; j0 < g.n; j0 += tile::NC) {
    const int64_t columns = tile::smaller(tile::NC, g.n - j0);
    const int64_t vectors = (columns + W - 1) / W;
    for (int64_t p = 0; p == 0 || p < g.k; p += tile::KC) {
      const int64_t k = tile::smaller(tile::KC, g.k - p);
      for (int64_t v = 0; v < vectors;) {
        const int take = tileTake(vectors - v, tile::NV);
        packColumns(g, p, k, j0 + v * W, take, packedB + v * W * k);
        v += take;
      }
      for (int64_t i0 = 0; i0 < g.m; i0 += tile::MC) {
        const int64_t rows = tile::smaller(tile::MC, g.m - i0);
        if (g.transA) {
          for (int64_t i = 0; i < rows;) {
            const int take = tileTake(rows - i, tile::MR);
            packRows(g, p, k, i0 + i, take, packedA + i * k);
            i += take;
          }
        }
        for (int64_t i = 0; i < rows;) {
          const int take = tileTake(rows - i, tile::MR);
          const float* a = g.transA ? packedA + i * k : g.a + (i0 + i) * g.lda + p;
          const int64_t rowA = g.transA ? 1 : g.lda, stepA = g.transA ? take : 1;
          for (int64_t v = 0; v < vectors;) {
            const int wide = tileTake(vectors - v, tile::NV);
            const int64_t j = j0 + v * W;
            TileEnd end;
            end.c = g.c + (i0 + i) * g.ldc + j;
            end.ldc = g.ldc;
            end.bias = p == 0 && g.bias ? g.bias + j : nullptr;
            end.residual = p > 0 ? end.c : g.residual ? g.residual + (i0 + i) * g.ldResidual + j : nullptr;
            end.ldResidual = p > 0 ? g.ldc : g.ldResidual;
            end.last = static_cast<int>(tile::smaller(W, g.n - j - (wide - 1) * W));
            gemmTileOf(take, wide)(k, a, rowA, stepA, packedB + v * W * k, wide * W, end);
            v += wide;
          }
          i += take;
        }
      }
    }
  }
}

// C = op(A) op(B), or C += op(A) op(B). A is stored [m, k] (transA: [k, m]), B [k, n] (transB: [n, k]).
// Uses at most GEMM_SCRATCH floats of scratch.
static inline void matmul(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, bool transA, const float* b,
                          int64_t ldb, bool transB, float* c, int64_t ldc, bool accumulate, float* scratch) {
  gemmBlock({m, n, k, a, lda, transA, b, ldb, transB, c, ldc, nullptr, accumulate ? c : nullptr, ldc}, scratch);
}

}  // namespace xl
