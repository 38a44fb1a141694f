// Sums of a matrix, or of its product with another element by element, over the rows or over the columns.
#include "ahead.h"
#include "generated/kernels.h"
#include "simd.h"

namespace xl {

// The elements to sum: x, or x * factor.
struct Summand {
  const float* x;
  int64_t ldx;
  const float* factor;
  int64_t ldFactor;

  Summand from(int64_t row, int64_t column) const {
    return {x + row * ldx + column, ldx, factor ? factor + row * ldFactor + column : nullptr, ldFactor};
  }
};

template <bool PRODUCT> XL_INLINE vf accumulate(vf s, const Summand& a, int64_t i) {
  return PRODUCT ? fma(load(a.x + i), load(a.factor + i), s) : s + load(a.x + i);
}
template <bool PRODUCT> XL_INLINE vf accumulateFirst(vf s, const Summand& a, int64_t i, int count) {
  const vf x = loadFirst(a.x + i, count);
  return PRODUCT ? fma(x, loadFirst(a.factor + i, count), s) : s + x;
}

// Up to BLOCK elements go into one set of vector sums, so that the rounding error stays small for millions.
template <bool PRODUCT> static float sumRun(const Summand& a, int64_t n) {
  constexpr int64_t BLOCK = 8192;
  vf total = zero();
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const Summand b = a.from(0, begin);
    const int64_t size = n - begin < BLOCK ? n - begin : BLOCK;
    vf s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
    int64_t c = 0;
    for (; c + 4 * W <= size; c += 4 * W) {
      s0 = accumulate<PRODUCT>(s0, b, c);
      s1 = accumulate<PRODUCT>(s1, b, c + W);
      s2 = accumulate<PRODUCT>(s2, b, c + 2 * W);
      s3 = accumulate<PRODUCT>(s3, b, c + 3 * W);
    }
    for (; c + W <= size; c += W) s0 = accumulate<PRODUCT>(s0, b, c);
    if (c < size) s1 = accumulateFirst<PRODUCT>(s1, b, c, (int)(size - c));
    total += (s0 + s1) + (s2 + s3);
  }
  return sum(total);
}

// y[c] = Σ of the rows, for the columns of `columns`.
template <bool PRODUCT> static void sumRows(const Summand& a, Range rows, Range columns, float* y) {
  const auto add = [&](int64_t row, int count, bool first) {
    int64_t c = columns.begin;
    const Summand next = a.from(row + count, c);
    Ahead ahead{next.x, a.ldx, columns.end - c}, aheadFactor{next.factor, a.ldFactor, columns.end - c};
    for (; c + W <= columns.end; c += W) {
      ahead.fetch(8 * W);
      if (PRODUCT) aheadFactor.fetch(8 * W);
      vf s = first ? zero() : load(y + c);
      for (int r = 0; r < count; r++) s = accumulate<PRODUCT>(s, a.from(row + r, 0), c);
      store(y + c, s);
    }
    if (c < columns.end) {
      const int k = (int)(columns.end - c);
      vf s = first ? zero() : loadFirst(y + c, k);
      for (int r = 0; r < count; r++) s = accumulateFirst<PRODUCT>(s, a.from(row + r, 0), c, k);
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
template <bool PRODUCT> static void sumNarrowRows(const Summand& a, int64_t cols, Range rows, float* y) {
  const Summand p = a.from(rows.begin, 0);
  const int64_t n = (rows.end - rows.begin) * cols;
  const int64_t period = W % cols == 0 ? NARROW : NARROW / cols * cols;
  float sums[NARROW * W];
  for (int64_t j = 0; j < period; j++) store(sums + j * W, zero());
  int64_t i = 0;
  for (; i + period * W <= n; i += period * W)
    for (int64_t j = 0; j < period * W; j += W) store(sums + j, accumulate<PRODUCT>(load(sums + j), p, i + j));
  for (int64_t j = 0; i < n; i += W, j += W) {
    const int k = n - i < W ? (int)(n - i) : W;
    storeFirst(sums + j, accumulateFirst<PRODUCT>(loadFirst(sums + j, k), p, i, k), k);
  }
  for (int64_t c = 0; c < cols; c++) {
    y[c] = 0.0f;
    for (int64_t lane = c; lane < period * W; lane += cols) y[c] += sums[lane];
  }
}

template <bool PRODUCT> static void reduceRows(const ReduceArgs& a, const Summand& all, const Context& ctx) {
  const bool narrow = a.ldx == a.cols && (!PRODUCT || a.ldFactor == a.cols) && a.cols <= NARROW;
  // Few rows: no partial sums, threads own columns.
  if (a.rows <= 4 * PARTITIONS && !narrow) return sumRows<PRODUCT>(all, {0, a.rows}, share(ctx, a.cols, 16), a.y);
  const Range parts = share(ctx, PARTITIONS);
  for (int64_t p = parts.begin; p < parts.end; p++) {
    const Range rows = partition((int)p, a.rows);
    float* sums = a.scratch + p * a.cols;
    if (narrow) sumNarrowRows<PRODUCT>(all, a.cols, rows, sums);
    else sumRows<PRODUCT>(all, rows, {0, a.cols}, sums);
  }
  ctx.sync();
  const Summand partial{a.scratch, a.cols, nullptr, 0};
  sumRows<false>(partial, {0, PARTITIONS}, share(ctx, a.cols, 16), a.y);
}

template <bool PRODUCT> static void reduceColumns(const ReduceArgs& a, const Summand& all, const Context& ctx) {
  if (a.rows >= 4 * PARTITIONS || a.cols < 64 * 1024) {
    const Range rows = share(ctx, a.rows);
    for (int64_t r = rows.begin; r < rows.end; r++) {
      const Summand row = all.from(r, 0);
      if (a.cols > 8) {
        a.y[r] = sumRun<PRODUCT>(row, a.cols);
        continue;
      }
      float s = 0.0f;
      for (int64_t c = 0; c < a.cols; c++) s += PRODUCT ? row.x[c] * row.factor[c] : row.x[c];
      a.y[r] = s;
    }
    return;
  }
  const Range parts = share(ctx, a.rows * PARTITIONS);
  for (int64_t item = parts.begin; item < parts.end; item++) {
    const Range columns = partition((int)(item % PARTITIONS), a.cols);
    a.scratch[item] = sumRun<PRODUCT>(all.from(item / PARTITIONS, columns.begin), columns.end - columns.begin);
  }
  ctx.sync();
  const Range rows = share(ctx, a.rows);
  for (int64_t r = rows.begin; r < rows.end; r++)
    a.y[r] = sumRun<false>({a.scratch + r * PARTITIONS, 0, nullptr, 0}, PARTITIONS);
}

void reduce(const ReduceArgs& a, const Context& ctx) {
  const Summand all{a.x, a.ldx, a.factor, a.ldFactor};
  if (a.axis == 0) return a.factor ? reduceRows<true>(a, all, ctx) : reduceRows<false>(a, all, ctx);
  return a.factor ? reduceColumns<true>(a, all, ctx) : reduceColumns<false>(a, all, ctx);
}

}  // namespace xl
