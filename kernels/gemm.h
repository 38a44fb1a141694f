// Matrix products on one thread: register tiles of MR rows by up to NV vectors of columns, panels packed where that
// pays. Each element of C is one chain of fused multiply-adds along k within a block of KC, and the blocks are
// added in order: the result of an element does not depend on which tile or thread computes it.
#pragma once
#include "gemm_dot.h"
#include "gemm_thin.h"
#include "product.h"

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
// Up to this many rows, B [k, n] is used too little to be worth packing.
constexpr int UNPACKED_ROWS = 64;
}  // namespace tile

// The first cache line that begins in a scratch.
static inline float* nextLine(float* scratch) {
  return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(scratch) + 63) & ~uintptr_t(63));
}

// What matmul and gemmTiles use of a thread's scratch.
static_assert(tile::KC * (tile::NC + W) + tile::MC * tile::KC + 16 <= GEMM_SCRATCH, "packed B, packed A, alignment");
static_assert(thin::MOST * thin::COLUMNS <= GEMM_SCRATCH, "sums of thinProducts");

// What a tile adds to its sums, and where they go. `last` is the number of columns of its last vector.
struct TileEnd {
  float* c;
  int64_t ldc;
  const float* bias;
  const float* residual;
  int64_t ldResidual;
  int last;
};

// Clears the sums of a tile and fetches where they go.
template <int R, int V> XL_INLINE void beginTile(vf (&acc)[R][V], const TileEnd& end) {
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int line = 0; line < V * W; line += 16) __builtin_prefetch(end.c + r * end.ldc + line, 1);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[r][v] = zero();
  }
}

