// Gradients of mLSTM over a sequence: chunks from the last to the first, with the gradient of the state between them.
// Each chunk's own matrices are formed again from q, k, v, the gates and the saved entry state.
#include "generated/kernels.h"
#include "mlstm_product.h"
#include "mlstm_product_bf16.h"

namespace xl {

// Workspace of one thread; the rows of all matrices are padded to a multiple of W. What products take of them beside, in
// `operands`, is given back after each chunk, and what a part of a chunk takes after that part.
struct MlstmBackwardBuffers {
  MlstmGates g;
  float* mixing;      // q kᵀ, then M = (q̂ k̂ᵀ) ∘ D  [rows, rows]
  float* dmixing;     // dM, then d(q kᵀ)  [rows, rows]
  float* queries;     // q, then q̂ ∘ carry  [rows, DK]
  float* keys;        // k, then k̂ ∘ last row of D  [rows, DK]
  float* dnum;        // gradient of the numerators  [rows, DV]
  float* dn;          // gradient of n at the chunk's end, then at its entry  [DK]
  float* ddots;       // gradient of n·q̂  [rows]
  float* inverses;    // 1 / denominator  [rows]
  float* entries;     // carry, times queryScale  [rows]
  float* exits;       // last row of D, times keyScale  [rows]
  float* dots;        // [rows]
  float* di;          // [rows]
  double* dforget;    // gradient of log forget gates  [rows]
  MlstmScratch operands;
};

static MlstmBackwardBuffers mlstmBackwardBuffers(float* threadScratch, int64_t rows, int64_t keyDim, int64_t valueDim) {
  MlstmBackwardBuffers b{};
  MlstmScratch& scratch = b.operands = MlstmScratch(threadScratch);
  const int64_t ld = mlstmPadded(rows), ldK = mlstmPadded(keyDim), ldV = mlstmPadded(valueDim);
  b.g = mlstmGates(scratch, rows);
  b.mixing = scratch.take(ld * ld);
  b.dmixing = scratch.take(ld * ld);
  b.queries = scratch.take(rows * ldK);
  b.keys = scratch.take(rows * ldK);
  b.dnum = scratch.take(rows * ldV);
  b.dn = scratch.take(ldK);
  b.ddots = scratch.take(ld);
  b.inverses = scratch.take(ld);
  b.entries = scratch.take(ld);
  b.exits = scratch.take(ld);
  b.dots = scratch.take(ld);
  b.di = scratch.take(ld);
  b.dforget = reinterpret_cast<double*>(scratch.take(2 * ld));
  return b;
}

// One chunk of one head: its operands at their first row, and its extents.
struct MlstmBackwardChunk {
  int rows;
  const float *q, *k, *v, *i, *f, *reset, *h, *dh, *stats, *c, *n;
  float m;
  float *dq, *dk, *dv, *di, *df;
};

template <class Args> static MlstmBackwardChunk mlstmBackwardChunk(const Args& a, int64_t item, int64_t chunk) {
  const int64_t member = item / a.heads, head = item % a.heads, matrix = a.keyDim * a.valueDim;
  const int64_t chunks = (a.length + a.chunk - 1) / a.chunk, start = chunk * a.chunk, row = member * a.length + start;
  const int64_t keys = head * a.keyDim, values = head * a.valueDim, at = item * chunks + chunk;
  MlstmBackwardChunk x;
  x.rows = static_cast<int>(smaller(a.length - start, a.chunk));
  x.q = a.q + row * a.ldq + keys;
  x.k = a.k + row * a.ldk + keys;
  x.v = a.v + row * a.ldv + values;
  x.i = a.i + row * a.ldi + head;
  x.f = a.f + row * a.ldf + head;
  x.reset = a.reset ? a.reset + row : nullptr;
  x.h = a.h + row * a.ldh + values;
  x.dh = a.dh + row * a.lddh + values;
  x.stats = a.tokenStats + (item * a.length + start) * 2;
  x.c = a.chunkStates + at * (matrix + a.keyDim);
  x.n = x.c + matrix;
  x.m = a.chunkMaxima[at];
  x.dq = a.dq + row * a.lddq + keys;
  x.dk = a.dk + row * a.lddk + keys;
  x.dv = a.dv + row * a.lddv + values;
  x.di = a.di + row * a.lddi + head;
  x.df = a.df + row * a.lddf + head;
  return x;
}

static bool mlstmAllZero(const float* x, int64_t count) {
  for (int64_t d = 0; d < count; d += 8 * W) {
    vi any{};
    for (int64_t e = d; e < smaller(count, d + 8 * W); e += W)
      any |= loadLanes(x + e, static_cast<int>(smaller(W, count - e))) != zero();
    if (maximum(select(any, zero() + 1.0f, zero())) != 0.0f) return false;
  }
  return true;
}

// h = num / den, den = max(|n·q̂|, exp(-m)) + eps: the gradients of num and, through den, of n·q̂.
template <class Args>
static void mlstmReadOutGradient(const Args& a, const MlstmBackwardChunk& x,
                                 const MlstmBackwardBuffers& b) {
  for (int begin = 0; begin < x.rows; begin += W) {
    vf products[W];
    float dots[W] = {};
    for (int r = 0; r < W; r++) {
      const int t = begin + r;
      products[r] = zero();
      if (t >= x.rows) continue;
      dots[r] = x.stats[2 * t + 1];
      products[r] = mlstmLaneDot(x.h + t * a.ldh, x.dh + t * a.lddh, a.valueDim);
    }
    const vf dot = load(dots), floor = exp(-load(b.g.maxima + begin));
    const vf inverse = 1.0f / mlstmDenominator(dot, floor, a.eps);
    const vf dden = -inverse * sumEach(products);
    store(b.inverses + begin, inverse);
    store(b.ddots + begin, select(dot > floor, dden, select(dot < -floor, -dden, zero())));
  }
  mlstmCompact(x.dh, a.lddh, x.rows, a.valueDim, b.inverses, b.dnum, mlstmPadded(a.valueDim));
}

// Turns q kᵀ into M, and dM (but for the part through n·q̂) into d(q kᵀ). dD̃ = dM ∘ M is the gradient of D's
// exponents: D̃[t, s] holds i_s and the log forget gates of s + 1 … t, so a forget gate's gradient sums dD̃ over the
// rows from its own on and the columns before it. Nothing is subtracted there, so nothing cancels.
static void mlstmMixGradient(const MlstmBackwardBuffers& b, float scale) {
  const MlstmGates& g = b.g;
  for (int s = 0; s < g.padded; s += W) store(b.di + s, zero());
  for (int begin = g.padded - W; begin >= 0; begin -= W) {
    vf sums[W];
    for (int r = W - 1; r >= 0; r--) {
      const int t = begin + r;
      sums[r] = zero();
      if (t >= g.rows) continue;
      float* m = b.mixing + t * g.padded;
      float* dm = b.dmixing + t * g.padded;
      for (int s = 0; s <= begin; s += W) {
        const vi past = laneNumbers() + s <= t;
        const vf decay = mlstmDecay(g, t, s, splat(scale));
        const vf mixing = select(past, load(m + s) * decay, zero());
        const vf dmixing = select(past, load(dm + s) + b.ddots[t], zero());
        const vf below = fma(mixing, dmixing, load(b.di + s));
        store(b.di + s, below);
        sums[r] += s < begin ? below : select(laneNumbers() < r, below, zero());
        store(m + s, mixing);
        store(dm + s, dmixing * decay);
      }
    }
    float forget[W];
    store(forget, sumEach(sums));
    for (int r = 0; r < W; r++) b.dforget[begin + r] = forget[r];
  }
}

// One block of up to W rows of what follows; WHOLE: all W of them, and W columns of a head at a time.
template <bool WHOLE>
static void mlstmUntransposeRows(const MlstmBackwardBuffers& b, const float* products, const float* factors, const float* weights,
                                 const float* n, int64_t keyDim, const float* against, float* out, int64_t ldOut,
                                 int begin, int block) {
  const int64_t ld = b.g.padded, ldK = mlstmPadded(keyDim);
  const int rows = WHOLE ? W : block;
  vf totals[W];
#pragma GCC unroll 16
  for (int r = 0; r < W; r++) totals[r] = zero();
  for (int64_t d = 0; d < keyDim; d += W) {
    const int some = WHOLE ? W : static_cast<int>(smaller(W, keyDim - d));
    const vf normalizer = loadFirst(n + d, some);
    vf x[W];
#pragma GCC unroll 16
    for (int r = 0; r < W; r++) x[r] = WHOLE || r < some ? load(products + (d + r) * ld + begin) : zero();
    transpose(x);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      const int t = begin + r;
      const vf y = fma(splat(weights ? weights[t] : 1.0f), normalizer, x[r]) * factors[t];
      totals[r] = fma(y, load(against + t * ldK + d), totals[r]);
      if (WHOLE || some == W) store(out + t * ldOut + d, y);
      else storeFirst(out + t * ldOut + d, y, some);
    }
  }
  store(b.dots + begin, sumEach(totals));
}

