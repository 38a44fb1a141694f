// mLSTM over a sequence, chunk by chunk: within a chunk by matrix products, across chunks by the state.
#include "generated/kernels.h"
#include "mlstm_product.h"
#include "mlstm_product_bf16.h"

namespace xl {

// Workspace of one thread; the rows of all matrices are padded to a multiple of W. What products take of them beside, in
// `operands`, is given back after each chunk.
struct MlstmForwardBuffers {
  MlstmGates g;
  float* mixing;    // q kᵀ, then M = (q̂ k̂ᵀ) ∘ D  [rows, rows]
  float* values;    // [rows, DV]
  float* readers;   // q̂ ∘ carry  [rows, DK]
  float* writers;   // k̂ ∘ last row of D  [rows, DK]
  float* exits;     // last row of D, times keyScale  [rows]
  float* inverses;  // 1 / denominator  [rows]
  float* n;         // [DK]
  MlstmScratch operands;
};

static MlstmForwardBuffers mlstmForwardBuffers(float* threadScratch, int64_t rows, int64_t keyDim, int64_t valueDim) {
  MlstmForwardBuffers b{};
  MlstmScratch& scratch = b.operands = MlstmScratch(threadScratch);
  const int64_t ld = mlstmPadded(rows), ldK = mlstmPadded(keyDim), ldV = mlstmPadded(valueDim);
  b.g = mlstmGates(scratch, rows);
  b.mixing = scratch.take(ld * ld);
  b.values = scratch.take(rows * ldV);
  b.readers = scratch.take(rows * ldK);
  b.writers = scratch.take(rows * ldK);
  b.exits = scratch.take(ld);
  b.inverses = scratch.take(ld);
  b.n = scratch.take(ldK);
  return b;
}

// Turns q kᵀ into M and finds n·q̂ and the denominators. stats [rows, 2] = (m, n·q̂), or absent.
static void mlstmMix(const MlstmForwardBuffers& b, int64_t ldK, float scale, float eps, bool carried, float* stats) {
  const MlstmGates& g = b.g;
  for (int begin = 0; begin < g.rows; begin += W) {
    const int block = g.rows - begin < W ? g.rows - begin : W;
    vf within[W], across[W];
    for (int r = block; r < W; r++) within[r] = across[r] = zero();
    for (int r = 0; r < block; r++) {
      float* row = b.mixing + (begin + r) * g.padded;
      vf total = zero();
      for (int s = 0; s < begin + W; s += W) {
        const vf x = mlstmDecay(g, begin + r, s, load(row + s) * scale);
        total += x;
        store(row + s, x);
      }
      within[r] = total;
    }
    vf dot = sumEach(within);
    if (carried) {
      for (int r = 0; r < block; r++) {
        const float* reader = b.readers + (begin + r) * ldK;
        vf total = zero();
        for (int64_t d = 0; d < ldK; d += W) total = fma(load(reader + d), load(b.n + d), total);
        across[r] = total;
      }
      dot += sumEach(across);
    }
    const vf m = load(g.maxima + begin);
    store(b.inverses + begin, 1.0f / mlstmDenominator(dot, exp(-m), eps));
    if (stats) {
      float dots[W];
      store(dots, dot);
      for (int r = 0; r < block; r++) {
        stats[2 * (begin + r)] = g.maxima[begin + r];
        stats[2 * (begin + r) + 1] = dots[r];
      }
    }
  }
}

// One head of one batch member. more: the next one is this thread's, too.
template <class P, class Args>
static void mlstmForwardHead(const Args& a, int64_t item, bool more, float* threadScratch) {
  const int64_t keyDim = a.keyDim, valueDim = a.valueDim, member = item / a.heads, head = item % a.heads;
  const int64_t ldK = mlstmPadded(keyDim), ldV = mlstmPadded(valueDim);
  const int64_t chunks = (a.length + a.chunk - 1) / a.chunk, matrix = keyDim * valueDim;
  MlstmForwardBuffers b = mlstmForwardBuffers(threadScratch, smaller(a.chunk, a.length), keyDim, valueDim);
  MlstmGates& g = b.g;

  // The state walks through chunkStates where that is kept, else it stays in one place; null means zeros.
  float* saved = a.chunkStates ? a.chunkStates + item * chunks * (matrix + keyDim) : nullptr;
  float* last = a.lastC ? a.lastC + item * matrix : saved ? nullptr : a.scratch + item * matrix;
  const float* c = a.c ? a.c + item * matrix : nullptr;
  bool empty = !a.c && !a.n;
  float m = a.m ? a.m[item] : 0.0f;
  mlstmClear(b.n, ldK);
  if (a.n) mlstmCopy(b.n, a.n + item * keyDim, keyDim);
  if (saved || (!c && !empty)) {
    float* entry = saved ? saved : last;
    if (c) mlstmCopy(entry, c, matrix);
    else mlstmClear(entry, matrix);
    c = entry;
  }

  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    const int64_t start = chunk * a.chunk, row0 = member * a.length + start;
    const int rows = static_cast<int>(smaller(a.length - start, a.chunk));
    const float* q = a.q + row0 * a.ldq + head * keyDim;
    const float* k = a.k + row0 * a.ldk + head * keyDim;
    const float* v = a.v + row0 * a.ldv + head * valueDim;
    float* h = a.h + row0 * a.ldh + head * valueDim;
    if (saved) {
      mlstmCopy(saved + matrix, b.n, keyDim);
      a.chunkMaxima[item * chunks + chunk] = m;
    }
    mlstmReadGates(g, rows, a.i + row0 * a.ldi + head, a.ldi, a.f + row0 * a.ldf + head, a.ldf,
                   a.reset ? a.reset + row0 : nullptr, m);
    const int ld = g.padded;
    const bool carried = !empty && g.carried > 0;

    // The chunk that this thread reads next, of this head or the next one.
    const bool final = chunk + 1 == chunks;
    const int64_t nextItem = final ? item + 1 : item, nextStart = final ? 0 : start + rows;
    const int64_t following = final && !more ? 0 : smaller(a.length - nextStart, a.chunk);
    const int64_t nextRow = nextItem / a.heads * a.length + nextStart, nextHead = nextItem % a.heads;
    const float* nextQ = a.q + nextRow * a.ldq + nextHead * keyDim;
    const float* nextK = a.k + nextRow * a.ldk + nextHead * keyDim;
    const float* nextV = a.v + nextRow * a.ldv + nextHead * valueDim;
    mlstmFetch<true>(h, a.ldh, rows, valueDim);
    MlstmScratch operands = b.operands;
    const MlstmRight keysT = P::transposed(operands, k, a.ldk, rows, keyDim);
    mlstmCompact(v, a.ldv, rows, valueDim, nullptr, b.values, ldV);
    const MlstmRight values = P::across(operands, b.values, ldV, rows, valueDim);
    const MlstmTerm scores{P::along(operands, q, a.ldq, rows, keyDim), keysT, keyDim, MlstmSpan::all};
    mlstmMultiply<P>({rows, ld, &scores, 1, b.mixing, ld, nullptr, nullptr, 0, 1,
                   {nextK, a.ldk, following, keyDim}}, true);
    if (carried) {
      for (int t = 0; t < ld; t += W) store(b.exits + t, load(g.carry + t) * a.queryScale);
      mlstmCompact(q, a.ldq, rows, keyDim, b.exits, b.readers, ldK);
    }
    float* stats = a.tokenStats ? a.tokenStats + (item * a.length + start) * 2 : nullptr;
    mlstmMix(b, ldK, a.queryScale * a.keyScale, a.eps, carried, stats);
    MlstmTerm reads[2] = {{P::along(operands, b.mixing, ld, rows, rows, true), values, rows, MlstmSpan::upToRow}};
    if (carried)
      reads[1] = {P::along(operands, b.readers, ldK, rows, keyDim), P::across(operands, c, valueDim, keyDim, valueDim),
                  keyDim, MlstmSpan::all};
    mlstmMultiply<P>({rows, valueDim, reads, carried ? 2 : 1, h, a.ldh, b.inverses, nullptr, 0, 1,
                   {nextV, a.ldv, following, valueDim}});

    if (final && !a.lastC && !a.lastN && !a.lastM) break;
    for (int s = 0; s < ld; s += W) store(b.exits + s, mlstmDecay(g, rows - 1, s, splat(a.keyScale)));
    const float kept = empty ? 0.0f : g.carry[rows - 1];
    const int64_t writing = rows - g.last;
    float* writers = b.writers + g.last * ldK;
    mlstmCompact(k + g.last * a.ldk, a.ldk, writing, keyDim, b.exits + g.last, writers, ldK);
    if (saved) saved += matrix + keyDim;
    float* next = saved && !final ? saved : last;
    if (next) {
      // Of the document in which the chunk ends, whose first row a pair of rows may not begin with.
      const MlstmRight written = g.last == 0 ? values : P::across(operands, b.values + g.last * ldV, ldV, writing, valueDim);
      const MlstmTerm writes{P::across(operands, writers, ldK, writing, keyDim).flipped(), written, writing,
                             MlstmSpan::all};
      const float* prior = kept != 0.0f ? c : nullptr;
      mlstmMultiply<P>({keyDim, valueDim, &writes, 1, next, valueDim, nullptr, prior, valueDim, kept,
                     {nextQ, a.ldq, following, keyDim}});
    }
    for (int64_t d = 0; d < ldK; d += W) {
      vf x = kept != 0.0f ? load(b.n + d) * kept : zero();
      for (int s = g.last; s < rows; s++) x += load(b.writers + s * ldK + d);
      store(b.n + d, x);
    }
    m = g.maxima[rows - 1];
    c = next;
    empty = false;
  }
  if (a.lastN) mlstmCopy(a.lastN + item * keyDim, b.n, keyDim);
  if (a.lastM) a.lastM[item] = m;
}

template <class P, class Args> static void mlstmForwardHeads(const Args& a, const Context& ctx) {
  const Range items = share(ctx, a.batch * a.heads);
  for (int64_t item = items.begin; item < items.end; item++)
    mlstmForwardHead<P>(a, item, item + 1 < items.end, ctx.scratch);
}

void mlstmForward(const MlstmForwardArgs& a, const Context& ctx) { mlstmForwardHeads<MlstmFloats>(a, ctx); }

void mlstmForwardBf16(const MlstmForwardBf16Args& a, const Context& ctx) {
#if XL_HAS_BF16_DOTS
  mlstmForwardHeads<MlstmPairs>(a, ctx);
#else
  (void)a, (void)ctx;
  __builtin_trap();  // no engine binds it to these instructions
#endif
}

}  // namespace xl
