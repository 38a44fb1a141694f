// Small dense blocks on the diagonal, forward and the gradient of the weights.
#include "ahead.h"
#include "generated/kernels.h"
#include "gemm.h"

namespace xl {

// Blocks of 4 x 4 are bound by memory. A vector holds W / 4 groups: the quad of group g holds its outputs, and input
// i of a group is a lane of its quad of x. The weights are laid out to match: for each vector, 4 vectors of lanes
// (g, o), one for each input.
namespace blocks4 {
// Columns of one pass over the rows: their weights stay in the first-level cache.
constexpr int64_t COLUMNS = 1024;

// 4 vectors of blocks [g, o, i] as stored: vector ORDER[o] gets the lanes (g, i), and back again.
XL_INLINE void swapQuads(vf* x) {
#if XL_WIDTH == 8
  transposeQuads(x, 2);
  transposeQuads(x + 1, 2);
#else
  transposeQuads(x, 1);
#endif
}
#if XL_WIDTH == 8
constexpr int ORDER[4] = {0, 2, 1, 3};
#else
constexpr int ORDER[4] = {0, 1, 2, 3};
#endif

// How many floats of vector v are among `count`.
XL_INLINE int inside(int64_t count, int64_t v) {
  const int64_t left = count - v * W;
  return left < 0 ? 0 : left < W ? static_cast<int>(left) : W;
}

// Weights of `columns` / 4 groups: out [vectors, 4 (i), W (g, o)].
static void layOut(const float* w, int64_t columns, bool transW, float* out) {
  for (int64_t v = 0; v * W < columns; v++) {
    vf stored[4], lanes[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const int count = inside(columns * 4, v * 4 + j);
      stored[j] = count == W ? load(w + (v * 4 + j) * W) : loadFirst(w + (v * 4 + j) * W, count);
    }
    swapQuads(stored);
#pragma GCC unroll 4
    for (int o = 0; o < 4; o++) lanes[o] = stored[ORDER[o]];
    if (!transW) transposeInQuads(lanes);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) store(out + (v * 4 + i) * W, lanes[i]);
  }
}

// The reverse of layOut for [g, o, i].
static void putBack(const float* in, int64_t columns, float* w) {
  for (int64_t v = 0; v * W < columns; v++) {
    vf stored[4], lanes[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) lanes[i] = load(in + (v * 4 + i) * W);
    transposeInQuads(lanes);
#pragma GCC unroll 4
    for (int o = 0; o < 4; o++) stored[ORDER[o]] = lanes[o];
    swapQuads(stored);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) storeFirst(w + (v * 4 + j) * W, stored[j], inside(columns * 4, v * 4 + j));
  }
}

// One set of blocks: rows of x [groups * 4] to rows of y.
struct Rows {
  const float* x;
  int64_t ldx;
  float* y;
  int64_t ldy;
  const float* residual;
  int64_t ldResidual;
};

template <int R>
static void multiply(const Rows& g, int64_t row, int64_t column, int64_t columns, const float* weights) {
  const float* x = g.x + row * g.ldx + column;
  float* y = g.y + row * g.ldy + column;
  const float* residual = g.residual ? g.residual + row * g.ldResidual + column : nullptr;
  Ahead ahead{x + R * g.ldx, g.ldx, columns}, aheadResidual{residual + R * g.ldResidual, g.ldResidual, columns};
  for (int64_t c = 0; c < columns; c += W) {
    const int count = static_cast<int>(smaller(W, columns - c));
    ahead.fetch(R * W);
    if (residual) aheadResidual.fetch(R * W);
    const vf w0 = load(weights + c * 4), w1 = load(weights + c * 4 + W);
    const vf w2 = load(weights + c * 4 + 2 * W), w3 = load(weights + c * 4 + 3 * W);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      const float* from = x + r * g.ldx + c;
      const vf in = count == W ? load(from) : loadFirst(from, count);
      vf out = splatInQuads<0>(in) * w0;
      out = fma(splatInQuads<1>(in), w1, out);
      out = fma(splatInQuads<2>(in), w2, out);
      out = fma(splatInQuads<3>(in), w3, out);
      if (residual) {
        const float* more = residual + r * g.ldResidual + c;
        out += count == W ? load(more) : loadFirst(more, count);
      }
      if (count == W) store(y + r * g.ldy + c, out);
      else storeFirst(y + r * g.ldy + c, out, count);
    }
  }
}

static void forward(const Rows& g, const Range& rows, const float* w, int64_t width, bool transW, float* weights) {
  for (int64_t column = 0; column < width; column += COLUMNS) {
    const int64_t columns = smaller(COLUMNS, width - column);
    layOut(w + column * 4, columns, transW, weights);
    int64_t r = rows.begin;
    for (; r + 4 <= rows.end; r += 4) multiply<4>(g, r, column, columns, weights);
    for (; r < rows.end; r++) multiply<1>(g, r, column, columns, weights);
  }
}

// The input and the gradient of the output of one set of blocks.
struct Pair {
  const float* x;
  int64_t ldx;
  const float* dy;
  int64_t lddy;
};

