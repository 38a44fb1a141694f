#include "gemm.h"

#include "generated/kernels.h"

namespace xl {

// Threads split the longer side of each C; elements are computed the same way on either side of a cut.
void gemm(const GemmArgs& g, const Context& ctx) {
  for (int64_t s = 0; s < g.batch; s++) {
    Product part{g.m, g.n, g.k,
                 g.a + s * g.strideA, g.lda, g.transA != 0,
                 g.b + s * g.strideB, g.ldb, g.transB != 0,
                 g.c + s * g.strideC, g.ldc,
                 g.bias ? g.bias + s * g.strideBias : nullptr,
                 g.residual ? g.residual + s * g.strideResidual : nullptr, g.ldResidual};
    if (g.m >= g.n) {
      const Range rows = share(ctx, g.m, tile::MR);
      part.m = rows.end - rows.begin;
      part.a += rows.begin * (part.transA ? 1 : part.lda);
      part.c += rows.begin * part.ldc;
      if (part.residual) part.residual += rows.begin * part.ldResidual;
    } else {
      const Range columns = share(ctx, g.n, tile::NV * W);
      part.n = columns.end - columns.begin;
      part.b += columns.begin * (part.transB ? part.ldb : 1);
      part.c += columns.begin;
      if (part.bias) part.bias += columns.begin;
      if (part.residual) part.residual += columns.begin;
    }
    if (part.m > 0 && part.n > 0) gemmBlock(part, ctx.scratch);
  }
}

}  // namespace xl