// out[t] = factors[t] · (products[·, t] + weights[t] · n), products [DK, rows], weights 1 where absent; b.dots[t] = out[t] · against[t].
static void mlstmUntranspose(const MlstmBackwardBuffers& b, const float* products, const float* factors, const float* weights, const float* n,
                             int64_t keyDim, const float* against, float* out, int64_t ldOut) {
  for (int begin = 0; begin < b.g.rows; begin += W) {
    const int block = b.g.rows - begin < W ? b.g.rows - begin : W;
    const auto run = block == W && keyDim % W == 0 ? mlstmUntransposeRows<true> : mlstmUntransposeRows<false>;
    run(b, products, factors, weights, n, keyDim, against, out, ldOut, begin, block);
  }
}

// Through what rows read from the entry state: starts dq.
template <class P, class Args>
static void mlstmEntryGradient(const Args& a, const MlstmBackwardChunk& x, const MlstmBackwardBuffers& b,
                               MlstmScratch operands) {
  const int64_t ld = b.g.padded, ldV = mlstmPadded(a.valueDim);
  const MlstmRight dnumT = P::transposed(operands, b.dnum, ldV, x.rows, a.valueDim);
  const MlstmTerm read{P::along(operands, x.c, a.valueDim, a.keyDim, a.valueDim), dnumT, a.valueDim, MlstmSpan::all};
  float* products = operands.take(a.keyDim * ld);
  mlstmMultiply<P>({a.keyDim, ld, &read, 1, products, ld});
  mlstmUntranspose(b, products, b.entries, b.ddots, x.n, a.keyDim, b.queries, x.dq, a.lddq);
  double later = 0;
  for (int t = b.g.carried - 1; t >= 0; t--) b.dforget[t] += later += b.dots[t];
}

