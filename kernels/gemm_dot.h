// Matrix products of few rows or few columns with both operands stored along k (decoding with weights [n, k], gates
// of a few heads): every element is a dot product, nothing is packed, each operand is read once or from cache.
// An element is W interleaved sums along k, added in a fixed order: the same whichever tile computes it.
#pragma once
#include "ahead.h"
#include "product.h"

namespace xl {

namespace dot {
// Dot products of one tile; a multiple of W.
#if XL_WIDTH == 16
constexpr int TILE = 16;
#else
constexpr int TILE = 8;
#endif
// Floats of a page, within which processors foresee what is read next.
constexpr int64_t PAGE = 1024;
}  // namespace dot

// Which of the tiles that read the same columns, one below the other.
struct DotTurn {
  int64_t number, count;
};

// R rows by TILE / R columns from (i, j) on, of which `rows` and `columns` are inside C: the others repeat the last.
template <int R>
static void dotTile(const Product& g, int64_t i, int64_t j, int rows, int columns, DotTurn turn) {
  constexpr int S = dot::TILE / R;
  const float *a[R], *b[S];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) a[r] = g.a + (i + (r < rows ? r : rows - 1)) * g.lda;
#pragma GCC unroll 16
  for (int s = 0; s < S; s++) b[s] = g.b + (j + (s < columns ? s : columns - 1)) * g.ldb;
  vf acc[dot::TILE];
#pragma GCC unroll 16
  for (int e = 0; e < dot::TILE; e++) acc[e] = zero();
  // Of the operand that passes once. One row against many is read well without, and so are rows that fill a page (measured).
  const bool passesA = g.m > g.n, passesB = !passesA && R > 1 && g.k < dot::PAGE;
  // Where several tiles read the same columns, each asks for its share of the columns that all of them read next: else memory would
  // be idle in all but the first (1.2 to 1.3 times as fast with 16 rows).
  const bool shares = !passesA && turn.count > 1;
  const int64_t columnsOn = shares ? dot::TILE : S, share = turn.number * S * g.k / turn.count;
  Ahead ahead = passesA ? Ahead{g.a + (i + R < g.m ? i + R : i) * g.lda, g.lda, g.k}
                        : Ahead{g.b + ((j + columnsOn < g.n ? j + columnsOn : j) + share / g.k) * g.ldb, g.ldb, g.k,
                                share % g.k / 16 * 16};
  // Steps from one request to the next, and until the first.
  const int64_t between = shares ? turn.count - 1 : 0;
  int64_t until = passesA || passesB || shares ? 0 : g.k;
  const auto step = [&](auto read) XL_LAMBDA_INLINE {
    vf x[R], y[S];
    if (CAN_FETCH && until-- == 0) {
      if (passesA) ahead.fetch(R * W);
      else if (shares) ahead.fetch<2>(S * W);
      else ahead.fetch(S * W);
      until = between;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) x[r] = read(a[r]);
#pragma GCC unroll 16
    for (int s = 0; s < S; s++) y[s] = read(b[s]);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 16
      for (int s = 0; s < S; s++) acc[r * S + s] = fma(x[r], y[s], acc[r * S + s]);
  };
  int64_t p = 0;
  for (; p + W <= g.k; p += W) step([&](const float* from) XL_LAMBDA_INLINE { return load(from + p); });
  if (p < g.k) {
    const int left = static_cast<int>(g.k - p);
    step([&](const float* from) XL_LAMBDA_INLINE { return loadFirst(from + p, left); });
  }
  float sums[dot::TILE];
#pragma GCC unroll 4
  for (int e = 0; e < dot::TILE; e += W) store(sums + e, sumEach(acc + e));
  for (int r = 0; r < rows; r++) {
    float* c = g.c + (i + r) * g.ldc + j;
    const float* residual = g.residual + (i + r) * g.ldResidual + j;
    for (int s = 0; s < columns; s += W) {
      const int count = columns - s < W ? columns - s : W;
      vf x = loadFirst(sums + r * S + s, count);
      if (g.bias) x += loadFirst(g.bias + j + s, count);
      if (g.residual) x += loadFirst(residual + s, count);
      storeFirst(c + s, x, count);
    }
  }
}

template <int R>
static int dotRows(const Product& g, int64_t i, int64_t rows, int64_t j, int64_t columns, DotTurn turn = {0, 1}) {
  constexpr int S = dot::TILE / R;
  const int inside = static_cast<int>(rows < R ? rows : R);
  for (int64_t s = 0; s < columns; s += S)
    dotTile<R>(g, i, j + s, inside, static_cast<int>(columns - s < S ? columns - s : S), turn);
  return inside;
}

// Squarer tiles load less; a dimension of 1 or 2 leaves no choice, and up to 8 columns A is better read only once.
static void dotBlock(const Product& g, int64_t i, int64_t rows, int64_t j, int64_t columns) {
  const int64_t end = i + rows;
  while (i < end) {
    const int64_t left = end - i;
    if (columns == 1) i += dotRows<dot::TILE>(g, i, left, j, columns);
    else if (columns == 2 && left > 4) i += dotRows<dot::TILE / 2>(g, i, left, j, columns);
    else if (left == 1) i += dotRows<1>(g, i, left, j, columns);
    else if (left == 2 || (columns > 4 && columns <= dot::TILE / 2)) i += dotRows<2>(g, i, left, j, columns);
    else i += dotRows<4>(g, i, left, j, columns, {(rows - left) / 4, (rows + 1) / 4});
  }
}

// The longer of m and n passes once, a tile's width at a time; the shorter is read from cache for each.
static void dotProducts(const Product& g) {
  if (g.m > g.n) {
    for (int64_t i = 0; i < g.m; i += dot::TILE)
      dotBlock(g, i, g.m - i < dot::TILE ? g.m - i : dot::TILE, 0, g.n);
  } else {
    for (int64_t j = 0; j < g.n; j += dot::TILE)
      dotBlock(g, 0, g.m, j, g.n - j < dot::TILE ? g.n - j : dot::TILE);
  }
}

}  // namespace xl