// Adds R rows to sums [vectors, 4 (i), W (g, o)].
template <int R>
static void accumulate(const Pair& g, int64_t row, int64_t column, int64_t columns, float* sums) {
  const float* x = g.x + row * g.ldx + column;
  const float* dy = g.dy + row * g.lddy + column;
  Ahead aheadX{x + R * g.ldx, g.ldx, columns}, aheadDy{dy + R * g.lddy, g.lddy, columns};
  for (int64_t c = 0; c < columns; c += W) {
    const int count = static_cast<int>(smaller(W, columns - c));
    aheadX.fetch(R * W);
    aheadDy.fetch(R * W);
    float* to = sums + c * 4;
    vf s0 = load(to), s1 = load(to + W), s2 = load(to + 2 * W), s3 = load(to + 3 * W);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const vf in = count == W ? load(x + r * g.ldx + c) : loadFirst(x + r * g.ldx + c, count);
      const vf d = count == W ? load(dy + r * g.lddy + c) : loadFirst(dy + r * g.lddy + c, count);
      s0 = fma(splatInQuads<0>(in), d, s0);
      s1 = fma(splatInQuads<1>(in), d, s1);
      s2 = fma(splatInQuads<2>(in), d, s2);
      s3 = fma(splatInQuads<3>(in), d, s3);
    }
    store(to, s0);
    store(to + W, s1);
    store(to + 2 * W, s2);
    store(to + 3 * W, s3);
  }
}

static void gradient(const Pair& g, const Range& rows, int64_t width, float* dw, float* sums) {
  for (int64_t column = 0; column < width; column += COLUMNS) {
    const int64_t columns = smaller(COLUMNS, width - column);
    for (int64_t e = 0; e < columns * 4 + 4 * W; e += W) store(sums + e, zero());
    int64_t r = rows.begin;
    for (; r + 8 <= rows.end; r += 8) accumulate<8>(g, r, column, columns, sums);
    for (; r < rows.end; r++) accumulate<1>(g, r, column, columns, sums);
    putBack(sums, columns, dw + column * 4);
  }
}
}  // namespace blocks4

// Rows of one pass over the sets and groups: what they read and write stays in cache from one to the next.
constexpr int64_t BLOCK_LINEAR_ROWS = 64;

// One set of blocks over a few rows, by products.
static void blockProducts(const BlockLinearArgs& g, const blocks4::Rows& set, const Range& rows, const float* w,
                          float* scratch) {
  for (int64_t group = 0; group < g.groups; group++) {
    Product p{};
    p.m = rows.end - rows.begin, p.n = g.outSize, p.k = g.inSize;
    p.a = set.x + rows.begin * set.ldx + group * g.inSize, p.lda = set.ldx;
    p.b = w + group * g.inSize * g.outSize, p.ldb = g.transW ? g.outSize : g.inSize, p.transB = !g.transW;
    p.c = set.y + rows.begin * set.ldy + group * g.outSize, p.ldc = set.ldy;
    p.residual = set.residual ? set.residual + rows.begin * set.ldResidual + group * g.outSize : nullptr;
    p.ldResidual = set.ldResidual;
    gemmTiles(p, scratch);
  }
}

void blockLinear(const BlockLinearArgs& g, const Context& ctx) {
  const Range mine = share(ctx, g.rows);
  const int64_t in = g.groups * g.inSize, out = g.groups * g.outSize;
  for (int64_t r = mine.begin; r < mine.end; r += BLOCK_LINEAR_ROWS) {
    const Range rows{r, smaller(r + BLOCK_LINEAR_ROWS, mine.end)};
    for (int64_t p = 0; p < g.repeat; p++) {
      const float* w = g.w + p * in * g.outSize;
      blocks4::Rows set{g.x, g.ldx, g.y, g.ldy, g.residual, g.ldResidual};
      if (g.transW) {
        set.x += p * in;
        if (p > 0) set.residual = g.y, set.ldResidual = g.ldy;
      } else {
        set.y += p * out;
        if (g.residual) set.residual += p * out;
      }
      if (g.inSize == 4 && g.outSize == 4) blocks4::forward(set, rows, w, in, g.transW != 0, ctx.scratch);
      else blockProducts(g, set, rows, w, ctx.scratch);
    }
  }
}

// Each thread sums whole partitions of the rows, then the partial sums are added in order.
void blockLinearGradient(const BlockLinearGradientArgs& g, const Context& ctx) {
  const int64_t block = g.inSize * g.outSize, set = g.groups * block, size = g.repeat * set;
  const Range mine = share(ctx, PARTITIONS);
  for (int64_t p = mine.begin; p < mine.end; p++) {
    const Range rows = partition(static_cast<int>(p), g.rows);
    for (int64_t repeat = 0; repeat < g.repeat; repeat++) {
      float* dw = g.scratch + p * size + repeat * set;
      const float* dySet = g.dy + repeat * g.groups * g.outSize;
      if (g.inSize == 4 && g.outSize == 4) {
        blocks4::gradient({g.x, g.ldx, dySet, g.lddy}, rows, g.groups * 4, dw, ctx.scratch);
        continue;
      }
      for (int64_t group = 0; group < g.groups; group++) {
        const float* dy = dySet + rows.begin * g.lddy + group * g.outSize;
        const float* x = g.x + rows.begin * g.ldx + group * g.inSize;
        matmul(g.outSize, g.inSize, rows.end - rows.begin, dy, g.lddy, true, x, g.ldx, false, dw + group * block,
               g.inSize, false, ctx.scratch);
      }
    }
  }
  ctx.sync();
  const Range elements = share(ctx, size, W);
  for (int64_t e = elements.begin; e < elements.end; e += W) {
    const int count = static_cast<int>(smaller(W, elements.end - e));
    vf s = zero();
    for (int p = 0; p < PARTITIONS; p++) s += loadFirst(g.scratch + p * size + e, count);
    storeFirst(g.dw + e, s, count);
  }
}

}  // namespace xl