// Through what rows wrote to the exit state and what the entry state, unless empty, passed on to it: starts dk.
template <class P, class Args>
static void mlstmExitGradient(const Args& a, const MlstmBackwardChunk& x, const MlstmBackwardBuffers& b,
                              const MlstmRight& valuesT, const float* dc, bool empty, MlstmScratch operands) {
  const int64_t ld = b.g.padded, valueDim = a.valueDim;
  const MlstmTerm wrote{P::along(operands, dc, valueDim, a.keyDim, valueDim), valuesT, valueDim, MlstmSpan::all};
  float* products = operands.take(a.keyDim * ld);
  mlstmMultiply<P>({a.keyDim, ld, &wrote, 1, products, ld});
  mlstmUntranspose(b, products, b.exits, nullptr, b.dn, a.keyDim, b.keys, x.dk, a.lddk);
  const float kept = b.g.carry[x.rows - 1];
  double earlier = 0;
  if (kept != 0.0f && !empty) {
    for (int64_t d = 0; d < a.keyDim; d++)
      earlier += sum(mlstmLaneDot(x.c + d * valueDim, dc + d * valueDim, valueDim));
    earlier = kept * (earlier + sum(mlstmLaneDot(x.n, b.dn, a.keyDim)));
  }
  for (int s = b.g.last; s < x.rows; s++) {
    b.di[s] += b.dots[s];
    b.dforget[s] += earlier;
    earlier += b.dots[s];
  }
}

