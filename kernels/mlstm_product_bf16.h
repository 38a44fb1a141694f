// Operands of the mLSTM's products that are rounded to bfloat16, two steps a word (bf16.h): packed, which is where they are
// rounded.
#pragma once
#include "bf16.h"
#include "mlstm_product.h"

#if XL_HAS_BF16_DOTS
namespace xl {

struct MlstmPairs {
  template <int R, int V, bool TAIL>
  XL_BF16 static void tile(const MlstmProduct& g, int64_t i, int64_t j, int last) {
    vf acc[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[r][v] = zero();
    }
    for (int t = 0; t < g.count; t++) {
      const MlstmTerm& term = g.terms[t];
      const int64_t rowA = term.a.row, stepA = term.a.step, ldb = term.b.ld;
      const int64_t first = term.span == MlstmSpan::fromRow ? i / 2 : 0;
      const int64_t end = ((term.span == MlstmSpan::upToRow ? smaller(i + R, term.k) : term.k) + 1) / 2;
      const float* a = term.a.words + i * rowA + first * stepA;
      const float* b = term.b.words + first * ldb + j;
      for (int64_t p = first; p < end; p++) {
        vf row[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) row[v] = load(b + v * W);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
          const vf x = splat(a[r * rowA]);
#pragma GCC unroll 4
          for (int v = 0; v < V; v++) acc[r][v] = bf16::addProducts(acc[r][v], x, row[v]);
        }
        a += stepA;
        b += ldb;
      }
    }
    mlstmEndTile<R, V, TAIL>(g, i, j, last, acc);
  }

  // Rows an odd number of lines apart: at a power of two they would share a few sets of the first-level cache.
  static int64_t apart(int64_t words) { return mlstmPadded(words) | W; }

  // As MlstmFloats has them. causal: of row t only the columns up to t, in whole vectors, are ever read.
  XL_BF16 static MlstmLeft along(MlstmScratch& scratch, const float* x, int64_t ld, int64_t rows, int64_t columns,
                                 bool causal = false) {
    const int64_t room = apart((columns + 1) / 2);
    float* words = scratch.take(rows * room);
    for (int64_t t = 0; t < rows; t++) {
      const int64_t count = causal ? smaller(columns, mlstmPadded(t + 1)) : columns;
      for (int64_t c = 0; c < count; c += 2 * W) store(words + t * room + c / 2, bf16::loadAlong(x + t * ld + c, count - c));
    }
    return {words, room, 1};
  }
  XL_BF16 static MlstmRight across(MlstmScratch& scratch, const float* x, int64_t ld, int64_t rows, int64_t columns,
                                   bool causal = false) {
    const int64_t room = apart(columns);
    float* words = scratch.take((rows + 1) / 2 * room);
    for (int64_t t = 0; t < rows; t += 2) {
      const int64_t count = causal ? smaller(columns, mlstmPadded(t + 2)) : columns;
      float* to = words + t / 2 * room;
      for (int64_t c = 0; c < count; c += W)
        store(to + c, bf16::loadAcross(x + t * ld + c, ld, t + 1 < rows, static_cast<int>(smaller(W, count - c))));
    }
    return {words, room};
  }
  XL_BF16 static MlstmRight transposed(MlstmScratch& scratch, const float* x, int64_t ld, int64_t rows, int64_t columns) {
    const int64_t room = apart(rows), steps = (columns + 1) / 2;
    float* words = scratch.take(steps * room);
    for (int64_t t = 0; t < rows; t += W)
      for (int64_t s = 0; s < steps; s += W) {
        const float* block = x + t * ld + 2 * s;
        float* to = words + s * room + t;
        vf pairs[W];
        if (rows - t >= W && columns - 2 * s >= 2 * W) {
#pragma GCC unroll 16
          for (int r = 0; r < W; r++) pairs[r] = bf16::along(load(block + r * ld), load(block + r * ld + W));
          transpose(pairs);
#pragma GCC unroll 16
          for (int r = 0; r < W; r++) store(to + r * room, pairs[r]);
        } else {
          for (int r = 0; r < W; r++) pairs[r] = t + r < rows ? bf16::loadAlong(block + r * ld, columns - 2 * s) : zero();
          transpose(pairs);
          for (int r = 0; r < smaller(W, steps - s); r++) store(to + r * room, pairs[r]);
        }
      }
    return {words, room};
  }
};

}  // namespace xl
#endif
