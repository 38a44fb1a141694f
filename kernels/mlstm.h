// What the mLSTM kernels share: the gates of one chunk of one head, in a form from which every decay factor follows.
#pragma once
#include "context.h"
#include "math.h"

namespace xl {

// Consecutive pieces of a thread's scratch, each on a cache line.
struct MlstmScratch {
  float* next = nullptr;
  float* end = nullptr;
  MlstmScratch() = default;
  explicit MlstmScratch(float* threadScratch) : next(threadScratch), end(threadScratch + THREAD_SCRATCH) {}
  float* take(int64_t count) {
    float* piece = next;
    next += (count + 15) / 16 * 16;
    if (next > end) __builtin_trap();  // the kernel table understates threadScratch
    return piece;
  }
};

constexpr int64_t mlstmPadded(int64_t count) { return (count + W - 1) / W * W; }

// Within a chunk a document is a run of rows; b_t sums log forget gates from its first row to row t. Then
//   decay D[t, s] = exp(b_t - b_s + i_s - m_t) for s <= t of the same document, else 0,
//   carry[t] = exp(b_t + m_entry - m_t), the factor of the entry state, for rows that continue its document, else 0.
// The last row of D and of carry are the factors of the chunk's exit state.
// b reaches magnitudes at which a float32 difference would be off by 1e-4, hence the exponent's two parts, (b_t - m_t)
// and (i_s - b_s), are kept as a high and a low float each: where they matter, the high ones cancel exactly.
struct MlstmGates {
  int rows, padded;   // padded to a multiple of W
  int carried;        // rows [0, carried) continue the entry state's document
  int last;           // rows [last, rows) are of the document in which the chunk ends
  float* maxima;      // m_t
  float* carry;
  float* forget;      // log sigmoid(f_t)
  float* rowHigh;
  float* rowLow;
  float* columnHigh;
  float* columnLow;
  int32_t* first;     // first row of t's document
};

static MlstmGates mlstmGates(MlstmScratch& scratch, int64_t chunk) {
  MlstmGates g{};
  g.maxima = scratch.take(chunk + W);
  g.carry = scratch.take(chunk + W);
  g.forget = scratch.take(chunk + W);
  g.rowHigh = scratch.take(chunk + W);
  g.rowLow = scratch.take(chunk + W);
  g.columnHigh = scratch.take(chunk + W);
  g.columnLow = scratch.take(chunk + W);
  g.first = reinterpret_cast<int32_t*>(scratch.take(chunk + W));
  return g;
}

// log sigmoid, but finite for f = -infinity: a closed gate stays closed, without differences of infinities.
XL_INLINE vf mlstmLogForget(vf f) { return max(splat(-1e6f), logSigmoid(f)); }

// m after a token. Each form of the cell takes these steps one by one, so that m is the same in all of them.
template <class T> XL_INLINE T mlstmMaximum(T logForget, T m, T i) {
  const T kept = logForget + m;
  return kept > i ? kept : i;
}

// Gates of rows [0, rows); entry is m at the chunk's entry, reset may be absent.
static void mlstmReadGates(MlstmGates& g, int rows, const float* i, int64_t ldi, const float* f, int64_t ldf,
                           const float* reset, float entry) {
  g.rows = rows;
  g.padded = static_cast<int>(mlstmPadded(rows));
  for (int t = 0; t < g.padded; t++) g.forget[t] = t < rows ? f[t * ldf] : 0.0f;
  for (int t = 0; t < g.padded; t += W) store(g.forget + t, mlstmLogForget(load(g.forget + t)));
  double b = 0;
  float m = entry;
  g.last = 0;
  g.carried = rows;
  for (int t = 0; t < rows; t++) {
    if (reset && reset[t] != 0.0f) {
      if (g.carried > t) g.carried = t;
      g.last = t;
      b = 0;
      m = 0;
    }
    b += g.forget[t];
    m = mlstmMaximum(g.forget[t], m, i[t * ldi]);
    const double row = b - m, column = i[t * ldi] - b;
    g.first[t] = g.last;
    g.maxima[t] = m;
    g.carry[t] = static_cast<float>(row + entry);
    g.rowHigh[t] = static_cast<float>(row);
    g.rowLow[t] = static_cast<float>(row - g.rowHigh[t]);
    g.columnHigh[t] = static_cast<float>(column);
    g.columnLow[t] = static_cast<float>(column - g.columnHigh[t]);
  }
  for (int t = rows; t < g.padded; t++) g.carry[t] = g.columnHigh[t] = g.columnLow[t] = 0;
  for (int t = 0; t < g.padded; t += W) store(g.carry + t, exp(load(g.carry + t)));
  for (int t = g.carried; t < g.padded; t++) g.carry[t] = 0;
}

// Columns [s, s + W) of row t of x ∘ D; s + W <= padded. Where D is 0, x does not matter.
XL_INLINE vf mlstmDecay(const MlstmGates& g, int t, int s, vf x) {
  const vi column = laneNumbers() + s;
  const vf high = load(g.columnHigh + s) + g.rowHigh[t], low = load(g.columnLow + s) + g.rowLow[t];
  return select((column >= g.first[t]) & (column <= t), x * exp(high + low), zero());
}

// max(|n·q̂|, exp(-m)) + eps; NaN if the dot product is.
XL_INLINE vf mlstmDenominator(vf dot, vf floor, float eps) { return max(floor, abs(dot)) + eps; }

// A vector whose lanes sum to x · y.
static vf mlstmLaneDot(const float* x, const float* y, int64_t count) {
  vf total = zero();
  int64_t d = 0;
  for (; d + W <= count; d += W) total = fma(load(x + d), load(y + d), total);
  if (d < count) {
    const int rest = static_cast<int>(count - d);
    total = fma(loadFirst(x + d, rest), loadFirst(y + d, rest), total);
  }
  return total;
}

static void mlstmCopy(float* to, const float* from, int64_t count) {
  int64_t d = 0;
  for (; d + W <= count; d += W) store(to + d, load(from + d));
  if (d < count) storeFirst(to + d, loadFirst(from + d, static_cast<int>(count - d)), static_cast<int>(count - d));
}

static void mlstmClear(float* x, int64_t count) {
  for (int64_t d = 0; d < count; d++) x[d] = 0;
}

}  // namespace xl
