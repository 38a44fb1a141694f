// Matrices of small numbers, as src/compute/program/packing.ts lays them out: rows of codes, PACKED_GROUP columns a group,
// then a word for each block of PACKED_BLOCK columns, all as int32. A weight is
//   q8    code · scale, the code a signed byte, the word the scale as float32
//   q4    code · scale + offset, the code 0 to 15, the scale the whole word as float32, the offset its lower half as bfloat16
//   bf16  the number itself
// Rows end at PACKED_ROW_WORDS words. Sixteen words of a q4 group hold its 128 codes: nibble s of word l is column 16 s + l; of bf16, half s of word l of each
// 16 is column 16 s + l of 32. So a vector of words gives vectors of columns that follow each other, at any vector width.
#pragma once
#include "product.h"

namespace xl {

namespace packed {
constexpr int GROUP = PACKED_GROUP, BLOCK = PACKED_BLOCK, BLOCKS = GROUP / BLOCK;
constexpr int WORDS = 16;  // of a group of q4, and of half a block's pair of bf16: W divides it
static_assert(GROUP == 128 && BLOCK == 32, "the layouts below");

// Row j of a matrix begins at codes + j · stride; its block words follow `blocks` after that.
struct Matrix {
  const int32_t* codes;
  int64_t stride, blocks, groups;
};

XL_INLINE vi splatBits(int32_t x) { return x - vi{}; }
XL_INLINE float asFloat(int32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}
XL_INLINE float offsetOf(int32_t word) { return asFloat(static_cast<int32_t>(static_cast<uint32_t>(word) << 16)); }

// Signed bytes.
struct Q8 {
  static constexpr int CODE_WORDS = GROUP / 4;
  static constexpr bool BLOCKED = true, OFFSETS = false, STACKED = false;
  // The W columns from 16 s + lane on.
  XL_INLINE static vf columns(const int32_t* codes, int s, int lane) {
    return toFloat(loadBytes(reinterpret_cast<const int8_t*>(codes) + 16 * s + lane));
  }
};

// Codes stay where they are in their word, which makes them 16^s times as large: `x` of a product is made smaller by as
// much beforehand, by a power of 2, so that no bit is lost.
struct Q4 {
  static constexpr int CODE_WORDS = GROUP / 8;
  static constexpr bool BLOCKED = true, OFFSETS = true, STACKED = true;
  XL_INLINE static vf columns(const int32_t* codes, int s, int lane) {
    const vi words = loadInts(codes + lane);
    // The sign bit is part of the last nibble.
    if (s == 7) return toFloat(shiftRight(words, 28));
    return toFloat(words & splatBits(15 << 4 * s));
  }
  XL_INLINE static float factor(int s) { return s == 7 ? 1.0f : 1.0f / static_cast<float>(1 << 4 * s); }
};

// The upper halves of float32.
struct Bf16 {
  static constexpr int CODE_WORDS = GROUP / 2;
  static constexpr bool BLOCKED = false, OFFSETS = false, STACKED = false;
  XL_INLINE static vf columns(const int32_t* codes, int s, int lane) {
    const vi words = loadInts(codes + s / 2 * WORDS + lane);
    return (vf)(s % 2 == 0 ? words << 16 : words & splatBits(static_cast<int32_t>(0xffff0000u)));
  }
};

// What dotRows takes of a row of x: its columns in whole groups, 0 behind the last, and the sum of each block, if the
// format has offsets.
inline int64_t preparedSize(int64_t groups) { return groups * (GROUP + BLOCKS); }

template <class F> static void prepare(const float* x, int64_t k, int64_t groups, float* out) {
  float* sums = out + groups * GROUP;
  for (int64_t g = 0; g < groups; g++) {
    float* to = out + g * GROUP;
    const int64_t count = smaller(GROUP, k - g * GROUP);
    for (int64_t e = 0; e < GROUP; e++) to[e] = e < count ? x[g * GROUP + e] : 0.0f;
    if constexpr (F::OFFSETS)
      for (int b = 0; b < BLOCKS; b++) {
        float sum = 0;
        for (int e = 0; e < BLOCK; e++) sum += to[b * BLOCK + e];
        sums[g * BLOCKS + b] = sum;
      }
    if constexpr (F::STACKED)
      for (int s = 0; s < GROUP / WORDS; s++)
        for (int e = 0; e < WORDS; e++) to[s * WORDS + e] *= F::factor(s);
  }
}

// Rows of the matrix that are multiplied abreast.
constexpr int ABREAST = 4;

// Their products with a prepared x. The last `ABREAST - count` rows repeat the one before.
template <class F> static void dotRows(const Matrix& matrix, int64_t j, int count, const float* x, float* out) {
  const int32_t* row[ABREAST];
#pragma GCC unroll 4
  for (int r = 0; r < ABREAST; r++) row[r] = matrix.codes + (j + (r < count ? r : count - 1)) * matrix.stride;
  vf acc[ABREAST][2];
#pragma GCC unroll 4
  for (int r = 0; r < ABREAST; r++) acc[r][0] = acc[r][1] = zero();
  // The rows that come next lie behind these.
  const char* next = reinterpret_cast<const char*>(matrix.codes + (j + ABREAST) * matrix.stride);
  constexpr int lines = (F::CODE_WORDS + (F::BLOCKED ? BLOCKS : 0)) * 4 * ABREAST / 64;
  const float* sums = x + matrix.groups * GROUP;
  for (int64_t g = 0; g < matrix.groups; g++) {
#pragma GCC unroll 16
    for (int line = 0; line < lines; line++) __builtin_prefetch(next + 64 * line, 0, 2);
    next += 64 * lines;
#pragma GCC unroll 4
    for (int b = 0; b < BLOCKS; b++) {
      vf part[ABREAST];
#pragma GCC unroll 8
      for (int u = 0; u < BLOCK; u += W) {
        const int s = (b * BLOCK + u) / WORDS, lane = u % WORDS;
        const vf xs = load(x + b * BLOCK + u);
#pragma GCC unroll 4
        for (int r = 0; r < ABREAST; r++) {
          const vf w = F::columns(row[r] + g * F::CODE_WORDS, s, lane);
          if constexpr (F::BLOCKED) part[r] = u == 0 ? xs * w : fma(xs, w, part[r]);
          else acc[r][u / W % 2] = fma(xs, w, acc[r][u / W % 2]);
        }
      }
      if constexpr (F::BLOCKED)
#pragma GCC unroll 4
        for (int r = 0; r < ABREAST; r++) {
          const vf scale = splat(asFloat(row[r][matrix.blocks + g * BLOCKS + b]));
          acc[r][b % 2] = fma(scale, part[r], acc[r][b % 2]);
        }
    }
    x += GROUP;
  }
  if constexpr (F::OFFSETS) {
    const int64_t blocks = matrix.groups * BLOCKS;
    eachVector(blocks, [&](int64_t b, int part) XL_LAMBDA_INLINE {
      const vf of = loadLanes(sums + b, part);
#pragma GCC unroll 4
      for (int r = 0; r < ABREAST; r++) {
        // Rows end at whole vectors.
        const vf offset = (vf)(loadInts(row[r] + matrix.blocks + b) << 16);
        acc[r][0] = fma(offset, of, acc[r][0]);
      }
    });
  }
#pragma GCC unroll 4
  for (int r = 0; r < ABREAST; r++) out[r] = sum(acc[r][0] + acc[r][1]);
}

// Columns [from, from + count) of a row as float32, both multiples of a group.
template <class F> static void unpackRow(const Matrix& matrix, int64_t j, int64_t from, int64_t count, float* out) {
  const int32_t* row = matrix.codes + j * matrix.stride;
  for (int64_t g = from / GROUP; g < (from + count) / GROUP; g++, out += GROUP)
#pragma GCC unroll 4
    for (int b = 0; b < BLOCKS; b++) {
      const int32_t word = F::BLOCKED ? row[matrix.blocks + g * BLOCKS + b] : 0;
#pragma GCC unroll 8
      for (int u = 0; u < BLOCK; u += W) {
        const int s = (b * BLOCK + u) / WORDS;
        vf w = F::columns(row + g * F::CODE_WORDS, s, u % WORDS);
        if constexpr (F::STACKED) w *= splat(F::factor(s));
        if constexpr (F::OFFSETS) w = fma(w, splat(asFloat(word)), splat(offsetOf(word)));
        else if constexpr (F::BLOCKED) w *= splat(asFloat(word));
        store(out + b * BLOCK + u, w);
      }
    }
}

}  // namespace packed

}  // namespace xl
