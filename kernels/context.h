// What a kernel knows of the machine while it runs: which thread of how many, a private workspace, a barrier.
#pragma once
#include <stdint.h>

#include "generated/constants.h"
#include "simd.h"

namespace xl {

static_assert(W <= WIDEST_VECTOR, "the kernel table states workspace for vectors of this width");

struct Barrier;
void waitAt(Barrier*, int threads);

struct Context {
  int thread;
  int threads;
  float* scratch;  // [THREAD_SCRATCH], on a cache line; the kernel table states what each kernel uses of it
  Barrier* barrier;
  bool tiles;  // whether products of bfloat16 take the tile registers of AMX

  // All threads of the Program meet here. The interpreter does so after every instruction; a kernel only
  // between phases of its own.
  void sync() const {
    if (threads > 1) waitAt(barrier, threads);
  }
};

struct Range {
  int64_t begin, end;
};

// This thread's share of `count` items, in units of `grain`: for loops whose items do not depend on each other.
inline Range share(const Context& ctx, int64_t count, int64_t grain = 1) {
  const int64_t units = (count + grain - 1) / grain;
  const int64_t begin = units * ctx.thread / ctx.threads * grain, end = units * (ctx.thread + 1) / ctx.threads * grain;
  return {begin < count ? begin : count, end < count ? end : count};
}

// Partition p of PARTITIONS over `count` rows: the same for every thread count.
inline Range partition(int p, int64_t count) { return {count * p / PARTITIONS, count * (p + 1) / PARTITIONS}; }

// The row that a number in memory names, or -1: what is no whole number below `rows` must not become an address. A
// float below 2^63 fits int64_t; NaN fails both comparisons.
inline int64_t rowNamed(float id, int64_t rows) {
  if (!(id >= 0.0f && id < 9.2233715e18f)) return -1;
  const int64_t row = (int64_t)id;
  return (float)row == id && row < rows ? row : -1;
}

}  // namespace xl
