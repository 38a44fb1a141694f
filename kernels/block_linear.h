// Small dense blocks on the diagonal: `groups` matrices [outSize, inSize], each on its own slice of a row's columns.
#pragma once
#include "ahead.h"
#include "context.h"
#include "gemm.h"
#include "partitions.h"

namespace xl {

// Rows of x and of y = blocks · x + residual, which may be absent or y itself.
struct BlockRows {
  const float* x;
  int64_t ldx;
  float* y;
  int64_t ldy;
  const float* residual;
  int64_t ldResidual;
};

// Rows of the input and of the gradient of the output.
struct BlockGradientRows {
  const float* x;
  int64_t ldx;
  const float* dy;
  int64_t lddy;
};

// Blocks of 4 x 4 are bound by memory. A vector holds W / 4 groups: the quad of group g holds its outputs, and input
// i of a group is a lane of its quad of x. The weights are laid out to match: for each vector, 4 vectors of lanes
// (g, o), one for each input.
namespace blocks4 {
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
      stored[j] = loadLanes(w + (v * 4 + j) * W, count);
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

template <int R>
static void multiply(const BlockRows& g, int64_t row, int64_t columns, const float* weights) {
  const float* x = g.x + row * g.ldx;
  float* y = g.y + row * g.ldy;
  const float* residual = g.residual ? g.residual + row * g.ldResidual : nullptr;
  Ahead ahead{x + R * g.ldx, g.ldx, columns}, aheadResidual{residual + R * g.ldResidual, g.ldResidual, columns};
  for (int64_t c = 0; c < columns; c += W) {
    const int count = static_cast<int>(smaller(W, columns - c));
    ahead.fetch(R * W);
    if (residual) aheadResidual.fetch(R * W);
    const vf w0 = load(weights + c * 4), w1 = load(weights + c * 4 + W);
    const vf w2 = load(weights + c * 4 + 2 * W), w3 = load(weights + c * 4 + 3 * W);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      const vf in = loadLanes(x + r * g.ldx + c, count);
      vf out = splatInQuads<0>(in) * w0;
      out = fma(splatInQuads<1>(in), w1, out);
      out = fma(splatInQuads<2>(in), w2, out);
      out = fma(splatInQuads<3>(in), w3, out);
      if (residual) out += loadLanes(residual + r * g.ldResidual + c, count);
      storeLanes(y + r * g.ldy + c, out, count);
    }
  }
}

static void multiplyRows(const BlockRows& g, int64_t rows, int64_t columns, const float* weights) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) multiply<4>(g, r, columns, weights);
  for (; r < rows; r++) multiply<1>(g, r, columns, weights);
}

// Adds R rows to sums [vectors, 4 (i), W (g, o)].
template <int R>
static void accumulate(const BlockGradientRows& g, int64_t row, int64_t columns, float* sums) {
  const float* x = g.x + row * g.ldx;
  const float* dy = g.dy + row * g.lddy;
  Ahead aheadX{x + R * g.ldx, g.ldx, columns}, aheadDy{dy + R * g.lddy, g.lddy, columns};
  for (int64_t c = 0; c < columns; c += W) {
    const int count = static_cast<int>(smaller(W, columns - c));
    aheadX.fetch(R * W);
    aheadDy.fetch(R * W);
    float* to = sums + c * 4;
    vf s0 = load(to), s1 = load(to + W), s2 = load(to + 2 * W), s3 = load(to + 3 * W);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const vf in = loadLanes(x + r * g.ldx + c, count), d = loadLanes(dy + r * g.lddy + c, count);
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

static void accumulateRows(const BlockGradientRows& g, int64_t rows, int64_t columns, float* sums) {
  int64_t r = 0;
  for (; r + 8 <= rows; r += 8) accumulate<8>(g, r, columns, sums);
  for (; r < rows; r++) accumulate<1>(g, r, columns, sums);
}
}  // namespace blocks4

struct Blocks {
  int64_t groups, inSize, outSize;

  bool inLanes() const { return inSize == 4 && outSize == 4; }
  int64_t inputs() const { return groups * inSize; }
  // Floats of the weights as multiplyBlocks() reads them, or of the sums that addBlockGradient() makes; at most
  // what the kernel table counts for them.
  int64_t size() const { return inLanes() ? (inputs() + W - 1) / W * W * 4 : groups * outSize * inSize; }
};

// The weights as multiplyBlocks() wants them: as they are stored, or in `room`, which then begins behind them.
static const float* prepareBlocks(const Blocks& b, const float* w, bool transposed, float*& room) {
  if (!b.inLanes()) return w;
  const float* prepared = room;
  blocks4::layOut(w, b.inputs(), transposed, room);
  room += b.size();
  return prepared;
}

// y = blocks · x + residual; transposed: x holds outputs, y inputs. `w` is as prepareBlocks() left it.
static void multiplyBlocks(const Blocks& b, const float* w, bool transposed, const BlockRows& g, int64_t rows,
                           float* scratch) {
  if (b.inLanes()) return blocks4::multiplyRows(g, rows, b.inputs(), w);
  const int64_t from = transposed ? b.outSize : b.inSize, to = transposed ? b.inSize : b.outSize;
  for (int64_t group = 0; group < b.groups; group++) {
    Product p{};
    p.m = rows, p.n = to, p.k = from;
    p.a = g.x + group * from, p.lda = g.ldx;
    p.b = w + group * b.inSize * b.outSize, p.ldb = b.inSize, p.transB = !transposed;
    p.c = g.y + group * to, p.ldc = g.ldy;
    p.residual = g.residual ? g.residual + group * to : nullptr, p.ldResidual = g.ldResidual;
    gemmTiles(p, scratch);
  }
}

// Adds dyᵀ · x of some rows to sums.
static void addBlockGradient(const Blocks& b, const BlockGradientRows& g, int64_t rows, float* sums, float* scratch) {
  if (b.inLanes()) return blocks4::accumulateRows(g, rows, b.inputs(), sums);
  for (int64_t group = 0; group < b.groups; group++)
    matmul(b.outSize, b.inSize, rows, g.dy + group * b.outSize, g.lddy, true, g.x + group * b.inSize, g.ldx, false,
           sums + group * b.outSize * b.inSize, b.inSize, true, scratch);
}

// dw from the partial sums of addBlockGradient().
static void addBlockPartitions(const Context& ctx, const Blocks& b, float* partials, int64_t stride, float* dw) {
  const int64_t grain = b.inLanes() ? 4 * W : W;
  addPartitions(ctx, partials, stride, b.size(), grain, [&](int64_t begin, int64_t end, const float* total) {
    if (b.inLanes()) blocks4::putBack(total, smaller((end - begin) / 4, b.inputs() - begin / 4), dw + begin);
    else __builtin_memcpy(dw + begin, total, (end - begin) * sizeof(float));
  });
}

}  // namespace xl