// The gradient of the entry state, in dcEntry and b.dn, from that of the exit state.
template <class P, class Args>
static void mlstmStateGradient(const Args& a, const MlstmBackwardBuffers& b, const float* dc, float* dcEntry) {
  const MlstmGates& g = b.g;
  const int64_t ldK = mlstmPadded(a.keyDim), ldV = mlstmPadded(a.valueDim);
  const float kept = g.carry[g.rows - 1];
  mlstmCompact(b.queries, ldK, g.carried, a.keyDim, b.entries, b.queries, ldK);
  MlstmScratch operands = b.operands;
  const MlstmTerm reads{P::across(operands, b.queries, ldK, g.carried, a.keyDim).flipped(),
                        P::across(operands, b.dnum, ldV, g.carried, a.valueDim), g.carried, MlstmSpan::all};
  mlstmMultiply<P>({a.keyDim, a.valueDim, &reads, 1, dcEntry, a.valueDim, nullptr, kept != 0.0f ? dc : nullptr,
                 a.valueDim, kept});
  for (int64_t d = 0; d < ldK; d += W) {
    vf x = kept != 0.0f ? load(b.dn + d) * kept : zero();
    for (int t = 0; t < g.carried; t++) x = fma(load(b.queries + t * ldK + d), splat(b.ddots[t]), x);
    store(b.dn + d, x);
  }
}

// All of a chunk but the entry state's gradient. dc, the exit state's gradient, is null where it and b.dn are 0.
template <class P, class Args>
static void mlstmChunkGradient(const Args& a, const MlstmBackwardChunk& x, const MlstmBackwardBuffers& b,
                               const float* dc, bool empty, const MlstmBackwardChunk& next) {
  const MlstmGates& g = b.g;
  const int rows = x.rows, ld = g.padded;
  const int64_t keyDim = a.keyDim, valueDim = a.valueDim, ldK = mlstmPadded(keyDim), ldV = mlstmPadded(valueDim);
  mlstmFetch<true>(x.dq, a.lddq, rows, keyDim);
  mlstmFetch<true>(x.dk, a.lddk, rows, keyDim);
  mlstmFetch<true>(x.dv, a.lddv, rows, valueDim);
  mlstmReadOutGradient(a, x, b);
  mlstmCompact(x.q, a.ldq, rows, keyDim, nullptr, b.queries, ldK);
  mlstmCompact(x.k, a.ldk, rows, keyDim, nullptr, b.keys, ldK);
  MlstmScratch operands = b.operands;
  const MlstmRight valuesT = P::transposed(operands, x.v, a.ldv, rows, valueDim);
  for (int t = 0; t < ld; t += W) {
    store(b.entries + t, load(g.carry + t) * a.queryScale);
    store(b.exits + t, mlstmDecay(g, rows - 1, t, splat(a.keyScale)));
  }

  {
    MlstmScratch part = operands;
    const MlstmRight keysT = P::transposed(part, b.keys, ldK, rows, keyDim);
    const MlstmTerm scores{P::along(part, b.queries, ldK, rows, keyDim), keysT, keyDim, MlstmSpan::all};
    mlstmMultiply<P>({rows, ld, &scores, 1, b.mixing, ld, nullptr, nullptr, 0, 1, {next.q, a.ldq, next.rows, keyDim}}, true);
    const MlstmTerm dscores{P::along(part, b.dnum, ldV, rows, valueDim), valuesT, valueDim, MlstmSpan::all};
    mlstmMultiply<P>({rows, ld, &dscores, 1, b.dmixing, ld, nullptr, nullptr, 0, 1, {next.k, a.ldk, next.rows, keyDim}}, true);
  }
  mlstmMixGradient(b, a.queryScale * a.keyScale);

  if (keyDim * valueDim <= MLSTM_FETCHED_STATE) mlstmFetch<false>(next.c, valueDim, keyDim, valueDim);
  const bool reads = !empty && g.carried > 0;
  if (reads) mlstmEntryGradient<P>(a, x, b, operands);
  {
    MlstmScratch part = operands;
    const MlstmTerm fromKeys{P::along(part, b.dmixing, ld, rows, rows, true), P::across(part, b.keys, ldK, rows, keyDim), rows,
                             MlstmSpan::upToRow};
    mlstmMultiply<P>({rows, keyDim, &fromKeys, 1, x.dq, a.lddq, nullptr, reads ? x.dq : nullptr, a.lddq, 1,
                      {next.v, a.ldv, next.rows, valueDim}});
  }

  if (dc) mlstmExitGradient<P>(a, x, b, valuesT, dc, empty, operands);
  {
    MlstmScratch part = operands;
    const MlstmTerm fromQueries{P::across(part, b.dmixing, ld, rows, rows, true).flipped(),
                                P::across(part, b.queries, ldK, rows, keyDim), rows, MlstmSpan::fromRow};
    mlstmMultiply<P>({rows, keyDim, &fromQueries, 1, x.dk, a.lddk, nullptr, dc ? x.dk : nullptr, a.lddk, 1,
                      {next.h, a.ldh, next.rows, valueDim}});
  }

  {
    MlstmScratch part = operands;
    MlstmTerm toValues[2] = {{P::across(part, b.mixing, ld, rows, rows, true).flipped(),
                              P::across(part, b.dnum, ldV, rows, valueDim), rows, MlstmSpan::fromRow}};
    if (dc) {
      mlstmCompact(b.keys, ldK, rows, keyDim, b.exits, b.keys, ldK);
      toValues[1] = {P::along(part, b.keys, ldK, rows, keyDim), P::across(part, dc, valueDim, keyDim, valueDim), keyDim,
                     MlstmSpan::all};
    }
    mlstmMultiply<P>({rows, valueDim, toValues, dc ? 2 : 1, x.dv, a.lddv, nullptr, nullptr, 0, 1,
                      {next.dh, a.lddh, next.rows, valueDim}});
  }

  for (int t = 0; t < rows; t++) {
    x.di[t * a.lddi] = b.di[t];
    // dlog σ(f) / df = σ(-f)
    x.df[t * a.lddf] = static_cast<float>(b.dforget[t]) * sigmoidScalar(-x.f[t * a.ldf]);
  }
}

