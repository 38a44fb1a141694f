#include "gemm.h"
#include "gemm_amx.h"

#include "generated/kernels.h"

namespace xl {

constexpr int64_t GEMM_COLUMN_GRAIN = 16;  // a cache line

// Threads form a grid over the rows of all batch members and the columns: the number of grid columns with the least
// work for the busiest thread. Beside its part of C a thread packs its columns of B and packs or at least reads its
// rows of A, which weighs as much as some columns or rows of products (measured).
template <class Args> static int64_t gemmGridColumns(const Args& g, int64_t rowStrips, int64_t threads) {
  const int64_t columnStrips = (g.n + GEMM_COLUMN_GRAIN - 1) / GEMM_COLUMN_GRAIN;
  int64_t best = 1;
  double least = 0;
  for (int64_t across = 1; across <= threads; across++) {
    if (threads % across != 0) continue;
    const int64_t down = threads / across;
    const double rows = static_cast<double>((rowStrips + down - 1) / down * tile::MR);
    const double columns = static_cast<double>((columnStrips + across - 1) / across * GEMM_COLUMN_GRAIN);
    const double members = rows > g.m ? rows / g.m : 1;
    const double work = rows * columns + 6 * columns * members + (g.transA ? 6 : 2) * rows;
    if (across == 1 || work < least) best = across, least = work;
  }
  return best;
}

// One member of the batch: the first.
template <class Args> static Product wholeProduct(const Args& g) {
  return {g.m, g.n, g.k, g.a, g.lda, g.transA != 0, g.b, g.ldb, g.transB != 0,
          g.c, g.ldc, g.bias, g.residual, g.ldResidual};
}

// multiply(part) for what this thread has of each member's product.
template <class Args, class F> static void eachProduct(const Args& g, const Context& ctx, F multiply) {
  const Product whole = wholeProduct(g);
  const int64_t strips = (g.m + tile::MR - 1) / tile::MR;
  const int across = static_cast<int>(gemmGridColumns(g, g.batch * strips, ctx.threads));
  Context down = ctx, right = ctx;
  down.thread = ctx.thread / across, down.threads = ctx.threads / across;
  right.thread = ctx.thread % across, right.threads = across;
  const Range mine = share(down, g.batch * strips), columns = share(right, g.n, GEMM_COLUMN_GRAIN);
  for (int64_t strip = mine.begin; strip < mine.end;) {
    const int64_t member = strip / strips, first = strip % strips;
    const int64_t count = smaller(strips - first, mine.end - strip);
    const int64_t row = first * tile::MR, column = columns.begin;
    Product part = whole;
    part.m = smaller(g.m - row, count * tile::MR);
    part.n = columns.end - columns.begin;
    part.a += member * g.strideA + row * (part.transA ? 1 : part.lda);
    part.b += member * g.strideB + column * (part.transB ? part.ldb : 1);
    part.c += member * g.strideC + row * part.ldc + column;
    if (part.bias) part.bias += member * g.strideBias + column;
    if (part.residual) part.residual += member * g.strideResidual + row * part.ldResidual + column;
    multiply(part);
    strip += count;
  }
}

void gemm(const GemmArgs& g, const Context& ctx) {
  const bool dots = prefersDots(wholeProduct(g));
  eachProduct(g, ctx, [&](const Product& part) {
    if (dots) dotProducts(part);
    else gemmTiles(part, ctx.scratch);
  });
}

void gemmBf16(const GemmBf16Args& g, const Context& ctx) {
#if XL_HAS_BF16_DOTS
  eachProduct(g, ctx, [&](const Product& part) {
#if XL_HAS_TILES
    if (ctx.tiles) return bf16::amx::multiply(part, ctx.scratch);
#endif
    bf16::multiply(part, ctx.scratch);
  });
#else
  (void)g, (void)ctx;
  __builtin_trap();  // no engine binds it to these instructions
#endif
}

void panelLinear(const PanelLinearArgs& g, const Context& ctx) {
#if XL_HAS_BF16_DOTS
  const int64_t rowWords = (g.columns + 1) / 2;
  const Range mine = share(ctx, g.rows, PANEL_ROWS);
  if (mine.begin == mine.end) return;
  const int64_t j = mine.begin;
  const Product part{g.m, mine.end - j, g.columns, g.x, g.ldx, false, g.w + j * rowWords, rowWords, true, g.y + j, g.ldy,
                     g.bias ? g.bias + j : nullptr, g.residual ? g.residual + j : nullptr, g.ldResidual};
#if XL_HAS_TILES
  if (ctx.tiles) return bf16::amx::multiplyPanels(part, rowWords, ctx.scratch);
#endif
  bf16::multiplyPanels(part, rowWords, ctx.scratch);
#else
  (void)g, (void)ctx;
  __builtin_trap();  // no engine binds it to these instructions
#endif
}

}  // namespace xl
