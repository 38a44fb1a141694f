// Embedding lookup and the sum of gradients into the rows that were looked up.
#include "generated/kernels.h"
#include "map.h"

namespace xl {

void embeddingForward(const EmbeddingForwardArgs& a, const Context& ctx) {
  const Range rows = share(ctx, a.rows);
  for (int64_t r = rows.begin; r < rows.end; r++) {
    const int64_t row = rowNamed(a.tokens[r], a.vocab);
    if (row < 0) fillBlock(a.y + r * a.ldy, __builtin_nanf(""), a.dim);
    else copyBlock(a.y + r * a.ldy, a.table + row * a.dim, a.dim);
  }
}

// Threads own columns, so that each element is summed in the order of the rows, however often a token occurs.
void embeddingBackward(const EmbeddingBackwardArgs& a, const Context& ctx) {
  const Range elements = share(ctx, a.vocab * a.dim, 16);
  fillBlock(a.dtable + elements.begin, 0.0f, elements.end - elements.begin);
  ctx.sync();
  const Range columns = share(ctx, a.dim, 16);
  const int64_t n = columns.end - columns.begin;
  for (int64_t r = 0; r < a.rows; r++) {
    const int64_t row = rowNamed(a.tokens[r], a.vocab);
    if (row < 0) continue;
    float* sums = a.dtable + row * a.dim + columns.begin;
    mapBinary(sums, sums, a.dy + r * a.lddy + columns.begin, n, [](vf s, vf d) { return s + d; });
  }
}

}  // namespace xl
