// What the forward and the backward scan share: how rows are grouped, R in panels, and the product of one step.
//
// A (batch row, head) never depends on another head or row, so a work item is a group of batch rows of one head for
// the whole sequence and there is no barrier inside the scan. Every element of a product is one chain of fused
// multiply-adds in the order of k, whatever tile computes it: results do not depend on the grouping, which may
// therefore follow the number of threads.
#pragma once
#include "context.h"
#include "gemm.h"
#include "simd.h"

namespace xl {

constexpr int RECURRENT_ROWS = 16;

// From this size on, what the backward pass reads later, or a product after this kernel, is written past the caches:
// it would not stay there, and fetching each line before writing it doubles the traffic.
constexpr int64_t RECURRENT_STREAM_BYTES = 4 << 20;

XL_INLINE bool aligned(const float* p) { return reinterpret_cast<uintptr_t>(p) % sizeof(vf) == 0; }

XL_INLINE int64_t wholeVectors(int64_t n) { return (n + W - 1) / W * W; }
template <bool STREAMS> XL_INLINE void storeAway(float* p, vf x, int n) {
  if (STREAMS && n == W) stream(p, x);
  else storeLanes(p, x, n);
}

static inline void fillOrZero(float* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = from ? from[i] : 0.0f;
}

// The number of groups into which the batch rows are split evenly: the one whose slowest thread is done first, a
// group's time being taken as its rows plus the cost of passing once over R.
static inline int64_t recurrentGroups(int64_t batch, int64_t heads, int threads, int64_t floatsPerRow) {
  constexpr int64_t PASS = 2;
  const int64_t fits = THREAD_SCRATCH / floatsPerRow;
  const int64_t most = fits < 1 ? 1 : fits < RECURRENT_ROWS ? fits : RECURRENT_ROWS;
  int64_t best = batch, bestTime = INT64_MAX;
  for (int64_t rows = most; rows >= 1; rows = rows > 1 ? (rows + 1) / 2 : 0) {
    const int64_t groups = (batch + rows - 1) / rows;
    const int64_t time = (groups * heads + threads - 1) / threads * ((batch + groups - 1) / groups + PASS);
    if (time < bestTime) best = groups, bestTime = time;
  }
  return best;
}

// One head's right-hand side [k, n] in panels of columns, as packColumns leaves them.
struct RecurrentPanels {
  const float* data;
  int64_t k, n;
};

// Packs the heads' right-hand sides: `transposed` R as [DH_in, G · DH_out] for the forward product, else R as
// [G · DH_out, DH_in] for the backward one. Ends with a barrier.
static inline void packRecurrent(const float* r, int64_t heads, int64_t k, int64_t n, bool transposed, float* packed,
                                 const Context& ctx) {
  Product g{};
  g.n = n;
  g.k = k;
  g.ldb = transposed ? k : n;
  g.transB = transposed;
  int64_t panel = 0;
  for (int64_t head = 0; head < heads; head++) {
    g.b = r + head * k * n;
    const int64_t vectors = (n + W - 1) / W;
    for (int64_t v = 0; v < vectors; panel++) {
      const int take = tileTake(vectors - v, tile::NV);
      if (panel % ctx.threads == ctx.thread) packColumns(g, 0, k, v * W, take, packed + (head * vectors + v) * W * k);
      v += take;
    }
  }
  ctx.sync();
}

// c [rows, wholeVectors(n)] = a [rows, k] · panels + bias [wholeVectors(n)].
static inline void recurrentProduct(int64_t rows, const float* a, int64_t lda, const RecurrentPanels& b,
                                    const float* bias, float* c) {
  const int64_t vectors = (b.n + W - 1) / W, ldc = vectors * W;
  for (int64_t v = 0; v < vectors;) {
    const int wide = tileTake(vectors - v, tile::NV);
    for (int64_t i = 0; i < rows;) {
      const int take = tileTake(rows - i, tile::MR);
      const TileEnd end{c + i * ldc + v * W, ldc, bias ? bias + v * W : nullptr, nullptr, 0, W};
      tileOf<GemmTiles>(take, wide)(b.k, a + i * lda, lda, 1, b.data + v * W * b.k, wide * W, end);
      i += take;
    }
    v += wide;
  }
}

}  // namespace xl
