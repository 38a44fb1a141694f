// Selective scan: lanes are channels; the states of W channels stay in cache while the sequence passes.
#include "generated/kernels.h"
#include "math.h"
#include "recurrent.h"

namespace xl {

// to [S, W] = from [S, ld] where the first n columns are there, 0 else.
static void selectiveLoad(float* to, const float* from, int64_t ld, int64_t states, int n) {
  for (int64_t s = 0; s < states; s++) store(to + s * W, from ? loadLanes(from + s * ld, n) : zero());
}
static void selectiveStore(float* to, int64_t ld, const float* from, int64_t states, int n) {
  for (int64_t s = 0; s < states; s++) storeLanes(to + s * ld, load(from + s * W), n);
}

void selectiveScanForward(const SelectiveScanForwardArgs& a, const Context& ctx) {
  const int64_t S = a.states, D = a.dim, blocks = (D + W - 1) / W, chunks = (a.length + a.chunk - 1) / a.chunk;
  float* h = ctx.scratch;        // [S, W]
  float* rates = h + S * W;      // [S, W]
  const Range items = share(ctx, a.batch * blocks);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t member = item / blocks, d = item % blocks * W;
    const int n = static_cast<int>(smaller(W, D - d));
    selectiveLoad(rates, a.a + d, D, S, n);
    selectiveLoad(h, a.state ? a.state + member * S * D + d : nullptr, D, S, n);
    for (int64_t t = 0; t < a.length; t++) {
      const int64_t row = member * a.length + t;
      if (a.chunkStates && t % a.chunk == 0)
        selectiveStore(a.chunkStates + (member * chunks + t / a.chunk) * S * D + d, D, h, S, n);
      if (a.reset && a.reset[row] != 0.0f) selectiveLoad(h, nullptr, 0, S, n);
      const vf step = loadLanes(a.delta + row * a.lddelta + d, n);
      const vf input = step * loadLanes(a.x + row * a.ldx + d, n);
      const float* b = a.b + row * a.ldb;
      const float* c = a.c + row * a.ldc;
      vf y = zero();
      for (int64_t s = 0; s < S; s++) {
        const vf next = fma(exp(step * load(rates + s * W)), load(h + s * W), input * b[s]);
        store(h + s * W, next);
        y = fma(next, splat(c[s]), y);
      }
      storeLanes(a.y + row * a.ldy + d, y, n);
    }
    if (a.lastState) selectiveStore(a.lastState + member * S * D + d, D, h, S, n);
  }
}

// What the backward pass of W channels of one batch member keeps, each [S, W] a token.
struct SelectiveBackward {
  float* rates;
  float* drates;
  float* g;       // gradient of h_t that has come from later tokens
  float* decays;  // of the tokens of a chunk
  float* states;  // before each token of a chunk, after a reset; one more for the end
  float* db;      // [N, S] of this group of channels
  float* dc;
};

// Goes back over rows [first, first + count) of a chunk; w.states begins with the state at its entry.
static void selectiveBackwardChunk(const SelectiveScanBackwardArgs& a, const SelectiveBackward& w, int64_t first,
                                   int64_t count, int64_t d, int n) {
  const int64_t S = a.states, plane = S * W;
  for (int64_t t = 0; t < count; t++) {
    const int64_t row = first + t;
    float* before = w.states + t * plane;
    if (a.reset && a.reset[row] != 0.0f) selectiveLoad(before, nullptr, 0, S, n);
    const vf step = loadLanes(a.delta + row * a.lddelta + d, n);
    const vf input = step * loadLanes(a.x + row * a.ldx + d, n);
    for (int64_t s = 0; s < S; s++) {
      const vf decay = exp(step * load(w.rates + s * W));
      store(w.decays + t * plane + s * W, decay);
      store(before + plane + s * W, fma(decay, load(before + s * W), input * a.b[row * a.ldb + s]));
    }
  }
  for (int64_t t = count - 1; t >= 0; t--) {
    const int64_t row = first + t;
    const bool starts = a.reset && a.reset[row] != 0.0f;
    const float* before = w.states + t * plane;
    const float* decays = w.decays + t * plane;
    const vf step = loadLanes(a.delta + row * a.lddelta + d, n), x = loadLanes(a.x + row * a.ldx + d, n);
    const vf dy = loadLanes(a.dy + row * a.lddy + d, n), input = step * x;
    vf dinput = zero(), dstep = zero();
    for (int64_t s0 = 0; s0 < S; s0 += W) {
      const int some = static_cast<int>(smaller(W, S - s0));
      vf toB[W], toC[W];
      for (int i = 0; i < some; i++) {
        const int64_t s = s0 + i;
        const float b = a.b[row * a.ldb + s], c = a.c[row * a.ldc + s];
        // A document that starts at the next token has erased what this one left: it is computed again.
        const vf decay = load(decays + s * W), kept = decay * load(before + s * W), after = fma(input, splat(b), kept);
        const vf g = fma(dy, splat(c), load(w.g + s * W));
        toB[i] = g * input;
        toC[i] = dy * after;
        const vf rate = load(w.rates + s * W), through = g * kept;
        dinput = fma(g, splat(b), dinput);
        dstep = fma(rate, through, dstep);
        store(w.drates + s * W, fma(step, through, load(w.drates + s * W)));
        store(w.g + s * W, starts ? zero() : g * decay);
      }
      for (int i = some; i < W; i++) toB[i] = toC[i] = zero();
      float* db = w.db + row * S + s0;
      float* dc = w.dc + row * S + s0;
      storeLanes(db, loadLanes(db, some) + sumEach(toB), some);
      storeLanes(dc, loadLanes(dc, some) + sumEach(toC), some);
    }
    storeLanes(a.dx + row * a.lddx + d, dinput * step, n);
    storeLanes(a.ddelta + row * a.ldddelta + d, fma(dinput, x, dstep), n);
  }
}

