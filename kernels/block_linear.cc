// Small dense blocks on the diagonal, forward, towards the input and the gradient of the weights.
#include "block_linear.h"
#include "generated/kernels.h"

namespace xl {

// Rows of one pass over the groups: what they read and write stays in cache from one to the next.
constexpr int64_t BLOCK_LINEAR_ROWS = 64;

void blockLinear(const BlockLinearArgs& g, const Context& ctx) {
  const bool transposed = g.transW != 0;
  const Blocks blocks{g.groups, transposed ? g.outSize : g.inSize, transposed ? g.inSize : g.outSize};
  float* scratch = ctx.scratch;
  const float* w = prepareBlocks(blocks, g.w, transposed, scratch);
  const Range mine = share(ctx, g.rows);
  for (int64_t r = mine.begin; r < mine.end; r += BLOCK_LINEAR_ROWS) {
    const float* residual = g.residual ? g.residual + r * g.ldResidual : nullptr;
    const BlockRows rows{g.x + r * g.ldx, g.ldx, g.y + r * g.ldy, g.ldy, residual, g.ldResidual};
    multiplyBlocks(blocks, w, transposed, rows, smaller(BLOCK_LINEAR_ROWS, mine.end - r), scratch);
  }
}

void blockLinearGradient(const BlockLinearGradientArgs& g, const Context& ctx) {
  const Blocks blocks{g.groups, g.inSize, g.outSize};
  sumPartitions(ctx, g.rows, g.scratch, blocks.size(), [&](Range rows, float* sums) {
    addBlockGradient(blocks, {g.x + rows.begin * g.ldx, g.ldx, g.dy + rows.begin * g.lddy, g.lddy},
                     rows.end - rows.begin, sums, ctx.scratch);
  });
  addBlockPartitions(ctx, blocks, g.scratch, blocks.size(), g.dw);
}

}  // namespace xl
