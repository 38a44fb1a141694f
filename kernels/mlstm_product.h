// Matrix products inside one chunk of mLSTM. They are small, and their operands lie in cache already: the left operand is
// broadcast from where it lies, the right one is read in rows. Unlike matmul() a product
// may have two terms, start from a multiple of another matrix, and leave out the half of a causal matrix that is 0.
// What a product's operands are made of, and how they are multiplied, is a parameter: numbers as they are (MlstmFloats), or
// pairs of rounded ones (mlstm_product_bf16.h). Both call it words.
#pragma once
#include "ahead.h"
#include "mlstm.h"
#include "product.h"

namespace xl {

// Which part of a causal [rows, rows] left operand is not 0, so that only these k are summed for row i.
enum class MlstmSpan { all, upToRow, fromRow };

// Word (i, p) at words + i * row + p * step.
struct MlstmLeft {
  const float* words;
  int64_t row, step;
};

// Words p of all columns from words + p * ld on.
struct MlstmRight {
  const float* words;
  int64_t ld;
  // Of Xᵀ as the left operand, where this is X as the right one.
  MlstmLeft flipped() const { return {words, 1, ld}; }
};

// A · B of k steps.
struct MlstmTerm {
  MlstmLeft a;
  MlstmRight b;
  int64_t k;
  MlstmSpan span;
};

// Rows that are read soon, asked for a few at a time between tiles: all at once they would be more than the processor
// keeps track of. They stride over other heads, which it does not foresee.
struct MlstmAhead {
  const float* rows;
  int64_t ld, count, columns;
  void fetch(int64_t some) {
    for (; some > 0 && count > 0; some--, count--, rows += ld) fetchRow(rows, columns);
  }
};

// C[i, j] = rowFactor[i] · Σ terms + factor · prior[i, j]; prior may be C.
struct MlstmProduct {
  int64_t rows, columns;
  const MlstmTerm* terms;
  int count;
  float* c;
  int64_t ldc;
  const float* rowFactor = nullptr;
  const float* prior = nullptr;
  int64_t ldPrior = 0;
  float factor = 1;
  MlstmAhead ahead = {};
};

// The end of a tile of R rows from i on by V vectors from column j on, of which the last has `last` columns where TAIL.
template <int R, int V, bool TAIL>
XL_INLINE void mlstmEndTile(const MlstmProduct& g, int64_t i, int64_t j, int last, const vf (&acc)[R][V]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    float* c = g.c + (i + r) * g.ldc + j;
    const float* prior = g.prior + (i + r) * g.ldPrior + j;
    const vf scale = splat(g.rowFactor ? g.rowFactor[i + r] : 1.0f);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const bool part = TAIL && v == V - 1;
      vf x = acc[r][v] * scale;
      if (g.prior) x = fma(part ? loadFirst(prior + v * W, last) : load(prior + v * W), splat(g.factor), x);
      if (part) storeFirst(c + v * W, x, last);
      else store(c + v * W, x);
    }
  }
}

// to[d, t] = from[t, d] for t < rows, 0 for further t up to a multiple of W.
static void mlstmTransposed(const float* from, int64_t ld, int rows, int64_t columns, float* to, int64_t ldTo) {
  for (int t = 0; t < rows; t += W) {
    const float* block = from + t * ld;
    for (int64_t d = 0; d < columns; d += W) {
      const int some = static_cast<int>(smaller(W, columns - d));
      vf x[W];
      if (rows - t >= W && some == W) {
#pragma GCC unroll 16
        for (int r = 0; r < W; r++) x[r] = load(block + r * ld + d);
      } else {
        for (int r = 0; r < W; r++) x[r] = r < rows - t ? loadFirst(block + r * ld + d, some) : zero();
      }
      transpose(x);
      if (some == W) {
#pragma GCC unroll 16
        for (int r = 0; r < W; r++) store(to + (d + r) * ldTo + t, x[r]);
      } else {
        for (int r = 0; r < some; r++) store(to + (d + r) * ldTo + t, x[r]);
      }
    }
  }
}

