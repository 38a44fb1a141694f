// What a kernel knows of the machine while it runs: which thread of how many, a private workspace, a barrier.
#pragma once
#include <stdint.h>

#include "simd.h"

namespace xl {

// Floats of private workspace of each thread, 64-byte aligned: packed panels and the like.
constexpr int64_t THREAD_SCRATCH = 1 << 20;

// Partial sums of reductions over rows; must equal PARTITIONS in src/program/kernels/kernel.ts.
constexpr int PARTITIONS = 16;

struct Barrier;
void waitAt(Barrier*, int threads);

struct Context {
  int thread;
  int threads;
  float* scratch;
  Barrier* barrier;

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

}  // namespace xl
