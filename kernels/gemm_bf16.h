// Matrix products of operands that are rounded to bfloat16, on one thread: the tiles of gemm.h, but a word holds two steps of
// k. Both operands are packed, which is where they are rounded.
#pragma once
#include "bf16.h"
#include "gemm.h"

#if XL_HAS_BF16_DOTS
namespace xl {
namespace bf16 {
// Words of a packed block along k, and the steps that they hold.
constexpr int WORDS = tile::KC, STEPS = 2 * WORDS;
constexpr int PANEL = 16;  // rows of a packed A that is stored [k, m]
static_assert(PANEL_ROWS == W, "a strip of a matrix in panels is a vector wide");
static_assert(tile::MC % PANEL == 0, "a block of A is whole panels");

// Columns [j, j + vectors * W) of op(B), k steps from p on: out [words, vectors * W], columns from n on are 0.
XL_BF16 static void packB(const Product& g, int64_t p, int64_t k, int64_t j, int vectors, float* out) {
  const int64_t words = (k + 1) / 2;
  const int width = vectors * W;
  for (int v = 0; v < vectors; v++) {
    const int64_t first = j + v * W;
    const int columns = static_cast<int>(smaller(W, g.n - first));
    float* to = out + v * W;
    if (!g.transB) {
      const float* from = g.b + p * g.ldb + first;
      for (int64_t i = 0; i < words; i++)
        store(to + i * width, loadAcross(from + 2 * i * g.ldb, g.ldb, 2 * i + 1 < k, columns));
      continue;
    }
    const float* from = g.b + first * g.ldb + p;
    for (int64_t i = 0; i < words; i += W) {
      vf x[W];
#pragma GCC unroll 16
      for (int c = 0; c < W; c++) x[c] = c < columns ? loadAlong(from + c * g.ldb + 2 * i, k - 2 * i) : zero();
      transpose(x);
      const int count = static_cast<int>(smaller(W, words - i));
      for (int s = 0; s < count; s++) store(to + (i + s) * width, x[s]);
    }
  }
}

// Rows [i, i + rows) of op(A), k steps from p on: out [rows, WORDS], or panels [words, PANEL] where A is stored [k, m].
XL_BF16 static void packA(const Product& g, int64_t p, int64_t k, int64_t i, int64_t rows, float* out) {
  const int64_t words = (k + 1) / 2;
  if (!g.transA) {
    for (int64_t r = 0; r < rows; r++) {
      const float* from = g.a + (i + r) * g.lda + p;
      for (int64_t q = 0; q < words; q += W) store(out + r * WORDS + q, loadAlong(from + 2 * q, k - 2 * q));
    }
    return;
  }
  const float* from = g.a + p * g.lda + i;
  for (int64_t q = 0; q < words; q++)
    for (int64_t r = 0; r < rows; r += PANEL)
      store(out + r * words + q * PANEL, loadAcross(from + 2 * q * g.lda + r, g.lda, 2 * q + 1 < k,
                                                    static_cast<int>(smaller(PANEL, rows - r))));
}

// Where the words of a tile's columns lie: word p of vector v at words + v * vector + p * step.
struct ColumnWords {
  const float* words;
  int64_t vector, step;
};

// R rows by V vectors. Word p of row r of A lies at a[r * rowA + p * stepA].
template <int R, int V>
XL_BF16 static void multiplyTile(int64_t words, const float* a, int64_t rowA, int64_t stepA, const ColumnWords& columns,
                                 const TileEnd& end) {
  const float* b = columns.words;
  vf acc[R][V];
  beginTile<R, V>(acc, end);
  for (int64_t p = 0; p < words; p++) {
    vf row[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) row[v] = load(b + v * columns.vector);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const vf x = splat(a[r * rowA]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[r][v] = addProducts(acc[r][v], x, row[v]);
    }
    a += stepA;
    b += columns.step;
  }
  endTile<R, V>(acc, end);
}

// Sums of products of bfloat16.
struct Tiles {
  using Tile = void (*)(int64_t, const float*, int64_t, int64_t, const ColumnWords&, const TileEnd&);
  template <int R, int V> static constexpr Tile of = multiplyTile<R, V>;
};

static void multiply(const Product& g, float* scratch) {
  float* packedB = nextLine(scratch);
  float* packedA = packedB + WORDS * (tile::NC + W);
  for (int64_t j0 = 0; j0 < g.n; j0 += tile::NC) {
    const int64_t vectors = (smaller(tile::NC, g.n - j0) + W - 1) / W;
    for (int64_t p = 0; p == 0 || p < g.k; p += STEPS) {
      const int64_t k = smaller(STEPS, g.k - p), words = (k + 1) / 2;
      for (int64_t v = 0; v < vectors;) {
        const int wide = tileTake(vectors - v, tile::NV);
        packB(g, p, k, j0 + v * W, wide, packedB + v * W * words);
        v += wide;
      }
      for (int64_t i0 = 0; i0 < g.m; i0 += tile::MC) {
        const int64_t rows = smaller(tile::MC, g.m - i0);
        packA(g, p, k, i0, rows, packedA);
        for (int64_t r = 0; r < rows; r += tile::MR) {
          const int take = static_cast<int>(smaller(tile::MR, rows - r));
          const float* a = packedA + (g.transA ? r / PANEL * PANEL * words + r % PANEL : r * WORDS);
          for (int64_t v = 0; v < vectors;) {
            const int wide = tileTake(vectors - v, tile::NV);
            tileOf<Tiles>(take, wide)(words, a, g.transA ? 1 : WORDS, g.transA ? PANEL : 1,
                               {packedB + v * W * words, W, wide * W},
                               tileEnd(g, i0 + r, j0 + v * W, wide, p == 0));
            v += wide;
          }
        }
      }
    }
  }
}

// A product whose B is a matrix in panels (src/compute/program/panels.ts) of `rowWords` words a row, of which g.b is the
// strip of the first column.
static void multiplyPanels(const Product& g, int64_t rowWords, float* scratch) {
  float* packedA = nextLine(scratch);
  const int64_t strip = PANEL_ROWS * rowWords;
  for (int64_t j0 = 0; j0 < g.n; j0 += tile::NC) {
    const int64_t vectors = smaller(tile::NC, g.n - j0) / W;
    for (int64_t p = 0; p < g.k; p += STEPS) {
      const int64_t k = smaller(STEPS, g.k - p), words = (k + 1) / 2;
      const float* b = g.b + j0 / W * strip + p / 2 * W;
      for (int64_t i0 = 0; i0 < g.m; i0 += tile::MC) {
        const int64_t rows = smaller(tile::MC, g.m - i0);
        packA(g, p, k, i0, rows, packedA);
        for (int64_t r = 0; r < rows;) {
          const int take = tileTake(rows - r, tile::MR);
          for (int64_t v = 0; v < vectors;) {
            const int wide = tileTake(vectors - v, tile::NV);
            tileOf<Tiles>(take, wide)(words, packedA + r * WORDS, WORDS, 1, {b + v * strip, strip, W},
                               tileEnd(g, i0 + r, j0 + v * W, wide, p == 0));
            v += wide;
          }
          r += take;
        }
      }
    }
  }
}

}  // namespace bf16
}  // namespace xl
#endif
