// mLSTM over a sequence, chunk by chunk: within a chunk by matrix products, across chunks by the state.
#include "generated/kernels.h"
#include "gemm.h"
#include "mlstm.h"

namespace xl {

// Rows of a chunk whose products with the chunk's keys are formed together; later keys are left out.
constexpr int MLSTM_ROWS = 32;

// One head of one batch member.
static void mlstmForwardHead(const MlstmForwardArgs& a, int64_t member, int64_t head, float* threadScratch) {
  const int64_t dk = a.keyDim, dv = a.valueDim, item = member * a.heads + head;
  const int64_t chunks = (a.length + a.chunk - 1) / a.chunk;
  const int64_t longest = a.chunk < a.length ? a.chunk : a.length, ldM = (longest + W - 1) / W * W;
  MlstmScratch scratch{threadScratch};
  float* products = scratch.take(GEMM_SCRATCH);
  MlstmGates g = mlstmGates(scratch, longest);
  float* mixing = scratch.take(longest * ldM);  // M = (q̂ k̂ᵀ) ∘ D, then over the denominators  [rows, rows]
  float* queries = scratch.take(longest * dk);  // q̂ ∘ carry, over the denominators  [rows, DK]
  float* keys = scratch.take(longest * dk);     // k̂ ∘ last row of D  [rows, DK]
  float* exits = scratch.take(ldM);
  float* n = scratch.take(dk);

  // The state walks through chunkStates where that is kept, else it stays in one place.
  float* saved = a.chunkStates ? a.chunkStates + item * chunks * dk * (dv + 1) : nullptr;
  float* lastC = a.lastC ? a.lastC + item * dk * dv : nullptr;
  float* c = saved ? saved : lastC ? lastC : scratch.take(dk * dv);
  int64_t ldc = saved ? dv + 1 : dv;
  const float* givenC = a.c ? a.c + item * dk * dv : nullptr;
  bool empty = !givenC && !a.n;
  for (int64_t d = 0; d < dk; d++) {
    float* row = c + d * ldc;
    if (!givenC) mlstmClear(row, dv);
    else if (row != givenC + d * dv) mlstmScaled<false>(row, givenC + d * dv, 1.0f, dv);
    n[d] = a.n ? a.n[item * dk + d] : 0.0f;
  }
  float m = a.m ? a.m[item] : 0.0f;

  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    const int64_t start = chunk * a.chunk, row0 = member * a.length + start;
    const int rows = static_cast<int>(a.length - start < a.chunk ? a.length - start : a.chunk);
    const float* q = a.q + row0 * a.ldq + head * dk;
    const float* k = a.k + row0 * a.ldk + head * dk;
    const float* v = a.v + row0 * a.ldv + head * dv;
    float* h = a.h + row0 * a.ldh + head * dv;
    if (saved) {
      for (int64_t d = 0; d < dk; d++) c[d * ldc + dv] = n[d];
      a.chunkMaxima[item * chunks + chunk] = m;
    }
    mlstmReadGates(g, rows, a.i + row0 * a.ldi + head, a.ldi, a.f + row0 * a.ldf + head, a.ldf,
                   a.reset ? a.reset + row0 : nullptr, m);
    const int carried = empty ? 0 : g.carried;

    for (int begin = 0; begin < rows; begin += MLSTM_ROWS) {
      const int end = begin + MLSTM_ROWS < rows ? begin + MLSTM_ROWS : rows;
      matmul(end - begin, end, dk, q + begin * a.ldq, a.ldq, false, k, a.ldk, true, mixing + begin * ldM, ldM, false,
             products);
      for (int t = begin; t < end; t++) {
        float* row = mixing + t * ldM;
        vf total = zero();
        for (int s = 0; s < end; s += W) {
          const vf x = mlstmDecay(g, t, s, load(row + s) * (a.queryScale * a.keyScale));
          total += x;
          store(row + s, x);
        }
        const float carry = g.carry[t] * a.queryScale;
        const float dot = sum(total) + (t < carried ? carry * mlstmDot(q + t * a.ldq, n, dk) : 0.0f);
        const float inverse = 1.0f / mlstmDenominator(dot, expScalar(-g.maxima[t]), a.eps);
        for (int s = 0; s < end; s += W) store(row + s, load(row + s) * inverse);
        if (t < carried) mlstmScaled<false>(queries + t * dk, q + t * a.ldq, carry * inverse, dk);
        if (a.tokenStats) {
          float* stats = a.tokenStats + (item * a.length + start + t) * 2;
          stats[0] = g.maxima[t];
          stats[1] = dot;
        }
      }
      matmul(end - begin, dv, end, mixing + begin * ldM, ldM, false, v, a.ldv, false, h + begin * a.ldh, a.ldh, false,
             products);
    }
    if (carried > 0) matmul(carried, dv, dk, queries, dk, false, c, ldc, false, h, a.ldh, true, products);

    const bool final = chunk + 1 == chunks;
    if (final && !lastC && !a.lastN && !a.lastM) break;
    float* next = !saved ? c : final ? lastC : c + dk * ldc;
    const int64_t ldNext = saved && final ? dv : ldc;
    for (int s = 0; s < g.padded; s += W) store(exits + s, mlstmDecay(g, rows - 1, s, splat(a.keyScale)));
    for (int s = g.last; s < rows; s++) mlstmScaled<false>(keys + s * dk, k + s * a.ldk, exits[s], dk);
    const float kept = g.carry[rows - 1];
    const bool keeps = !empty && kept != 0.0f;
    if (next) {
      if (keeps)
        for (int64_t d = 0; d < dk; d++) mlstmScaled<false>(next + d * ldNext, c + d * ldc, kept, dv);
      matmul(dk, dv, rows - g.last, keys + g.last * dk, dk, true, v + g.last * a.ldv, a.ldv, false, next, ldNext, keeps,
             products);
    }
    if (keeps) mlstmScaled<false>(n, n, kept, dk);
    else mlstmClear(n, dk);
    for (int s = g.last; s < rows; s++) mlstmScaled<true>(n, keys + s * dk, 1.0f, dk);
    m = g.maxima[rows - 1];
    c = next;
    ldc = ldNext;
    empty = false;
  }
  if (a.lastN) mlstmScaled<false>(a.lastN + item * dk, n, 1.0f, dk);
  if (a.lastM) a.lastM[item] = m;
}

void mlstmForward(const MlstmForwardArgs& a, const Context& ctx) {
  const Range items = share(ctx, a.batch * a.heads);
  for (int64_t item = items.begin; item < items.end; item++)
    mlstmForwardHead(a, item / a.heads, item % a.heads, ctx.scratch);
}

}  // namespace xl
