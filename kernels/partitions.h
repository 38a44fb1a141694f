// Sums over rows in an order that does not depend on the threads: each thread sums whole partitions of the rows, then the
// threads share the addition of the partial sums.
#pragma once
#include "context.h"

namespace xl {

// sum(rows, sums) adds a range of rows to sums [count], which start from 0; partials [PARTITIONS, count].
template <class F> XL_INLINE void sumPartitions(const Context& ctx, int64_t rows, float* partials, int64_t count, F sum) {
  const Range mine = share(ctx, PARTITIONS);
  for (int64_t p = mine.begin; p < mine.end; p++) {
    float* sums = partials + p * count;
    for (int64_t e = 0; e < count; e++) sums[e] = 0.0f;
    sum(partition(static_cast<int>(p), rows), sums);
  }
  ctx.sync();
}

// Adds up elements [0, count) of partial sums that lie `stride` apart. Threads take units of `grain` elements; the total
// of [begin, end) goes to finish(begin, end, total). It takes the place of the first partial sum.
template <class F>
static void addPartitions(const Context& ctx, float* partials, int64_t stride, int64_t count, int64_t grain, F finish) {
  const Range mine = share(ctx, count, grain);
  if (mine.begin == mine.end) return;
  float* totals = partials + mine.begin;
  eachVector(mine.end - mine.begin, [&](int64_t e, int part) {
    vf sum = loadLanes(totals + e, part);
    for (int p = 1; p < PARTITIONS; p++) sum += loadLanes(totals + p * stride + e, part);
    storeLanes(totals + e, sum, part);
  });
  finish(mine.begin, mine.end, totals);
}
// The same to out, which may be absent.
static void addPartitions(const Context& ctx, float* partials, int64_t stride, int64_t count, float* out) {
  if (!out) return;
  addPartitions(ctx, partials, stride, count, W, [&](int64_t begin, int64_t end, const float* total) {
    __builtin_memcpy(out + begin, total, (end - begin) * sizeof(float));
  });
}

}  // namespace xl
