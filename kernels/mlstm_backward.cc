// Gradients of mLSTM over a sequence: chunks from the last to the first, with the gradient of the state between them.
// Each chunk's own matrices are formed again from q, k, v, the gates and the saved entry state.
#include "generated/kernels.h"
#include "gemm.h"
#include "mlstm.h"

namespace xl {

struct MlstmBackwardBuffers {
  float* products;
  MlstmGates g;
  float* mixing;   // q̂ k̂ᵀ, then M  [rows, rows]
  float* dmixing;  // dM, then d(q kᵀ)  [rows, rows]
  float* dnum;     // gradient of the numerators  [rows, DV]
  float* ddot;     // gradient of n·q̂  [rows]
  float* exits;    // last row of D  [rows]
  float* above;    // Σ over later rows of dD̃, by column  [rows]
  float* scaled;   // scaled queries or keys  [rows, DK]
  float* dstate;   // products with the entry state, then with the gradient of the exit state  [rows, DK]
  float* entryN;   // [DK]
  double* dforget; // gradient of log forget gates  [rows]
};

static MlstmBackwardBuffers mlstmBackwardBuffers(float* threadScratch, int64_t rows, int64_t dk, int64_t dv) {
  MlstmScratch scratch{threadScratch};
  const int64_t ld = (rows + W - 1) / W * W;
  MlstmBackwardBuffers b;
  b.products = scratch.take(GEMM_SCRATCH);
  b.g = mlstmGates(scratch, rows);
  b.mixing = scratch.take(rows * ld);
  b.dmixing = scratch.take(rows * ld);
  b.dnum = scratch.take(rows * dv);
  b.ddot = scratch.take(ld);
  b.exits = scratch.take(ld);
  b.above = scratch.take(ld);
  b.scaled = scratch.take(rows * dk);
  b.dstate = scratch.take(rows * dk);
  b.entryN = scratch.take(dk);
  b.dforget = reinterpret_cast<double*>(scratch.take(2 * ld));
  return b;
}

static bool mlstmAllZero(const float* x, int64_t count) {
  for (int64_t d = 0; d < count; d++)
    if (x[d] != 0.0f) return false;
  return true;
}

static void mlstmBackwardHead(const MlstmBackwardArgs& a, int64_t member, int64_t head, float* threadScratch) {
  const int64_t dk = a.keyDim, dv = a.valueDim, item = member * a.heads + head;
  const int64_t chunks = (a.length + a.chunk - 1) / a.chunk;
  const int64_t longest = a.chunk < a.length ? a.chunk : a.length, ldM = (longest + W - 1) / W * W;
  MlstmBackwardBuffers b = mlstmBackwardBuffers(threadScratch, longest, dk, dv);
  MlstmGates& g = b.g;

  // Gradient of the state at the end of the current chunk, then at its entry.
  float* dc = a.scratch + item * (dk * (dv + 1));
  float* dn = dc + dk * dv;
  bool emptyGradient = !a.dlastC && !a.dlastN;
  if (a.dlastC) mlstmScaled<false>(dc, a.dlastC + item * dk * dv, 1.0f, dk * dv);
  else mlstmClear(dc, dk * dv);
  if (a.dlastN) mlstmScaled<false>(dn, a.dlastN + item * dk, 1.0f, dk);
  else mlstmClear(dn, dk);

  for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
    const int64_t start = chunk * a.chunk, row0 = member * a.length + start;
    const int rows = static_cast<int>(a.length - start < a.chunk ? a.length - start : a.chunk);
    const float* q = a.q + row0 * a.ldq + head * dk;
    const float* k = a.k + row0 * a.ldk + head * dk;
    const float* v = a.v + row0 * a.ldv + head * dv;
    const float* h = a.h + row0 * a.ldh + head * dv;
    const float* dh = a.dh + row0 * a.lddh + head * dv;
    float* dq = a.dq + row0 * a.lddq + head * dk;
    float* dkey = a.dk + row0 * a.lddk + head * dk;
    float* dv_ = a.dv + row0 * a.lddv + head * dv;
    float* di = a.di + row0 * a.lddi + head;
    float* df = a.df + row0 * a.lddf + head;
    const float* stats = a.tokenStats + (item * a.length + start) * 2;
    const float* c = a.chunkStates + (item * chunks + chunk) * dk * (dv + 1);
    const int64_t ldc = dv + 1;
    mlstmReadGates(g, rows, a.i + row0 * a.ldi + head, a.ldi, a.f + row0 * a.ldf + head, a.ldf,
                   a.reset ? a.reset + row0 : nullptr, a.chunkMaxima[item * chunks + chunk]);
    const bool empty = chunk == 0 && mlstmAllZero(c, dk * ldc);
    const int carried = empty ? 0 : g.carried;

    // h = num / den, den = max(|n·q̂|, exp(-m)) + eps
    for (int t = 0; t < rows; t++) {
      const float dot = stats[2 * t + 1], floor = expScalar(-g.maxima[t]);
      const float inverse = 1.0f / mlstmDenominator(dot, floor, a.eps);
      mlstmScaled<false>(b.dnum + t * dv, dh + t * a.lddh, inverse, dv);
      const float dden = -inverse * mlstmDot(dh + t * a.lddh, h + t * a.ldh, dv);
      b.ddot[t] = dot > floor ? dden : -dot > floor ? -dden : 0.0f;
    }

    // Within the chunk. dD̃ = dM ∘ M is the gradient of D's exponents: D̃[t, s] holds i_s and the log forget gates of
    // s + 1 … t, so a forget gate's gradient sums dD̃ over the rows from its own on and the columns before it.
    matmul(rows, rows, dk, q, a.ldq, false, k, a.ldk, true, b.mixing, ldM, false, b.products);
    matmul(rows, rows, dv, b.dnum, dv, false, v, a.ldv, true, b.dmixing, ldM, false, b.products);
    for (int s = 0; s < g.padded; s += W) store(b.above + s, zero());
    for (int t = rows - 1; t >= 0; t--) {
      float* m = b.mixing + t * ldM;
      float* dm = b.dmixing + t * ldM;
      vf before = zero();
      for (int s = 0; s < g.padded; s += W) {
        const vf decay = mlstmDecay(g, t, s, splat(a.queryScale * a.keyScale));
        const vi past = mlstmColumns(s) <= t;
        const vf mixing = select(past, load(m + s) * decay, zero());
        const vf dmixing = select(past, load(dm + s) + b.ddot[t], zero());
        const vf sums = fma(mixing, dmixing, load(b.above + s));
        before += select(mlstmColumns(s) < t, sums, zero());
        store(b.above + s, sums);
        store(m + s, mixing);
        store(dm + s, dmixing * decay);
      }
      b.dforget[t] = sum(before);
    }
    for (int s = 0; s < rows; s++) di[s * a.lddi] = b.above[s];
    matmul(rows, dk, rows, b.dmixing, ldM, false, k, a.ldk, false, dq, a.lddq, false, b.products);
    matmul(rows, dk, rows, b.dmixing, ldM, true, q, a.ldq, false, dkey, a.lddk, false, b.products);
    matmul(rows, dv, rows, b.mixing, ldM, true, b.dnum, dv, false, dv_, a.lddv, false, b.products);

    // What rows read from the entry state.
    if (carried > 0) {
      for (int64_t d = 0; d < dk; d++) b.entryN[d] = c[d * ldc + dv];
      matmul(carried, dk, dv, b.dnum, dv, false, c, ldc, true, b.dstate, dk, false, b.products);
      double later = 0;
      for (int t = carried - 1; t >= 0; t--) {
        const float carry = g.carry[t] * a.queryScale;
        mlstmScaled<true>(b.dstate + t * dk, b.entryN, b.ddot[t], dk);
        later += carry * mlstmDot(q + t * a.ldq, b.dstate + t * dk, dk);
        b.dforget[t] += later;
        mlstmScaled<true>(dq + t * a.lddq, b.dstate + t * dk, carry, dk);
      }
    }

    // What rows wrote to the exit state, and what the entry state passed on to it.
    const float kept = g.carry[rows - 1];
    if (!emptyGradient) {
      for (int s = 0; s < g.padded; s += W) store(b.exits + s, mlstmDecay(g, rows - 1, s, splat(a.keyScale)));
      const int writers = rows - g.last;
      float* dstate = b.dstate + g.last * dk;
      matmul(writers, dk, dv, v + g.last * a.ldv, a.ldv, false, dc, dv, true, dstate, dk, false, b.products);
      double earlier = 0;
      if (!empty && g.carried == rows) {
        for (int64_t d = 0; d < dk; d++) earlier += mlstmDot(c + d * ldc, dc + d * dv, dv);
        for (int64_t d = 0; d < dk; d++) earlier += static_cast<double>(c[d * ldc + dv]) * dn[d];
        earlier *= kept;
      }
      for (int s = g.last; s < rows; s++) {
        float* x = b.dstate + s * dk;
        mlstmScaled<true>(x, dn, 1.0f, dk);
        const float written = b.exits[s] * mlstmDot(k + s * a.ldk, x, dk);
        di[s * a.lddi] += written;
        b.dforget[s] += earlier;
        earlier += written;
        mlstmScaled<true>(dkey + s * a.lddk, x, b.exits[s], dk);
        mlstmScaled<false>(b.scaled + s * dk, k + s * a.ldk, b.exits[s], dk);
      }
      matmul(writers, dv, dk, b.scaled + g.last * dk, dk, false, dc, dv, false, dv_ + g.last * a.lddv, a.lddv, true,
             b.products);
    }
    // dlog σ(f) / df = σ(-f) = 1 - exp(log σ(f))
    for (int t = 0; t < rows; t++)
      df[t * a.lddf] = static_cast<float>(b.dforget[t]) * sigmoidScalar(-a.f[(row0 + t) * a.ldf + head]);

    if (chunk == 0 && !a.dc && !a.dn) break;
    const bool keeps = !emptyGradient && kept != 0.0f;
    for (int t = 0; t < g.carried; t++)
      mlstmScaled<false>(b.scaled + t * dk, q + t * a.ldq, g.carry[t] * a.queryScale, dk);
    mlstmScaled<false>(dc, dc, kept, dk * dv);
    mlstmScaled<false>(dn, dn, kept, dk);
    matmul(dk, dv, g.carried, b.scaled, dk, true, b.dnum, dv, false, dc, dv, keeps, b.products);
    for (int t = 0; t < g.carried; t++) mlstmScaled<true>(dn, b.scaled + t * dk, b.ddot[t], dk);
    emptyGradient = false;
  }
  if (a.dc) mlstmScaled<false>(a.dc + item * dk * dv, dc, 1.0f, dk * dv);
  if (a.dn) mlstmScaled<false>(a.dn + item * dk, dn, 1.0f, dk);
}

void mlstmBackward(const MlstmBackwardArgs& a, const Context& ctx) {
  const Range items = share(ctx, a.batch * a.heads);
  for (int64_t item = items.begin; item < items.end; item++)
    mlstmBackwardHead(a, item / a.heads, item % a.heads, ctx.scratch);
}

}  // namespace xl
