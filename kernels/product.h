// What every matrix product is told.
#pragma once
#include "simd.h"

namespace xl {

// C[m, n] = op(A)[m, k] op(B)[k, n] + bias[n] + residual[m, n]. A is stored [m, k] (transA: [k, m]), B [k, n]
// (transB: [n, k]), all with a distance between rows. bias and residual may be absent; residual may be C itself.
struct Product {
  int64_t m, n, k;
  const float* a;
  int64_t lda;
  bool transA;
  const float* b;
  int64_t ldb;
  bool transB;
  float* c;
  int64_t ldc;
  const float* bias;
  const float* residual;
  int64_t ldResidual;
};

XL_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace xl
