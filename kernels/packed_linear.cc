// Products with a packed matrix: few rows of x read it as it is, for more of them it becomes float32 piece by piece.
#include "gemm.h"
#include "generated/kernels.h"
#include "packed.h"

namespace xl {

static_assert(tile::KC == PACKED_PIECE_COLUMNS && tile::NC == PACKED_PIECE_ROWS, "pieces are blocks of packed B");
static_assert(PACKED_PIECE_COLUMNS % PACKED_GROUP == 0 && PACKED_PIECE_ROWS % PACKED_GROUP == 0, "pieces are groups");
static_assert(PACKED_ROW_WORDS % W == 0, "the block words of a row end with a vector");

namespace packed {

// y[m, rows] = x[m, columns] Wᵀ + bias + residual for this thread's rows of W; all of the prepared x is in scratch.
template <class F> static void multiplyFew(const PackedLinearArgs& g, const Matrix& w, const Context& ctx) {
  const int64_t size = preparedSize(w.groups);
  for (int64_t i = 0; i < g.m; i++) prepare<F>(g.x + i * g.ldx, g.columns, w.groups, ctx.scratch + i * size);
  const Range mine = share(ctx, g.rows, ABREAST);
  for (int64_t j = mine.begin; j < mine.end; j += ABREAST) {
    const int count = static_cast<int>(smaller(ABREAST, mine.end - j));
    for (int64_t i = 0; i < g.m; i++) {
      float sums[ABREAST];
      dotRows<F>(w, j, count, ctx.scratch + i * size, sums);
      for (int r = 0; r < count; r++) {
        float y = sums[r];
        if (g.bias) y += g.bias[j + r];
        if (g.residual) y += g.residual[i * g.ldResidual + j + r];
        g.y[i * g.ldy + j + r] = y;
      }
    }
  }
}

// The same for many rows of x.
template <class F> static void multiplyMany(const PackedLinearArgs& g, const Matrix& w, const Context& ctx) {
  float* piece = ctx.scratch + GEMM_SCRATCH;
  const Range mine = share(ctx, g.rows, 16);
  for (int64_t j = mine.begin; j < mine.end; j += PACKED_PIECE_ROWS) {
    const int64_t rows = smaller(PACKED_PIECE_ROWS, mine.end - j);
    for (int64_t p = 0; p < g.columns; p += PACKED_PIECE_COLUMNS) {
      const int64_t k = smaller(PACKED_PIECE_COLUMNS, g.columns - p);
      const int64_t whole = (k + GROUP - 1) / GROUP * GROUP;
      for (int64_t r = 0; r < rows; r++) unpackRow<F>(w, j + r, p, whole, piece + r * PACKED_PIECE_COLUMNS);
      float* y = g.y + j;
      const float* residual = p > 0 ? y : g.residual ? g.residual + j : nullptr;
      gemmTiles({g.m, rows, k, g.x + p, g.ldx, false, piece, PACKED_PIECE_COLUMNS, true, y, g.ldy,
                 p == 0 && g.bias ? g.bias + j : nullptr, residual, p > 0 ? g.ldy : g.ldResidual},
                ctx.scratch);
    }
  }
}

// y[m, columns] = x[m, rows] W + residual for this thread's columns of W.
template <class F> static void multiplyTransposed(const PackedLinearArgs& g, const Matrix& w, const Context& ctx) {
  float* piece = ctx.scratch + GEMM_SCRATCH;
  const Range mine = share(ctx, g.columns, GROUP);
  for (int64_t j = mine.begin; j < mine.end; j += PACKED_PIECE_ROWS) {
    const int64_t columns = smaller(PACKED_PIECE_ROWS, mine.end - j);
    const int64_t whole = (columns + GROUP - 1) / GROUP * GROUP;
    for (int64_t p = 0; p < g.rows; p += PACKED_PIECE_COLUMNS) {
      const int64_t k = smaller(PACKED_PIECE_COLUMNS, g.rows - p);
      for (int64_t r = 0; r < k; r++) unpackRow<F>(w, p + r, j, whole, piece + r * PACKED_PIECE_ROWS);
      float* y = g.y + j;
      const float* residual = p > 0 ? y : g.residual ? g.residual + j : nullptr;
      gemmTiles({g.m, columns, k, g.x + p, g.ldx, false, piece, PACKED_PIECE_ROWS, false, y, g.ldy, nullptr, residual,
                 p > 0 ? g.ldy : g.ldResidual},
                ctx.scratch);
    }
  }
}

template <class F> static void multiply(const PackedLinearArgs& g, const Context& ctx) {
  const int64_t groups = (g.columns + GROUP - 1) / GROUP, blocks = groups * F::CODE_WORDS;
  const int64_t used = blocks + (F::BLOCKED ? groups * BLOCKS : 0);
  const int64_t stride = (used + PACKED_ROW_WORDS - 1) / PACKED_ROW_WORDS * PACKED_ROW_WORDS;
  const Matrix w{reinterpret_cast<const int32_t*>(g.w), stride, blocks, groups};
  if (g.transposed) multiplyTransposed<F>(g, w, ctx);
  else if (g.m <= PACKED_FEW_ROWS) multiplyFew<F>(g, w, ctx);
  else multiplyMany<F>(g, w, ctx);
}

}  // namespace packed

void packedLinear(const PackedLinearArgs& g, const Context& ctx) {
  switch (static_cast<PackedFormat>(g.format)) {
    case PackedFormat::q8: return packed::multiply<packed::Q8>(g, ctx);
    case PackedFormat::q4: return packed::multiply<packed::Q4>(g, ctx);
    case PackedFormat::bf16: return packed::multiply<packed::Bf16>(g, ctx);
  }
}

}  // namespace xl
