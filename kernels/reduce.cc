// Sums, and sums of squares, over the rows or over the columns of a matrix.
#include "generated/kernels.h"
#include "simd.h"

namespace xl {

template <bool SQUARES> XL_INLINE vf accumulate(vf s, vf x) { return SQUARES ? fma(x, x, s) : s + x; }

// Up to BLOCK elements go into one set of vector sums, so that the rounding error stays small for millions.
template <bool SQUARES> static float sumRun(const float* x, int64_t n) {
  constexpr int64_t BLOCK = 8192;
  vf total = zero();
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const float* b = x + begin;
    const int64_t size = n - begin < BLOCK ? n - begin : BLOCK;
    vf s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
    int64_t c = 0;
    for (; c + 4 * W <= size; c += 4 * W) {
      s0 = accumulate<SQUARES>(s0, load(b + c));
      s1 = accumulate<SQUARES>(s1, load(b + c + W));
      s2 = accumulate<SQUARES>(s2, load(b + c + 2 * W));
      s3 = accumulate<SQUARES>(s3, load(b + c + 3 * W));
    }
    for (; c + W <= size; c += W) s0 = accumulate<SQUARES>(s0, load(b + c));
    if (c < size) s1 = accumulate<SQUARES>(s1, loadFirst(b + c, (int)(size - c)));
    total += (s0 + s1) + (s2 + s3);
  }
  return sum(total);
}

// y[c] = Σ of the rows, for the columns of `columns`.
template <bool SQUARES> static void sumRows(const float* x, int64_t ldx, Range rows, Range columns, float* y) {
  const auto add = [&](int64_t row, int count, bool first) {
    const float* p = x + row * ldx;
    int64_t c = columns.begin;
    for (; c + W <= columns.end; c += W) {
      vf s = first ? zero() : load(y + c);
      for (int r = 0; r < count; r++) s = accumulate<SQUARES>(s, load(p + r * ldx + c));
      store(y + c, s);
    }
    if (c < columns.end) {
      const int k = (int)(columns.end - c);
      vf s = first ? zero() : loadFirst(y + c, k);
      for (int r = 0; r < count; r++) s = accumulate<SQUARES>(s, loadFirst(p + r * ldx + c, k));
      storeFirst(y + c, s, k);
    }
  };
  const int64_t count = rows.end - rows.begin, head = count % 8;
  add(rows.begin, (int)head, true);
  for (int64_t row = rows.begin + head; row < rows.end; row += 8) add(row, 8, false);
}

// Dense narrow rows as one long row: lane by lane, vector i + period belongs to the same columns as vector i. There
// are about NARROW independent sums.
constexpr int64_t NARROW = 16;
template <bool SQUARES> static void sumNarrowRows(const float* x, int64_t cols, Range rows, float* y) {
  const float* p = x + rows.begin * cols;
  const int64_t n = (rows.end - rows.begin) * cols;
  const int64_t period = W % cols == 0 ? NARROW : NARROW / cols * cols;
  float sums[NARROW * W];
  for (int64_t j = 0; j < period; j++) store(sums + j * W, zero());
  int64_t i = 0;
  for (; i + period * W <= n; i += period * W)
    for (int64_t j = 0; j < period * W; j += W) store(sums + j, accumulate<SQUARES>(load(sums + j), load(p + i + j)));
  for (int64_t j = 0; i < n; i += W, j += W) {
    const int k = n - i < W ? (int)(n - i) : W;
    storeFirst(sums + j, accumulate<SQUARES>(loadFirst(sums + j, k), loadFirst(p + i, k)), k);
  }
  for (int64_t c = 0; c < cols; c++) {
    y[c] = 0.0f;
    for (int64_t lane = c; lane < period * W; lane += cols) y[c] += sums[lane];
  }
}

template <bool SQUARES> static void reduceRows(const ReduceArgs& a, const Context& ctx) {
  const bool narrow = a.ldx == a.cols && a.cols <= NARROW;
  // Few rows: no partial sums, threads own columns.
  if (a.rows <= 4 * PARTITIONS && !narrow)
    return sumRows<SQUARES>(a.x, a.ldx, {0, a.rows}, share(ctx, a.cols, 16), a.y);
  const Range parts = share(ctx, PARTITIONS);
  for (int64_t p = parts.begin; p < parts.end; p++) {
    const Range rows = partition((int)p, a.rows);
    float* sums = a.scratch + p * a.cols;
    if (narrow) sumNarrowRows<SQUARES>(a.x, a.cols, rows, sums);
    else sumRows<SQUARES>(a.x, a.ldx, rows, {0, a.cols}, sums);
  }
  ctx.sync();
  sumRows<false>(a.scratch, a.cols, {0, PARTITIONS}, share(ctx, a.cols, 16), a.y);
}

template <bool SQUARES> static void reduceColumns(const ReduceArgs& a, const Context& ctx) {
  if (a.rows >= 4 * PARTITIONS || a.cols < 64 * 1024) {
    const Range rows = share(ctx, a.rows);
    if (a.cols <= 8) {
      for (int64_t r = rows.begin; r < rows.end; r++) {
        const float* x = a.x + r * a.ldx;
        float s = 0.0f;
        for (int64_t c = 0; c < a.cols; c++) s += SQUARES ? x[c] * x[c] : x[c];
        a.y[r] = s;
      }
      return;
    }
    for (int64_t r = rows.begin; r < rows.end; r++) a.y[r] = sumRun<SQUARES>(a.x + r * a.ldx, a.cols);
    return;
  }
  const Range parts = share(ctx, a.rows * PARTITIONS);
  for (int64_t item = parts.begin; item < parts.end; item++) {
    const Range columns = partition((int)(item % PARTITIONS), a.cols);
    a.scratch[item] = sumRun<SQUARES>(a.x + item / PARTITIONS * a.ldx + columns.begin, columns.end - columns.begin);
  }
  ctx.sync();
  const Range rows = share(ctx, a.rows);
  for (int64_t r = rows.begin; r < rows.end; r++) a.y[r] = sumRun<false>(a.scratch + r * PARTITIONS, PARTITIONS);
}

void reduce(const ReduceArgs& a, const Context& ctx) {
  if (a.axis == 0) return a.squares ? reduceRows<true>(a, ctx) : reduceRows<false>(a, ctx);
  return a.squares ? reduceColumns<true>(a, ctx) : reduceColumns<false>(a, ctx);
}

}  // namespace xl
