// Rows that are needed soon.
#pragma once
#include "simd.h"

namespace xl {

// WebAssembly cannot ask for memory; there, counting when to ask would only cost time.
#if defined(__wasm__)
constexpr bool CAN_FETCH = false;
#else
constexpr bool CAN_FETCH = true;
#endif

// A kernel that takes several rows abreast, a vector of each at a time, reads memory in an order that the processor
// does not foresee: at less than half the speed of rows one after the other (measured). So while it is busy with some
// rows, it asks for the ones that follow, a few lines at a time and in the order in which they lie in memory.
struct Ahead {
  const float* row;
  int64_t ld, columns;
  int64_t fetched = 0;

  // LOCALITY 3: into the first-level cache; 2: into the second, for what takes a while until its turn.
  template <int LOCALITY = 3> XL_INLINE void fetch(int floats) {
#pragma GCC unroll 16
    for (int line = 0; line < floats; line += 16) {
      __builtin_prefetch(row + fetched, 0, LOCALITY);
      fetched += 16;
      if (fetched >= columns) row += ld, fetched = 0;
    }
  }
};

// The same for kernels that take one row at a time, where rows lie apart: a whole row, to be called a row or two before
// its turn.
XL_INLINE void fetchRow(const float* row, int64_t columns) {
  for (int64_t c = 0; c < columns; c += 16) __builtin_prefetch(row + c);
}

}  // namespace xl