template <int R, int V> XL_INLINE void endTile(vf (&acc)[R][V], const TileEnd& end) {
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

// The end of a tile of the rows from i on and `wide` vectors of columns from j on. What is not the first block along k is
// added to what C holds.
static inline TileEnd tileEnd(const Product& g, int64_t i, int64_t j, int wide, bool first) {
  TileEnd end;
  end.c = g.c + i * g.ldc + j;
  end.ldc = g.ldc;
  end.bias = first && g.bias ? g.bias + j : nullptr;
  end.residual = !first ? end.c : g.residual ? g.residual + i * g.ldResidual + j : nullptr;
  end.ldResidual = first ? g.ldResidual : g.ldc;
  end.last = static_cast<int>(smaller(W, g.n - j - (wide - 1) * W));
  return end;
}

// R rows by V vectors. Element (r, p) of A lies at a[r * rowA + p * stepA]; row p of B at b + p * ldb.
template <int R, int V>
static void gemmTile(int64_t k, const float* a, int64_t rowA, int64_t stepA, const float* b, int64_t ldb,
                     const TileEnd& end) {
  vf acc[R][V];
  beginTile<R, V>(acc, end);
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
  endTile<R, V>(acc, end);
}

// Sums of float32 products.
struct GemmTiles {
  using Tile = void (*)(int64_t, const float*, int64_t, int64_t, const float*, int64_t, const TileEnd&);
  template <int R, int V> static constexpr Tile of = gemmTile<R, V>;
};

// The tile of so many rows and vectors, of `Tiles`.
template <class Tiles, int V> static typename Tiles::Tile tileOfRows(int rows) {
  switch (rows) {
    case 1: return Tiles::template of<1, V>;
    case 2: return Tiles::template of<2, V>;
    case 3: return Tiles::template of<3, V>;
#if XL_WIDTH > 4 || defined(__aarch64__)
    case 4: return Tiles::template of<4, V>;
    case 5: return Tiles::template of<5, V>;
#endif
#if XL_WIDTH == 16 || defined(__aarch64__)
    case 6: return Tiles::template of<6, V>;
    case 7: return Tiles::template of<7, V>;
#endif
    default: return Tiles::template of<tile::MR, V>;
  }
}
template <class Tiles> static inline typename Tiles::Tile tileOf(int rows, int vectors) {
  if (vectors == 1) return tileOfRows<Tiles, 1>(rows);
  if (vectors == 2) return tileOfRows<Tiles, 2>(rows);
  return tileOfRows<Tiles, tile::NV>(rows);
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
  if (!g.transB && vectors == tile::NV && j + width <= g.n) {
    const float* from = g.b + p * g.ldb + j;
    for (int64_t i = 0; i < k; i++)
#pragma GCC unroll 4
      for (int v = 0; v < tile::NV; v++) store(out + i * width + v * W, load(from + i * g.ldb + v * W));
    return;
  }
  for (int v = 0; v < vectors; v++) {
    const int64_t first = j + v * W;
    const int columns = static_cast<int>(smaller(W, g.n - first));
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
    for (int64_t i = 0; i < k; i += W) {
      const int steps = static_cast<int>(smaller(W, k - i));
      vf x[W];
      if (steps == W && columns == W) {
#pragma GCC unroll 16
        for (int c = 0; c < W; c++) x[c] = load(from + c * g.ldb + i);
      } else {
#pragma GCC unroll 16
        for (int c = 0; c < W; c++) x[c] = c < columns ? loadFirst(from + c * g.ldb + i, steps) : zero();
      }
      transpose(x);
      for (int s = 0; s < steps; s++) store(to + (i + s) * width, x[s]);
    }
  }
}

// Rows [i, i + rows) of op(A) where A is stored [k, m], one panel [k, MR or what tileTake says] after the other. A few
// steps at a time: A is read along its rows, and each panel is written in whole cache lines.
static void packRows(const Product& g, int64_t p, int64_t k, int64_t i, int64_t rows, float* out) {
  const float* from = g.a + p * g.lda + i;
  for (int64_t q0 = 0; q0 < k; q0 += 8) {
    const int64_t end = smaller(k, q0 + 8);
    for (int64_t r = 0; r < rows;) {
      const int take = tileTake(rows - r, tile::MR);
      float* to = out + r * k;
      if (take == tile::MR)
        for (int64_t q = q0; q < end; q++)
          __builtin_memcpy(to + q * tile::MR, from + q * g.lda + r, tile::MR * sizeof(float));
      else
        for (int64_t q = q0; q < end; q++)
          for (int s = 0; s < take; s++) to[q * take + s] = from[q * g.lda + r + s];
      r += take;
    }
  }
}

// Panels of columns of one block: [k, width] each, in place for all but a last narrow one, or packed.
struct BlockB {
  const float* inPlace;  // row p, column j0 of B, or null
  int64_t ldb;
  const float* packed;
};

// All columns of one block for `take` rows from i on, k steps from p on; a and its strides as in gemmTile.
static void gemmRow(const Product& g, int64_t i, int take, int64_t p, int64_t k, int64_t j0, int64_t vectors,
                    const float* a, int64_t rowA, int64_t stepA, const BlockB& b) {
  // The rows that come next are fetched while these are used, if they are stored along k and not packed.
  const float* next = g.a + (i + take) * g.lda + p;
  int64_t fetched = g.transA ? k : 0;
  for (int64_t v = 0; v < vectors;) {
    const int wide = tileTake(vectors - v, tile::NV);
    const int64_t j = j0 + v * W;
    const TileEnd end = tileEnd(g, i, j, wide, p == 0);
    for (const int64_t until = smaller(k, fetched + 32); fetched < until; fetched += 16)
      for (int r = 0; r < tile::MR; r++) __builtin_prefetch(next + r * g.lda + fetched, 0, 2);
    const GemmTiles::Tile tile = tileOf<GemmTiles>(take, wide);
    if (b.inPlace && j + wide * W <= g.n) tile(k, a, rowA, stepA, b.inPlace + v * W, b.ldb, end);
    else tile(k, a, rowA, stepA, b.packed + v * W * k, wide * W, end);
    v += wide;
  }
}

static void gemmTiles(const Product& g, float* scratch) {
  scratch = nextLine(scratch);
  if (isThin(g)) return thinProducts(g, tile::KC, scratch);
  float* packedB = scratch;
  float* packedA = scratch + tile::KC * (tile::NC + W);
  const bool unpackedB = !g.transB && g.m <= tile::UNPACKED_ROWS;
  // A stored [k, m] is packed, unless a single panel of columns reads it.
  const bool packA = g.transA && g.n > tile::NV * W;
  for (int64_t j0 = 0; j0 < g.n; j0 += tile::NC) {
    const int64_t vectors = (smaller(tile::NC, g.n - j0) + W - 1) / W;
    for (int64_t p = 0; p == 0 || p < g.k; p += tile::KC) {
      const int64_t k = smaller(tile::KC, g.k - p);
      for (int64_t v = 0; v < vectors;) {
        const int wide = tileTake(vectors - v, tile::NV);
        if (!unpackedB || j0 + (v + wide) * W > g.n) packColumns(g, p, k, j0 + v * W, wide, packedB + v * W * k);
        v += wide;
      }
      const BlockB b{unpackedB ? g.b + p * g.ldb + j0 : nullptr, g.ldb, packedB};
      for (int64_t i0 = 0; i0 < g.m; i0 += tile::MC) {
        const int64_t end = smaller(g.m, i0 + tile::MC);
        if (packA) packRows(g, p, k, i0, end - i0, packedA);
        for (int64_t i = i0; i < end;) {
          const int take = tileTake(end - i, tile::MR);
          if (packA) gemmRow(g, i, take, p, k, j0, vectors, packedA + (i - i0) * k, 1, take, b);
          else if (g.transA) gemmRow(g, i, take, p, k, j0, vectors, g.a + p * g.lda + i, 1, g.lda, b);
          else gemmRow(g, i, take, p, k, j0, vectors, g.a + i * g.lda + p, g.lda, 1, b);
          i += take;
        }
      }
    }
  }
}

// Whether dotProducts() is the faster way (measured), which has to be decided for a whole product, not a part.
static inline bool prefersDots(const Product& g) {
  return !g.transA && g.transB && g.k >= 32 && (g.m <= 24 || g.n <= 12);
}

// C = op(A) op(B), or C += op(A) op(B). A is stored [m, k] (transA: [k, m]), B [k, n] (transB: [n, k]).
// Uses at most GEMM_SCRATCH floats of scratch.
static inline void matmul(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, bool transA, const float* b,
                          int64_t ldb, bool transB, float* c, int64_t ldc, bool accumulate, float* scratch) {
  const Product g{m, n, k, a, lda, transA, b, ldb, transB, c, ldc, nullptr, accumulate ? c : nullptr, ldc};
  if (prefersDots(g)) dotProducts(g);
  else gemmTiles(g, scratch);
}

}  // namespace xl