template <class P, class Args> static void mlstmBackwardHeads(const Args& a, const Context& ctx) {
  const int64_t chunks = (a.length + a.chunk - 1) / a.chunk;
  const int64_t matrix = a.keyDim * a.valueDim, ldK = mlstmPadded(a.keyDim);
  MlstmBackwardBuffers b = mlstmBackwardBuffers(ctx.scratch, smaller(a.chunk, a.length), a.keyDim, a.valueDim);
  const Range items = share(ctx, a.batch * a.heads);
  for (int64_t item = items.begin; item < items.end; item++) {
    float* work = a.scratch + item * matrix;
    const float* dc = a.dlastC ? a.dlastC + item * matrix : nullptr;
    mlstmClear(b.dn, ldK);
    if (a.dlastN) mlstmCopy(b.dn, a.dlastN + item * a.keyDim, a.keyDim);
    if (a.dlastN && !dc) {
      mlstmClear(work, matrix);
      dc = work;
    }
    for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
      const MlstmBackwardChunk x = mlstmBackwardChunk(a, item, chunk);
      MlstmBackwardChunk next = x;
      if (chunk > 0) next = mlstmBackwardChunk(a, item, chunk - 1);
      else if (item + 1 < items.end) next = mlstmBackwardChunk(a, item + 1, chunks - 1);
      mlstmReadGates(b.g, x.rows, x.i, a.ldi, x.f, a.ldf, x.reset, x.m);
      const bool empty = chunk == 0 && mlstmAllZero(x.c, matrix + a.keyDim);
      mlstmChunkGradient<P>(a, x, b, dc, empty, next);
      if (chunk == 0 && !a.dc && !a.dn) break;
      float* entry = chunk == 0 && a.dc ? a.dc + item * matrix : work;
      mlstmStateGradient<P>(a, b, dc, entry);
      dc = entry;
    }
    if (a.dn) mlstmCopy(a.dn + item * a.keyDim, b.dn, a.keyDim);
  }
}

void mlstmBackward(const MlstmBackwardArgs& a, const Context& ctx) { mlstmBackwardHeads<MlstmFloats>(a, ctx); }

void mlstmBackwardBf16(const MlstmBackwardBf16Args& a, const Context& ctx) {
#if XL_HAS_BF16_DOTS
  mlstmBackwardHeads<MlstmPairs>(a, ctx);
#else
  (void)a, (void)ctx;
  __builtin_trap();  // no engine binds it to these instructions
#endif
}

}  // namespace xl