// Float32 numbers, read where they lie.
struct MlstmFloats {
  template <int R, int V, bool TAIL> static void tile(const MlstmProduct& g, int64_t i, int64_t j, int last) {
    const auto read = [last](const float* from, int v) XL_LAMBDA_INLINE {
      return TAIL && v == V - 1 ? loadFirst(from + v * W, last) : load(from + v * W);
    };
    vf acc[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[r][v] = zero();
    }
    for (int t = 0; t < g.count; t++) {
      const MlstmTerm& term = g.terms[t];
      const int64_t rowA = term.a.row, stepA = term.a.step, ldb = term.b.ld;
      const int64_t first = term.span == MlstmSpan::fromRow ? i : 0;
      const int64_t end = term.span == MlstmSpan::upToRow ? smaller(i + R, term.k) : term.k;
      const float* a = term.a.words + i * rowA + first * stepA;
      const float* b = term.b.words + first * ldb + j;
      for (int64_t p = first; p < end; p++) {
        vf row[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) row[v] = read(b, v);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
          const vf x = splat(a[r * rowA]);
#pragma GCC unroll 4
          for (int v = 0; v < V; v++) acc[r][v] = fma(x, row[v], acc[r][v]);
        }
        a += stepA;
        b += ldb;
      }
    }
    mlstmEndTile<R, V, TAIL>(g, i, j, last, acc);
  }

  // X [rows, columns] as a left operand, its columns being the steps.
  static MlstmLeft along(MlstmScratch&, const float* x, int64_t ld, int64_t, int64_t, bool = false) { return {x, ld, 1}; }
  // X as a right operand, its rows being the steps.
  static MlstmRight across(MlstmScratch&, const float* x, int64_t ld, int64_t, int64_t, bool = false) { return {x, ld}; }
  // Xᵀ as a right operand, its rows, the columns of X, being the steps; 0 behind its last column up to a whole vector.
  static MlstmRight transposed(MlstmScratch& scratch, const float* x, int64_t ld, int rows, int64_t columns) {
    const int64_t padded = mlstmPadded(rows);
    float* words = scratch.take(columns * padded);
    mlstmTransposed(x, ld, rows, columns, words, padded);
    return {words, padded};
  }
};

namespace mlstm {
constexpr int ROWS = W == 16 ? 8 : 4;
constexpr int VECTORS = W == 4 ? 2 : 3;
// Rows asked for with each tile: a chunk's within the tiles of half a product.
constexpr int64_t AHEAD = 5;
}  // namespace mlstm

template <class P, int V, bool TAIL>
static int64_t mlstmTileRows(const MlstmProduct& g, int64_t i, int64_t j, int last) {
  const int64_t left = g.rows - i;
  if (left >= mlstm::ROWS) return P::template tile<mlstm::ROWS, V, TAIL>(g, i, j, last), mlstm::ROWS;
  if (left >= 4) return P::template tile<4, V, TAIL>(g, i, j, last), 4;
  if (left >= 2) return P::template tile<2, V, TAIL>(g, i, j, last), 2;
  return P::template tile<1, V, TAIL>(g, i, j, last), 1;
}

// causal: of row i only the columns up to i, rounded up to a multiple of W, are formed.
template <class P> static void mlstmMultiply(const MlstmProduct& g, bool causal = false) {
  MlstmAhead ahead = g.ahead;
  using TileRows = int64_t (*)(const MlstmProduct&, int64_t, int64_t, int);
  constexpr TileRows full[] = {mlstmTileRows<P, 1, false>, mlstmTileRows<P, 2, false>, mlstmTileRows<P, 3, false>};
  constexpr TileRows tail[] = {mlstmTileRows<P, 1, true>, mlstmTileRows<P, 2, true>, mlstmTileRows<P, 3, true>};
  const int64_t vectors = (g.columns + W - 1) / W;
  for (int64_t v = 0; v < vectors;) {
    // Two pairs rather than three and a single one.
    const int left = static_cast<int>(vectors - v);
    const int wide = left <= mlstm::VECTORS ? left : left == mlstm::VECTORS + 1 ? (left + 1) / 2 : mlstm::VECTORS;
    const int64_t j = v * W;
    const int last = static_cast<int>(smaller(W, g.columns - j - (wide - 1) * W));
    const TileRows run = last == W ? full[wide - 1] : tail[wide - 1];
    int64_t i = 0;
    if (causal) {
      i = j / mlstm::ROWS * mlstm::ROWS;
      for (int some = 1; some < wide; some++)
        for (; i < g.rows && i < j + some * W;) i += full[some - 1](g, i, j, W), ahead.fetch(mlstm::AHEAD);
    }
    while (i < g.rows) i += run(g, i, j, last), ahead.fetch(mlstm::AHEAD);
    v += wide;
  }
  ahead.fetch(ahead.count);
}

// Asks for rows that are soon read or, with WRITE, written: they stride over other heads, which the processor does
// not foresee.
template <bool WRITE> XL_INLINE void mlstmFetch(const float* rows, int64_t ld, int64_t count, int64_t columns) {
  for (int64_t t = 0; t < count; t++)
    for (int64_t d = 0; d < columns; d += 16) __builtin_prefetch(rows + t * ld + d, WRITE);
}
// Larger states are left to come as they are needed: they would push out what is in use.
constexpr int64_t MLSTM_FETCHED_STATE = 1 << 14;

// to[t, d] = factors[t] · from[t, d] (factor 1 where absent), 0 for further d up to a multiple of W.
static void mlstmCompact(const float* from, int64_t ld, int rows, int64_t columns, const float* factors, float* to,
                         int64_t ldTo) {
  for (int t = 0; t < rows; t++) {
    const vf factor = splat(factors ? factors[t] : 1.0f);
    int64_t d = 0;
    for (; d + W <= columns; d += W) store(to + t * ldTo + d, load(from + t * ld + d) * factor);
    if (d < columns) store(to + t * ldTo + d, loadFirst(from + t * ld + d, static_cast<int>(columns - d)) * factor);
  }
}

}  // namespace xl