void selectiveScanBackward(const SelectiveScanBackwardArgs& a, const Context& ctx) {
  const int64_t S = a.states, D = a.dim, N = a.batch * a.length, chunks = (a.length + a.chunk - 1) / a.chunk;
  const int64_t groups = (D + SELECTIVE_SCAN_GROUP - 1) / SELECTIVE_SCAN_GROUP, plane = S * W;
  float* dratesOfMembers = a.scratch;                // [B, S, D]
  float* dbOfGroups = dratesOfMembers + a.batch * S * D;  // [groups, N, S]
  float* dcOfGroups = dbOfGroups + groups * N * S;
  const Range items = share(ctx, a.batch * groups);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t member = item / groups, group = item % groups, rows = member * a.length;
    SelectiveBackward w;
    w.rates = ctx.scratch;
    w.drates = w.rates + plane;
    w.g = w.drates + plane;
    w.decays = w.g + plane;
    w.states = w.decays + a.chunk * plane;
    w.db = dbOfGroups + group * N * S;
    w.dc = dcOfGroups + group * N * S;
    fillOrZero(w.db + rows * S, nullptr, a.length * S);
    fillOrZero(w.dc + rows * S, nullptr, a.length * S);
    const int64_t end = smaller(D, (group + 1) * SELECTIVE_SCAN_GROUP);
    for (int64_t d = group * SELECTIVE_SCAN_GROUP; d < end; d += W) {
      const int n = static_cast<int>(smaller(W, D - d));
      selectiveLoad(w.rates, a.a + d, D, S, n);
      selectiveLoad(w.drates, nullptr, 0, S, n);
      selectiveLoad(w.g, a.dlastState ? a.dlastState + member * S * D + d : nullptr, D, S, n);
      for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
        const int64_t start = chunk * a.chunk;
        selectiveLoad(w.states, a.chunkStates + (member * chunks + chunk) * S * D + d, D, S, n);
        selectiveBackwardChunk(a, w, rows + start, smaller(a.chunk, a.length - start), d, n);
      }
      selectiveStore(dratesOfMembers + member * S * D + d, D, w.drates, S, n);
      if (a.dstate) selectiveStore(a.dstate + member * S * D + d, D, w.g, S, n);
    }
  }
  ctx.sync();
  const Range rates = share(ctx, S * D, 16);
  for (int64_t i = rates.begin; i < rates.end; i++) {
    float total = 0;
    for (int64_t member = 0; member < a.batch; member++) total += dratesOfMembers[member * S * D + i];
    a.da[i] = total;
  }
  const Range mine = share(ctx, N);
  for (int64_t row = mine.begin; row < mine.end; row++)
    for (int64_t s = 0; s < S; s++) {
      float db = 0, dc = 0;
      for (int64_t group = 0; group < groups; group++) {
        db += dbOfGroups[(group * N + row) * S + s];
        dc += dcOfGroups[(group * N + row) * S + s];
      }
      a.db[row * a.lddb + s] = db;
      a.dc[row * a.lddc + s] = dc;
    }
}

}  // namespace xl
