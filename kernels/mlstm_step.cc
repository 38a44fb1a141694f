// One token of mLSTM: reads and writes the matrix state once.
#include "ahead.h"
#include "generated/kernels.h"
#include "mlstm.h"

namespace xl {

namespace mlstm {
// Vectors of columns of a head's state that are one piece of work. Columns do not depend on each other, so neither
// which thread has a piece nor its width changes a number.
constexpr int PIECE = W == 16 ? 8 : 4;
// Rows of a piece that are asked for before their turn: of a state that is in no cache 1.2 times as fast.
constexpr int ROWS_AHEAD = 16;
}  // namespace mlstm

// Gates of up to W consecutive heads.
struct MlstmStepGates {
  float keep[W];   // F, 0 after a reset
  float write[W];  // I · keyScale
  float floor[W];  // exp(-m)
  float m[W];
};

static MlstmStepGates mlstmStepGates(const MlstmStepArgs& a, int64_t first, int count) {
  float i[W] = {}, f[W] = {}, m[W] = {}, lives[W] = {};
  for (int r = 0; r < count; r++) {
    const int64_t member = (first + r) / a.heads, head = (first + r) % a.heads;
    lives[r] = a.reset && a.reset[member] != 0.0f ? 0.0f : 1.0f;
    i[r] = a.i[member * a.ldi + head];
    f[r] = a.f[member * a.ldf + head];
    if (a.m && lives[r] != 0.0f) m[r] = a.m[first + r];
  }
  const vf forget = mlstmLogForget(load(f)), before = load(m), next = mlstmMaximum(forget, before, load(i));
  // What the sum loses in rounding, and with it m, must not be lost from the state too.
  const vf kept = forget + before, share = kept - forget, lost = (forget - (kept - share)) + (before - share);
  MlstmStepGates g;
  store(g.keep, select(load(lives) != 0.0f, exp((kept - next) + lost), zero()));
  store(g.write, exp(load(i) - next) * a.keyScale);
  store(g.floor, exp(-next));
  store(g.m, next);
  return g;
}

// V vectors of columns, the last with `last` columns: next = keep · c + (write · k) vᵀ, h = factor · nextᵀ q.
template <int V>
static void mlstmStepColumns(int64_t keyDim, int64_t ld, const float* q, const float* k, float keep, float write,
                             const float* c, float* next, const float* v, float* h, float factor, int last) {
  const auto get = [last](const float* from, int j) XL_LAMBDA_INLINE {
    return j + 1 < V ? load(from + j * W) : loadFirst(from + j * W, last);
  };
  const auto put = [last](float* to, int j, vf x) XL_LAMBDA_INLINE {
    if (j + 1 < V || last == W) store(to + j * W, x);
    else storeFirst(to + j * W, x, last);
  };
  vf value[V], total[V];
#pragma GCC unroll 8
  for (int j = 0; j < V; j++) {
    value[j] = get(v, j);
    total[j] = zero();
  }
  for (int64_t d = 0; d < keyDim; d++) {
    if (c) fetchRow(c + mlstm::ROWS_AHEAD * ld, V * W);
    const vf key = splat(write * k[d]), query = splat(q[d]);
#pragma GCC unroll 8
    for (int j = 0; j < V; j++) {
      vf x = value[j] * key;
      if (c) x = fma(get(c, j), splat(keep), x);
      total[j] = fma(x, query, total[j]);
      put(next, j, x);
    }
    if (c) c += ld;
    next += ld;
  }
#pragma GCC unroll 8
  for (int j = 0; j < V; j++) put(h, j, total[j] * factor);
}

using MlstmStepColumns = void (*)(int64_t, int64_t, const float*, const float*, float, float, const float*, float*,
                                  const float*, float*, float, int);
static MlstmStepColumns mlstmStepColumnsOf(int vectors) {
  switch (vectors) {
    case 1: return mlstmStepColumns<1>;
    case 2: return mlstmStepColumns<2>;
    case 3: return mlstmStepColumns<3>;
#if XL_WIDTH == 16
    case 4: return mlstmStepColumns<4>;
    case 5: return mlstmStepColumns<5>;
    case 6: return mlstmStepColumns<6>;
    case 7: return mlstmStepColumns<7>;
#endif
    default: return mlstmStepColumns<mlstm::PIECE>;
  }
}

// One head: columns [begin, end) of its state and of h. n after the token goes to `normalizer`.
static void mlstmStepHead(const MlstmStepArgs& a, int64_t item, float keep, float write, float floor, int64_t begin,
                          int64_t end, float* normalizer) {
  const int64_t member = item / a.heads, head = item % a.heads;
  const float* q = a.q + member * a.ldq + head * a.keyDim;
  const float* k = a.k + member * a.ldk + head * a.keyDim;
  const float* n = a.n && keep != 0.0f ? a.n + item * a.keyDim : nullptr;
  vf products = zero();
  for (int64_t d = 0; d < a.keyDim; d += W) {
    const int some = static_cast<int>(a.keyDim - d < W ? a.keyDim - d : W);
    vf x = loadFirst(k + d, some) * write;
    if (n) x = fma(loadFirst(n + d, some), splat(keep), x);
    products = fma(x, loadFirst(q + d, some), products);
    storeFirst(normalizer + d, x, some);
  }
  const vf dot = splat(sum(products) * a.queryScale);
  const float factor = a.queryScale / mlstmDenominator(dot, splat(floor), a.eps)[0];
  for (int64_t j = begin; j < end; j += mlstm::PIECE * W) {
    const int64_t at = item * a.keyDim * a.valueDim + j, column = head * a.valueDim + j;
    const int columns = static_cast<int>(end - j < mlstm::PIECE * W ? end - j : mlstm::PIECE * W);
    const int vectors = (columns + W - 1) / W;
    mlstmStepColumnsOf(vectors)(a.keyDim, a.valueDim, q, k, keep, write, a.c && keep != 0.0f ? a.c + at : nullptr,
                                a.lastC + at, a.v + member * a.ldv + column, a.h + member * a.ldh + column, factor,
                                columns - (vectors - 1) * W);
  }
}

void mlstmStep(const MlstmStepArgs& a, const Context& ctx) {
  constexpr int64_t columns = mlstm::PIECE * W;
  const int64_t items = a.batch * a.heads, pieces = (a.valueDim + columns - 1) / columns;
  // Threads share out whole heads where that is even enough. Else they share out pieces, all pieces of a head read
  // n and m, and these are written, perhaps in place, only when everybody has.
  const bool whole = pieces == 1 || items % ctx.threads == 0 || items >= 8 * ctx.threads;
  const Range mine = share(ctx, items * pieces, whole ? pieces : 1);
  const Range owned = whole ? Range{mine.begin / pieces, mine.end / pieces} : share(ctx, items);
  // Whoever has whole heads reads no other's m, which is perhaps being written.
  const int64_t readable = whole ? owned.end : items;
  for (int64_t p = mine.begin; p < mine.end;) {
    const int64_t first = p / pieces;
    const MlstmStepGates g = mlstmStepGates(a, first, static_cast<int>(readable - first < W ? readable - first : W));
    for (int r = 0; r < W && p < mine.end; r++) {
      const int64_t end = mine.end < (first + r + 1) * pieces ? mine.end : (first + r + 1) * pieces;
      const int64_t to = (end - (first + r) * pieces) * columns;
      mlstmStepHead(a, first + r, g.keep[r], g.write[r], g.floor[r], p % pieces * columns,
                    to < a.valueDim ? to : a.valueDim, whole ? a.lastN + (first + r) * a.keyDim : ctx.scratch);
      p = end;
    }
    if (whole)
      for (int64_t r = 0; r < W && first + r < owned.end; r++) a.lastM[first + r] = g.m[r];
  }
  if (whole) return;
  ctx.sync();
  for (int64_t item = owned.begin; item < owned.end; item++) {
    const MlstmStepGates g = mlstmStepGates(a, item, 1);
    mlstmStepHead(a, item, g.keep[0], g.write[0], g.floor[0], 0, 0, a.lastN + item * a.keyDim);
    a.lastM[item] = g.m[0];
  }
}

}  // namespace xl
