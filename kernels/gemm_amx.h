// Matrix products of operands that are rounded to bfloat16, on one thread, with the tile registers of AMX: an instruction
// (tdpbf16ps) multiplies 16 rows of 32 steps with 16 columns. Packed in words of two steps as in gemm_bf16.h, each block of 16
// columns by itself; what a tile lacks of rows or steps is 0. Each element is one chain of sums along k within a block of STEPS,
// and the blocks are added in order.
#pragma once
#include "gemm_bf16.h"

#if XL_HAS_BF16_DOTS && XL_COMPILES_AMX
#define XL_HAS_TILES 1
#define XL_AMX __attribute__((target("amx-tile,amx-bf16,avx512bf16")))

namespace xl {
namespace bf16 {
namespace amx {
// Rows and columns of a tile of sums, and words of a row of an operand's: 64 bytes each.
constexpr int SIDE = 16;
constexpr int TILE = SIDE * SIDE;
// Sums are formed two tiles by two: all but four of the eight registers.
constexpr int BLOCK = 2 * SIDE;
// Rows of a packed A lie a line more than a block apart: at a power of two they would share a few sets of the first-level cache.
constexpr int64_t ROW = WORDS + SIDE;
static_assert(W == SIDE && PANEL_ROWS == SIDE && tile::NC % BLOCK == 0 && tile::MC % BLOCK == 0, "blocks are whole tiles");
static_assert(WORDS * tile::NC + tile::MC * ROW + SIDE <= GEMM_SCRATCH, "packed B, packed A, alignment");

// Compilers do not know what memory some of the instructions read: what was written before has to be there.
XL_INLINE void written(const void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

// The shapes of the registers: all of them whole. They are the thread's until `release`.
XL_AMX static void configure() {
  struct alignas(64) {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } shapes = {};
  shapes.palette = 1;
  for (int i = 0; i < 8; i++) shapes.bytes[i] = 4 * SIDE, shapes.rows[i] = SIDE;
  written(&shapes);
  _tile_loadconfig(&shapes);
}
XL_AMX static void release() { _tile_release(); }

// Rows [i, i + rows) of op(A), k steps from p on: out [rows, ROW], with rows and words of 0 up to whole tiles.
XL_BF16 static void packTiles(const Product& g, int64_t p, int64_t k, int64_t i, int64_t rows, float* out) {
  const int64_t words = (k + 1) / 2;
  for (int64_t r = 0; r < rows; r += SIDE) {
    const int count = static_cast<int>(smaller(SIDE, rows - r));
    float* to = out + r * ROW;
    for (int64_t q = 0; q < words; q += SIDE) {
      if (!g.transA) {
        const float* from = g.a + (i + r) * g.lda + p + 2 * q;
        for (int s = 0; s < SIDE; s++) store(to + s * ROW + q, s < count ? loadAlong(from + s * g.lda, k - 2 * q) : zero());
        continue;
      }
      const float* from = g.a + (p + 2 * q) * g.lda + i + r;
      const int64_t left = k - 2 * q;
      vf x[SIDE];
      for (int s = 0; s < SIDE; s++)
        x[s] = 2 * s < left ? loadAcross(from + 2 * s * g.lda, g.lda, 2 * s + 1 < left, count) : zero();
      transpose(x);
      for (int s = 0; s < SIDE; s++) store(to + s * ROW + q, x[s]);
    }
  }
}

// Blocks of SIDE columns of what is multiplied with, each [words, SIDE] and `strip` words from the one before. Where its words are
// no whole tiles, the last ones of every block are in `tails` [blocks, TILE], filled up with 0.
struct Strips {
  const float* words;
  int64_t strip;
  int64_t tiles;  // whole ones along k
  const float* tails;
};

// How far ahead the columns of a matrix that lies in memory are asked for: more than a tile's worth of lines at a time is not foreseen by
// the processor (1.1 to 1.2 times as fast; of what was packed, and is in cache, it costs 3 %).
constexpr int64_t AHEAD = 6 * TILE;

// The sums of R by C tiles: out [R * SIDE, BLOCK]. `b` begins with the first of the columns.
template <int R, int C, bool FAR> XL_AMX static void multiplyTiles(const float* a, const Strips& b, float* out) {
  written(a);
  _tile_zero(0);
  if (C > 1) _tile_zero(1);
  if (R > 1) _tile_zero(2);
  if (R > 1 && C > 1) _tile_zero(3);
  const auto add = [&](const float* rows, const float* columns, int64_t strip) XL_AMX XL_LAMBDA_INLINE {
    if (FAR) {
#pragma GCC unroll 16
      for (int line = 0; line < TILE; line += SIDE) {
        __builtin_prefetch(columns + AHEAD + line);
        if (C > 1) __builtin_prefetch(columns + strip + AHEAD + line);
      }
    }
    _tile_loadd(4, rows, 4 * ROW);
    _tile_loadd(6, columns, 4 * SIDE);
    _tile_dpbf16ps(0, 4, 6);
    if (C > 1) {
      _tile_loadd(7, columns + strip, 4 * SIDE);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (R > 1) {
      _tile_loadd(5, rows + SIDE * ROW, 4 * ROW);
      _tile_dpbf16ps(2, 5, 6);
      if (C > 1) _tile_dpbf16ps(3, 5, 7);
    }
  };
  for (int64_t t = 0; t < b.tiles; t++) add(a + t * SIDE, b.words + t * TILE, b.strip);
  if (b.tails) add(a + b.tiles * SIDE, b.tails, TILE);
  _tile_stored(0, out, 4 * BLOCK);
  if (C > 1) _tile_stored(1, out + SIDE, 4 * BLOCK);
  if (R > 1) _tile_stored(2, out + SIDE * BLOCK, 4 * BLOCK);
  if (R > 1 && C > 1) _tile_stored(3, out + SIDE * BLOCK + SIDE, 4 * BLOCK);
}

// Puts the sums of `rows` rows where they belong.
template <int C> static void endRows(const float* sums, int64_t rows, TileEnd end) {
  for (int64_t r = 0; r < rows; r++) {
    vf acc[1][C];
    for (int v = 0; v < C; v++) acc[0][v] = load(sums + r * BLOCK + v * W);
    endTile<1, C>(acc, end);
    end.c += end.ldc;
    if (end.residual) end.residual += end.ldResidual;
  }
}

// The packed rows [i, i + rows) times all columns of a block of op(B) from j0 on.
template <bool FAR>
static void multiplyRows(const Product& g, const float* a, int64_t i, int64_t rows, int64_t j0, int64_t strips, const Strips& b,
                         bool first) {
  alignas(64) float sums[BLOCK * BLOCK];
  for (int64_t r = 0; r < rows; r += BLOCK) {
    const int64_t some = smaller(BLOCK, rows - r);
    for (int64_t s = 0; s < strips; s += 2) {
      const int wide = static_cast<int>(smaller(2, strips - s));
      const TileEnd end = tileEnd(g, i + r, j0 + s * SIDE, wide, first);
      for (int64_t line = 0; line < some; line++) {
        __builtin_prefetch(end.c + line * end.ldc, 1);
        __builtin_prefetch(end.c + line * end.ldc + wide * SIDE - 1, 1);
      }
      Strips here = b;
      here.words += s * b.strip;
      if (b.tails) here.tails += s * TILE;
      const float* from = a + r * ROW;
      if (some > SIDE) wide == 2 ? multiplyTiles<2, 2, FAR>(from, here, sums) : multiplyTiles<2, 1, FAR>(from, here, sums);
      else wide == 2 ? multiplyTiles<1, 2, FAR>(from, here, sums) : multiplyTiles<1, 1, FAR>(from, here, sums);
      if (wide == 2) endRows<2>(sums, some, end);
      else endRows<1>(sums, some, end);
    }
  }
}

static void multiply(const Product& g, float* scratch) {
  float* packedB = nextLine(scratch);
  float* packedA = packedB + WORDS * tile::NC;
  configure();
  for (int64_t j0 = 0; j0 < g.n; j0 += tile::NC) {
    const int64_t strips = (smaller(tile::NC, g.n - j0) + SIDE - 1) / SIDE;
    for (int64_t p = 0; p == 0 || p < g.k; p += STEPS) {
      const int64_t k = smaller(STEPS, g.k - p), words = (k + 1) / 2, tiles = (words + SIDE - 1) / SIDE;
      for (int64_t s = 0; s < strips; s++) {
        float* to = packedB + s * tiles * TILE;
        packB(g, p, k, j0 + s * SIDE, 1, to);
        for (int64_t q = words; q < tiles * SIDE; q++) store(to + q * SIDE, zero());
      }
      for (int64_t i = 0; i < g.m; i += tile::MC) {
        const int64_t rows = smaller(tile::MC, g.m - i);
        packTiles(g, p, k, i, rows, packedA);
        multiplyRows<false>(g, packedA, i, rows, j0, strips, {packedB, tiles * TILE, tiles, nullptr}, p == 0);
      }
    }
  }
  release();
}

// As multiplyPanels of gemm_bf16.h.
static void multiplyPanels(const Product& g, int64_t rowWords, float* scratch) {
  float* tails = nextLine(scratch);
  float* packedA = tails + tile::NC * SIDE;
  const int64_t strip = SIDE * rowWords;
  configure();
  for (int64_t j0 = 0; j0 < g.n; j0 += tile::NC) {
    const int64_t strips = smaller(tile::NC, g.n - j0) / SIDE;
    for (int64_t p = 0; p < g.k; p += STEPS) {
      const int64_t k = smaller(STEPS, g.k - p), words = (k + 1) / 2, tiles = words / SIDE;
      const float* b = g.b + j0 / SIDE * strip + p / 2 * SIDE;
      const bool whole = words % SIDE == 0;
      for (int64_t s = 0; !whole && s < strips; s++)
        for (int64_t q = 0; q < SIDE; q++) {
          const int64_t word = tiles * SIDE + q;
          store(tails + s * TILE + q * SIDE, word < words ? load(b + s * strip + word * SIDE) : zero());
        }
      for (int64_t i = 0; i < g.m; i += tile::MC) {
        const int64_t rows = smaller(tile::MC, g.m - i);
        packTiles(g, p, k, i, rows, packedA);
        multiplyRows<true>(g, packedA, i, rows, j0, strips, {b, strip, tiles, whole ? nullptr : tails}, p == 0);
      }
    }
  }
  release();
}

}  // namespace amx
}  // namespace bf16
}  // namespace xl
#else
#define XL_HAS_TILES 0
#endif
