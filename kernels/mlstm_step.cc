// One token of mLSTM: reads and writes the matrix state once.
#include "generated/kernels.h"
#include "mlstm.h"

namespace xl {

// Columns of a head's state that are one piece of work: which thread has a piece does not change its numbers.
constexpr int64_t MLSTM_COLUMNS = 64;

struct MlstmStepHead {
  float keep;    // F, 0 after a reset
  float write;   // I · keyScale
  float m;
};

static MlstmStepHead mlstmStepGates(const MlstmStepArgs& a, int64_t item) {
  const int64_t member = item / a.heads, head = item % a.heads;
  const bool reset = a.reset && a.reset[member] != 0.0f;
  const float i = a.i[member * a.ldi + head], m = a.m && !reset ? a.m[item] : 0.0f;
  const float forget = mlstmLogForget(splat(a.f[member * a.ldf + head]))[0];
  const float next = mlstmMaximum(forget, m, i);
  // The exponents in double: m is rounded, and what it lost must not be lost from the state too.
  const float keep = expScalar(static_cast<float>(static_cast<double>(forget) + m - next));
  return {reset ? 0.0f : keep, expScalar(static_cast<float>(static_cast<double>(i) - next)) * a.keyScale, next};
}

// V vectors of columns from `begin` on, the last with `last` columns: next = keep · c + (write · k) vᵀ, h = nextᵀ q.
template <int V>
static void mlstmStepColumns(int64_t keyDim, int64_t ld, const float* q, const float* k, const MlstmStepHead& s,
                             const float* c, float* next, const float* v, float* h, float factor, int last) {
  vf value[V], total[V];
  for (int j = 0; j < V; j++) {
    value[j] = j + 1 < V ? load(v + j * W) : loadFirst(v + j * W, last);
    total[j] = zero();
  }
  for (int64_t d = 0; d < keyDim; d++) {
    const float key = s.write * k[d], query = q[d];
    for (int j = 0; j < V; j++) {
      vf x = value[j] * key;
      if (c) x = fma(j + 1 < V ? load(c + j * W) : loadFirst(c + j * W, last), splat(s.keep), x);
      total[j] = fma(x, splat(query), total[j]);
      if (j + 1 < V) store(next + j * W, x);
      else storeFirst(next + j * W, x, last);
    }
    if (c) c += ld;
    next += ld;
  }
  for (int j = 0; j < V; j++) {
    if (j + 1 < V) store(h + j * W, total[j] * factor);
    else storeFirst(h + j * W, total[j] * factor, last);
  }
}

// n of the head after the token, in `next`; n may be absent.
static void mlstmStepNormalizer(const MlstmStepArgs& a, int64_t item, const MlstmStepHead& s, float* next) {
  const int64_t member = item / a.heads, head = item % a.heads;
  const float* k = a.k + member * a.ldk + head * a.keyDim;
  const float* n = a.n && s.keep != 0.0f ? a.n + item * a.keyDim : nullptr;
  for (int64_t d = 0; d < a.keyDim; d += W) {
    const int some = static_cast<int>(a.keyDim - d < W ? a.keyDim - d : W);
    vf x = loadFirst(k + d, some) * s.write;
    if (n) x = fma(loadFirst(n + d, some), splat(s.keep), x);
    storeFirst(next + d, x, some);
  }
}

static void mlstmStepPiece(const MlstmStepArgs& a, int64_t item, int64_t begin, float* n) {
  const int64_t member = item / a.heads, head = item % a.heads;
  const MlstmStepHead s = mlstmStepGates(a, item);
  const float* q = a.q + member * a.ldq + head * a.keyDim;
  const float* k = a.k + member * a.ldk + head * a.keyDim;
  mlstmStepNormalizer(a, item, s, n);
  const float dot = a.queryScale * sum(mlstmLaneDot(q, n, a.keyDim));
  const float factor = a.queryScale / mlstmDenominator(splat(dot), exp(splat(-s.m)), a.eps)[0];
  const int64_t end = begin + MLSTM_COLUMNS < a.valueDim ? begin + MLSTM_COLUMNS : a.valueDim;
  for (int64_t j = begin; j < end; j += 4 * W) {
    const int64_t at = item * a.keyDim * a.valueDim + j, column = head * a.valueDim + j;
    const float* c = a.c && s.keep != 0.0f ? a.c + at : nullptr;
    const float* v = a.v + member * a.ldv + column;
    float* h = a.h + member * a.ldh + column;
    const int columns = static_cast<int>(end - j < 4 * W ? end - j : 4 * W), vectors = (columns + W - 1) / W;
    const int last = columns - (vectors - 1) * W;
    const auto run = vectors == 1 ? mlstmStepColumns<1> : vectors == 2 ? mlstmStepColumns<2>
                   : vectors == 3 ? mlstmStepColumns<3> : mlstmStepColumns<4>;
    run(a.keyDim, a.valueDim, q, k, s, c, a.lastC + at, v, h, factor, last);
  }
}

void mlstmStep(const MlstmStepArgs& a, const Context& ctx) {
  const int64_t items = a.batch * a.heads, pieces = (a.valueDim + MLSTM_COLUMNS - 1) / MLSTM_COLUMNS;
  const Range mine = share(ctx, items * pieces);
  for (int64_t p = mine.begin; p < mine.end; p++)
    mlstmStepPiece(a, p / pieces, p % pieces * MLSTM_COLUMNS, ctx.scratch);
  // n and m may be written in place, and every piece of a head reads them.
  ctx.sync();
  const Range heads = share(ctx, items);
  for (int64_t item = heads.begin; item < heads.end; item++) {
    const MlstmStepHead s = mlstmStepGates(a, item);
    mlstmStepNormalizer(a, item, s, a.lastN + item * a.keyDim);
    a.lastM[item] = s.m;
  }
}

}  // namespace xl
