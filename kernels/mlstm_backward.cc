// Gradients of mLSTM over a sequence: chunks from the last to the first, with the gradient of the state between them.
// Each chunk's own matrices are formed again from q, k, v, the gates and the saved entry state.
#include "generated/kernels.h"
#include "mlstm.h"
#include "mlstm_product.h"

namespace xl {

// Workspace of one thread; the rows of all matrices are padded to a multiple of W.
struct MlstmBackwardBuffers {
  MlstmGates g;
  float* mixing;     // q kᵀ, then M = (q̂ k̂ᵀ) ∘ D  [rows, rows]
  float* dmixing;    // dM, then d(q kᵀ)  [rows, rows]
  float* queries;    // q, then q̂ ∘ carry  [rows, DK]
  float* keys;       // k, then k̂ ∘ last row of D  [rows, DK]
  float* dnum;       // gradient of the numerators  [rows, DV]
  float* valuesT;    // v transposed  [DV, rows]
  float* transposed; // k, then dnum transposed  [DK or DV, rows]
  float* products;   // states times dnum or v, transposed  [DK, rows]
  float* n;          // of the chunk's entry  [DK]
  float* dn;         // gradient of n at the chunk's end, then at its entry  [DK]
  float* ddots;      // gradient of n·q̂  [rows]
  float* inverses;   // 1 / denominator  [rows]
  float* factors;    // [rows]
  float* dots;       // [rows]
  float* above;      // Σ of dD̃ over the rows so far, by column  [rows]
  double* dforget;   // gradient of log forget gates  [rows]
};

static MlstmBackwardBuffers mlstmBackwardBuffers(float* threadScratch, int64_t rows, int64_t keyDim, int64_t valueDim) {
  MlstmScratch scratch(threadScratch);
  const int64_t ld = mlstmPadded(rows), ldK = mlstmPadded(keyDim), ldV = mlstmPadded(valueDim);
  MlstmBackwardBuffers b;
  b.g = mlstmGates(scratch, rows);
  b.mixing = scratch.take(ld * ld);
  b.dmixing = scratch.take(ld * ld);
  b.queries = scratch.take(rows * ldK);
  b.keys = scratch.take(rows * ldK);
  b.dnum = scratch.take(rows * ldV);
  b.valuesT = scratch.take(ldV * ld);
  b.transposed = scratch.take((keyDim > valueDim ? ldK : ldV) * ld);
  b.products = scratch.take(ldK * ld);
  b.n = scratch.take(ldK);
  b.dn = scratch.take(ldK);
  b.ddots = scratch.take(ld);
  b.inverses = scratch.take(ld);
  b.factors = scratch.take(ld);
  b.dots = scratch.take(ld);
  b.above = scratch.take(ld);
  b.dforget = reinterpret_cast<double*>(scratch.take(2 * ld));
  return b;
}

static bool mlstmAllZero(const float* x, int64_t count) {
  int64_t d = 0;
  for (; d + W <= count; d += W)
    if (maximum(abs(load(x + d))) != 0.0f) return false;
  return d == count || maximum(abs(loadFirst(x + d, static_cast<int>(count - d)))) == 0.0f;
}

// h = num / den, den = max(|n·q̂|, exp(-m)) + eps: the gradients of num and, through den, of n·q̂.
static void mlstmReadOutGradient(const MlstmBackwardBuffers& b, const float* stats, float eps, const float* h,
                                 int64_t ldh, const float* dh, int64_t lddh, int64_t valueDim) {
  const MlstmGates& g = b.g;
  for (int begin = 0; begin < g.rows; begin += W) {
    const int block = g.rows - begin < W ? g.rows - begin : W;
    vf products[W];
    float qn[W] = {};
    for (int r = 0; r < W; r++) {
      products[r] = zero();
      if (r >= block) continue;
      qn[r] = stats[2 * (begin + r) + 1];
      const float* x = h + (begin + r) * ldh;
      const float* y = dh + (begin + r) * lddh;
      int64_t d = 0;
      for (; d + W <= valueDim; d += W) products[r] = fma(load(x + d), load(y + d), products[r]);
      if (d < valueDim) {
        const int some = static_cast<int>(valueDim - d);
        products[r] = fma(loadFirst(x + d, some), loadFirst(y + d, some), products[r]);
      }
    }
    const vf dot = load(qn), floor = exp(-load(g.maxima + begin));
    const vf inverse = 1.0f / mlstmDenominator(dot, floor, eps);
    const vf dden = -inverse * sumEach(products);
    store(b.inverses + begin, inverse);
    store(b.ddots + begin, select(dot > floor, dden, select(dot < -floor, -dden, zero())));
  }
  mlstmCompact(dh, lddh, g.rows, valueDim, b.inverses, b.dnum, mlstmPadded(valueDim));
}

// Turns q kᵀ into M, and dM (but for the part through n·q̂) into d(q kᵀ). dD̃ = dM ∘ M is the gradient of D's
// exponents: D̃[t, s] holds i_s and the log forget gates of s + 1 … t, so a forget gate's gradient sums dD̃ over the
// rows from its own on and the columns before it. Nothing is subtracted there, so nothing cancels.
static void mlstmMixGradient(const MlstmBackwardBuffers& b, float scale) {
  const MlstmGates& g = b.g;
  for (int s = 0; s < g.padded; s += W) store(b.above + s, zero());
  for (int begin = g.padded - W; begin >= 0; begin -= W) {
    vf sums[W];
    for (int r = W - 1; r >= 0; r--) {
      sums[r] = zero();
      const int t = begin + r;
      if (t >= g.rows) continue;
      float* m = b.mixing + t * g.padded;
      float* dm = b.dmixing + t * g.padded;
      for (int s = 0; s <= begin; s += W) {
        const vf decay = mlstmDecay(g, t, s, splat(scale));
        const vi past = laneNumbers() + s <= t;
        const vf mixing = select(past, load(m + s) * decay, zero());
        const vf dmixing = select(past, load(dm + s) + b.ddots[t], zero());
        const vf total = fma(mixing, dmixing, load(b.above + s));
        store(b.above + s, total);
        sums[r] += s < begin ? total : select(laneNumbers() < r, total, zero());
        store(m + s, mixing);
        store(dm + s, dmixing * decay);
      }
    }
    const vf forget = sumEach(sums);
    float lanes[W];
    store(lanes, forget);
    for (int r = 0; r < W; r++) b.dforget[begin + r] = lanes[r];
  }
}

// out[t] = factors[t] · (products[·, t] + weights[t] · n) and dots[t] = out[t] · against[t], for rows [first, end).
static void mlstmUntranspose(const MlstmBackwardBuffers& b, const float* weights, const float* n, int first, int end,
                             int64_t keyDim, const float* against, float* out, int64_t ldOut) {
  const int64_t ld = b.g.padded, ldK = mlstmPadded(keyDim);
  for (int begin = first / W * W; begin < end; begin += W) {
    vf totals[W];
    for (int r = 0; r < W; r++) totals[r] = zero();
    for (int64_t d = 0; d < keyDim; d += W) {
      const int some = static_cast<int>(smaller(W, keyDim - d));
      const vf normalizer = loadFirst(n + d, some);
      vf x[W];
      for (int r = 0; r < W; r++) x[r] = r < some ? load(b.products + (d + r) * ld + begin) : zero();
      transpose(x);
      for (int r = 0; r < W; r++) {
        const int t = begin + r;
        if (t < first || t >= end) continue;
        const vf y = fma(splat(weights[t]), normalizer, x[r]) * b.factors[t];
        totals[r] = fma(y, load(against + t * ldK + d), totals[r]);
        if (some == W) store(out + t * ldOut + d, y);
        else storeFirst(out + t * ldOut + d, y, some);
      }
    }
    store(b.dots + begin, sumEach(totals));
  }
}

static void mlstmBackwardHead(const MlstmBackwardArgs& a, int64_t member, int64_t head, float* threadScratch) {
  const int64_t keyDim = a.keyDim, valueDim = a.valueDim, item = member * a.heads + head, matrix = keyDim * valueDim;
  const int64_t ldK = mlstmPadded(keyDim), ldV = mlstmPadded(valueDim);
  const int64_t chunks = (a.length + a.chunk - 1) / a.chunk;
  MlstmBackwardBuffers b = mlstmBackwardBuffers(threadScratch, smaller(a.chunk, a.length), keyDim, valueDim);
  MlstmGates& g = b.g;

  // Gradient of the state at the end of the current chunk, then at its entry; dc null means zeros for both.
  float* work = a.scratch + item * matrix;
  float* dn = b.dn;
  const float* dc = a.dlastC ? a.dlastC + item * matrix : nullptr;
  mlstmClear(dn, ldK);
  if (a.dlastN) mlstmCopy(dn, a.dlastN + item * keyDim, keyDim);
  if (a.dlastN && !dc) {
    mlstmClear(work, matrix);
    dc = work;
  }

  for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
    const int64_t start = chunk * a.chunk, row0 = member * a.length + start;
    const int rows = static_cast<int>(smaller(a.length - start, a.chunk));
    const float* q = a.q + row0 * a.ldq + head * keyDim;
    const float* k = a.k + row0 * a.ldk + head * keyDim;
    const float* v = a.v + row0 * a.ldv + head * valueDim;
    float* dquery = a.dq + row0 * a.lddq + head * keyDim;
    float* dkey = a.dk + row0 * a.lddk + head * keyDim;
    float* dvalue = a.dv + row0 * a.lddv + head * valueDim;
    float* di = a.di + row0 * a.lddi + head;
    float* df = a.df + row0 * a.lddf + head;
    const float* c = a.chunkStates + (item * chunks + chunk) * (matrix + keyDim);
    const float* f = a.f + row0 * a.ldf + head;
    mlstmReadGates(g, rows, a.i + row0 * a.ldi + head, a.ldi, f, a.ldf, a.reset ? a.reset + row0 : nullptr,
                   a.chunkMaxima[item * chunks + chunk]);
    const int ld = g.padded;
    const bool empty = chunk == 0 && mlstmAllZero(c, matrix + keyDim);
    const int carried = empty ? 0 : g.carried;

    mlstmReadOutGradient(b, a.tokenStats + (item * a.length + start) * 2, a.eps, a.h + row0 * a.ldh + head * valueDim,
                         a.ldh, a.dh + row0 * a.lddh + head * valueDim, a.lddh, valueDim);
    mlstmCompact(q, a.ldq, rows, keyDim, nullptr, b.queries, ldK);
    mlstmCompact(k, a.ldk, rows, keyDim, nullptr, b.keys, ldK);
    mlstmTransposed(b.keys, ldK, rows, keyDim, b.transposed, ld);
    mlstmTransposed(v, a.ldv, rows, valueDim, b.valuesT, ld);
    const MlstmTerm scores{b.queries, ldK, 1, b.transposed, ld, keyDim, MlstmSpan::all};
    mlstmMultiply({rows, ld, &scores, 1, b.mixing, ld, nullptr, 0, 0, nullptr, true});
    const MlstmTerm dscores{b.dnum, ldV, 1, b.valuesT, ld, valueDim, MlstmSpan::all};
    mlstmMultiply({rows, ld, &dscores, 1, b.dmixing, ld, nullptr, 0, 0, nullptr, true});
    mlstmMixGradient(b, a.queryScale * a.keyScale);
    for (int s = 0; s < rows; s++) di[s * a.lddi] = b.above[s];

    // What rows read from the entry state.
    const bool passes = chunk > 0 || a.dc || a.dn;
    for (int t = 0; t < ld; t += W) store(b.factors + t, load(g.carry + t) * a.queryScale);
    if (carried > 0) {
      mlstmTransposed(b.dnum, ldV, rows, valueDim, b.transposed, ld);
      const MlstmTerm read{c, valueDim, 1, b.transposed, ld, valueDim, MlstmSpan::all};
      mlstmMultiply({keyDim, ld, &read, 1, b.products, ld, nullptr, 0, 0, nullptr, false});
      mlstmUntranspose(b, b.ddots, c + matrix, 0, rows, keyDim, b.queries, dquery, a.lddq);
      double later = 0;
      for (int t = carried - 1; t >= 0; t--) b.dforget[t] += later += b.dots[t];
    }
    const MlstmTerm fromKeys{b.dmixing, ld, 1, b.keys, ldK, rows, MlstmSpan::upToRow};
    mlstmMultiply({rows, keyDim, &fromKeys, 1, dquery, a.lddq, carried > 0 ? dquery : nullptr, a.lddq, 1, nullptr, false});

    // What rows wrote to the exit state, and what the entry state passed on to it.
    const float kept = g.carry[rows - 1];
    const MlstmTerm fromQueries{b.dmixing, 1, ld, b.queries, ldK, rows, MlstmSpan::fromRow};
    const MlstmTerm toValues[] = {{b.mixing, 1, ld, b.dnum, ldV, rows, MlstmSpan::fromRow},
                                  {b.keys, ldK, 1, dc, valueDim, keyDim, MlstmSpan::all}};
    (void)passes;
    if (dc) {
      const MlstmTerm wrote{dc, valueDim, 1, b.valuesT, ld, valueDim, MlstmSpan::all};
      mlstmMultiply({keyDim, ld, &wrote, 1, b.products, ld, nullptr, 0, 0, nullptr, false});
    }
    // … continued below
    float* exits = b.inverses;
    for (int s = 0; s < ld; s += W) store(exits + s, mlstmDecay(g, rows - 1, s, splat(a.keyScale)));
    if (dc) {
      float* readFactors = b.factors;
      b.factors = exits;
      for (int s = 0; s < ld; s += W) store(b.above + s, splat(1.0f));
      mlstmUntranspose(b, b.above, dn, 0, rows, keyDim, b.keys, dkey, a.lddk);
      b.factors = readFactors;
      double earlier = 0;
      if (kept != 0.0f && !empty) {
        for (int64_t d = 0; d < keyDim; d++) earlier += mlstmDot(c + d * valueDim, dc + d * valueDim, valueDim);
        earlier = kept * (earlier + mlstmDot(c + matrix, dn, keyDim));
      }
      for (int s = g.last; s < rows; s++) {
        di[s * a.lddi] += b.dots[s];
        b.dforget[s] += earlier;
        earlier += b.dots[s];
      }
    }
    mlstmMultiply({rows, keyDim, &fromQueries, 1, dkey, a.lddk, dc ? dkey : nullptr, a.lddk, 1, nullptr, false});
    if (dc) mlstmCompact(b.keys, ldK, rows, keyDim, exits, b.keys, ldK);
    mlstmMultiply({rows, valueDim, toValues, dc ? 2 : 1, dvalue, a.lddv, nullptr, 0, 0, nullptr, false});

    for (int t = 0; t < rows; t++) df[t * a.lddf] = static_cast<float>(b.dforget[t]) * sigmoidScalar(-f[t * a.ldf]);

    float* next = chunk > 0 || !a.dc ? work : a.dc + item * matrix;
    if (passes) {
      mlstmCompact(b.queries, ldK, g.carried, keyDim, b.factors, b.queries, ldK);
      const MlstmTerm reads{b.queries, 1, ldK, b.dnum, ldV, g.carried, MlstmSpan::all};
      mlstmMultiply({keyDim, valueDim, &reads, 1, next, valueDim, kept != 0.0f ? dc : nullptr, valueDim, kept, nullptr, false});
      for (int64_t d = 0; d < ldK; d += W) {
        vf x = kept != 0.0f ? load(dn + d) * kept : zero();
        for (int t = 0; t < g.carried; t++) x = fma(load(b.queries + t * ldK + d), splat(b.ddots[t]), x);
        store(dn + d, x);
      }
      dc = next;
    }
  }
  if (a.dn) mlstmCopy(a.dn + item * keyDim, dn, keyDim);
}

void mlstmBackward(const MlstmBackwardArgs& a, const Context& ctx) {
  const Range items = share(ctx, a.batch * a.heads);
  for (int64_t item = items.begin; item < items.end; item++)
    mlstmBackwardHead(a, item / a.heads, item % a.heads, ctx.scratch);
}

}  // namespace xl
