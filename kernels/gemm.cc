#include "gemm.h"

#include "generated/kernels.h"

namespace xl {

// Threads take consecutive strips of the longer side of C, over all members of the batch.
void gemm(const GemmArgs& g, const Context& ctx) {
  const Product whole{g.m, g.n, g.k, g.a, g.lda, g.transA != 0, g.b, g.ldb, g.transB != 0,
                      g.c, g.ldc, g.bias, g.residual, g.ldResidual};
  const bool dots = prefersDots(whole), byRows = g.m >= g.n;
  const int64_t length = byRows ? g.m : g.n, grain = byRows ? tile::MR : 16;
  const int64_t strips = (length + grain - 1) / grain;
  const Range mine = share(ctx, g.batch * strips);
  for (int64_t unit = mine.begin; unit < mine.end;) {
    const int64_t s = unit / strips, first = unit % strips;
    const int64_t count = smaller(strips - first, mine.end - unit);
    const int64_t from = first * grain, size = smaller(length - from, count * grain);
    Product part = whole;
    part.a += s * g.strideA;
    part.b += s * g.strideB;
    part.c += s * g.strideC;
    if (part.bias) part.bias += s * g.strideBias;
    if (part.residual) part.residual += s * g.strideResidual;
    if (byRows) {
      part.m = size;
      part.a += from * (part.transA ? 1 : part.lda);
      part.c += from * part.ldc;
      if (part.residual) part.residual += from * part.ldResidual;
    } else {
      part.n = size;
      part.b += from * (part.transB ? part.ldb : 1);
      part.c += from;
      if (part.bias) part.bias += from;
      if (part.residual) part.residual += from;
    }
    if (dots) dotProducts(part);
    else gemmTiles(part, ctx.scratch);
    unit += count;
  }
}

}  // namespace xl
