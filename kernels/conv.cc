// Causal depthwise convolution. Forward and backward are the same weighted sum of rows: forward a row of y sums x at
// the lags behind it, backward a row of dx sums dy at the lags ahead of it, and the same pass over the rows of dy
// gives the weights' gradient. A row is taken in blocks of columns, so that the weights stay in the first-level cache.
// With SiLU behind it, the sums are made again in the backward pass: that costs less than storing them.
#include "ahead.h"
#include "generated/kernels.h"
#include "math.h"
#include "partitions.h"

namespace xl {

// Lags [begin, end) of a row that lie in its own document and in the given rows.
struct ConvLags {
  int64_t begin, end;
};

// Time t sees t − lag unless a document starts in (t − lag, t].
static inline ConvLags convLagsBehind(const float* reset, int64_t t, int64_t taps) {
  int64_t end = 1;
  while (end < taps && !(reset && t - end + 1 >= 0 && reset[t - end + 1] != 0.0f)) end++;
  return {0, end};
}

// Time s, negative in the given state, is seen by s + lag unless a document starts in (s, s + lag].
static inline ConvLags convLagsAhead(const float* reset, int64_t s, int64_t length, int64_t taps) {
  const int64_t begin = s < 0 ? -s : 0;
  int64_t end = begin;
  while (end < taps && s + end < length && !(reset && end > 0 && reset[s + end] != 0.0f)) end++;
  return {begin, end};
}

// Weights of columns [first, first + n) by lag: out [taps, CONV_COLUMNS].
static void convWeights(const float* weight, int64_t taps, int64_t first, int64_t n, float* out) {
  for (int64_t d = 0; d < n; d++)
    for (int64_t lag = 0; lag < taps; lag++) out[lag * CONV_COLUMNS + d] = weight[(first + d) * taps + taps - 1 - lag];
}

// n columns of a row: out = start + Σ over lags of w · rows(lag), the longest lag first; start may be absent. Rows
// outside the lags do not count. TAPS 0 stands for any number of taps.
template <int TAPS, class Rows>
static void convSum(const float* start, const float* w, ConvLags lags, const Rows& rows, float* out, int64_t n) {
  if (TAPS > 0 && lags.begin == 0 && lags.end == TAPS) {
    const float* row[TAPS + 1];
    for (int lag = 0; lag < TAPS; lag++) row[lag] = rows(lag);
    eachVector(n, [&](int64_t u, int part) XL_LAMBDA_INLINE {
      vf sum = start ? loadLanes(start + u, part) : zero();
      for (int lag = TAPS - 1; lag >= 0; lag--)
        sum = fma(load(w + lag * CONV_COLUMNS + u), loadLanes(row[lag] + u, part), sum);
      storeLanes(out + u, sum, part);
    });
    return;
  }
  for (int64_t u = 0; u < n; u++) out[u] = start ? start[u] : 0.0f;
  for (int64_t lag = lags.end - 1; lag >= lags.begin; lag--) {
    const float* row = rows(lag);
    const float* wLag = w + lag * CONV_COLUMNS;
    eachVector(n, [&](int64_t u, int part) XL_LAMBDA_INLINE {
      storeLanes(out + u, fma(load(wLag + u), loadLanes(row + u, part), loadLanes(out + u, part)), part);
    });
  }
}

// One row of sums, n columns from `first` on, of a forward or a backward pass.
template <int TAPS, class Args>
static void convRow(const Args& a, const float* w, int64_t b, int64_t t, int64_t first, int64_t n, float* out) {
  const int64_t T = a.length, taps = a.taps, kept = taps - 1;
  ConvLags lags = convLagsBehind(a.reset ? a.reset + b * T : nullptr, t, taps);
  if (!a.state && lags.end > t + 1) lags.end = t + 1;
  const auto rows = [&](int64_t lag) {
    return lag <= t ? a.x + (b * T + t - lag) * a.ldx + first : a.state + (b * kept + kept + t - lag) * a.dim + first;
  };
  fetchRow(a.x + (b * T + t + 2) * a.ldx + first, n);
  convSum<TAPS>(a.bias ? a.bias + first : nullptr, w, lags, rows, out, n);
}

static void convSilu(float* x, int64_t n) {
  eachVector(n, [&](int64_t u, int part) XL_LAMBDA_INLINE { storeLanes(x + u, silu(loadLanes(x + u, part)), part); });
}
// sums = dy · the slope of SiLU at sums
static void convSiluGradient(const float* dy, float* sums, int64_t n) {
  eachVector(n, [&](int64_t u, int part) XL_LAMBDA_INLINE {
    storeLanes(sums + u, loadLanes(dy + u, part) * siluParts(loadLanes(sums + u, part)).slope, part);
  });
}

template <int TAPS> static void convForwardOf(const ConvForwardArgs& a, const Context& ctx) {
  const int64_t T = a.length, taps = a.taps, kept = taps - 1;
  float* w = ctx.scratch;
  const Range all = share(ctx, a.batch * T);
  for (int64_t first = 0; first < a.dim; first += CONV_COLUMNS) {
    const int64_t n = a.dim - first < CONV_COLUMNS ? a.dim - first : CONV_COLUMNS;
    convWeights(a.weight, taps, first, n, w);
    for (int64_t r = all.begin; r < all.end; r++) {
      float* y = a.y + r * a.ldy + first;
      convRow<TAPS>(a, w, r / T, r % T, first, n, y);
      if (a.silu) convSilu(y, n);
    }
  }

  if (!a.lastState) return;
  const Range last = share(ctx, a.batch * kept);
  for (int64_t i = last.begin; i < last.end; i++) {
    const int64_t b = i / kept, lag = kept - 1 - i % kept, t = T - 1 - lag;
    const bool seen = lag < convLagsBehind(a.reset ? a.reset + b * T : nullptr, T - 1, taps).end;
    const float* from = t >= 0 ? a.x + (b * T + t) * a.ldx : a.state ? a.state + (b * kept + kept + t) * a.dim : nullptr;
    for (int64_t d = 0; d < a.dim; d++) a.lastState[i * a.dim + d] = seen && from ? from[d] : 0.0f;
  }
}

void convForward(const ConvForwardArgs& a, const Context& ctx) {
  if (a.taps == 4) return convForwardOf<4>(a, ctx);
  convForwardOf<0>(a, ctx);
}

// n columns: dw [taps, stride] += x · dy(lag), the gradient of the weights by lag.
template <int TAPS, class Rows>
static void convWeightGradient(const float* x, ConvLags lags, const Rows& rows, float* dw, int64_t stride, int64_t n) {
  if (TAPS > 0 && lags.begin == 0 && lags.end == TAPS) {
    const float* row[TAPS + 1];
    for (int lag = 0; lag < TAPS; lag++) row[lag] = rows(lag);
    int64_t u = 0;
    for (; u + W <= n; u += W) {
      const vf value = load(x + u);
      for (int lag = 0; lag < TAPS; lag++) {
        float* to = dw + lag * stride + u;
        store(to, fma(value, load(row[lag] + u), load(to)));
      }
    }
    for (; u < n; u++)
      for (int lag = 0; lag < TAPS; lag++) dw[lag * stride + u] += x[u] * row[lag][u];
    return;
  }
  for (int64_t lag = lags.begin; lag < lags.end; lag++) {
    const float* row = rows(lag);
    for (int64_t u = 0; u < n; u++) dw[lag * stride + u] += x[u] * row[u];
  }
}

// CONV_ROWS rows at once in the plain case, where no document starts and nothing ends within reach: dy and the weights
// are loaded and the sums updated once for all of them. x, dx, dy are at the first row; sums as in convBackwardOf.
constexpr int CONV_ROWS = 4;

struct ConvRows {
  const float* x;
  int64_t ldx;
  const float* dy;
  int64_t lddy;
  const float* residual;
  int64_t ldResidual;
  float* dx;
  int64_t lddx;
  const float* w;
  float* sums;
  int64_t stride;
};

template <int TAPS> static XL_INLINE void convBackwardVector(const ConvRows& g, int64_t u, int part) {
  const auto read = [&](const float* p) XL_LAMBDA_INLINE { return loadLanes(p + u, part); };
  const auto write = [&](float* p, vf v) XL_LAMBDA_INLINE { storeLanes(p + u, v, part); };
  vf dy[CONV_ROWS + TAPS - 1], x[CONV_ROWS], dx[CONV_ROWS];
  for (int i = 0; i < CONV_ROWS + TAPS - 1; i++) dy[i] = read(g.dy + i * g.lddy);
  for (int r = 0; r < CONV_ROWS; r++) {
    x[r] = read(g.x + r * g.ldx);
    dx[r] = g.residual ? read(g.residual + r * g.ldResidual) : zero();
  }
  for (int lag = TAPS - 1; lag >= 0; lag--) {
    const vf w = load(g.w + lag * CONV_COLUMNS + u);
    vf sum = read(g.sums + lag * g.stride);
    for (int r = 0; r < CONV_ROWS; r++) {
      dx[r] = fma(w, dy[r + lag], dx[r]);
      sum = fma(x[r], dy[r + lag], sum);
    }
    write(g.sums + lag * g.stride, sum);
  }
  vf sum = read(g.sums + TAPS * g.stride);
  for (int r = 0; r < CONV_ROWS; r++) sum += dy[r];
  write(g.sums + TAPS * g.stride, sum);
  for (int r = 0; r < CONV_ROWS; r++) write(g.dx + r * g.lddx, dx[r]);
}

template <int TAPS> static void convBackwardRows(const ConvRows& g, int64_t n) {
  const int64_t whole = n / W * W;
  Ahead x{g.x + CONV_ROWS * g.ldx, g.ldx, n}, dy{g.dy + (CONV_ROWS + TAPS - 1) * g.lddy, g.lddy, n};
  Ahead residual{g.residual + CONV_ROWS * g.ldResidual, g.ldResidual, n};
  for (int64_t u = 0; u < whole; u += W) {
    x.fetch(CONV_ROWS * W);
    dy.fetch(CONV_ROWS * W);
    if (g.residual) residual.fetch(CONV_ROWS * W);
    convBackwardVector<TAPS>(g, u, W);
  }
  if (whole < n) convBackwardVector<TAPS>(g, whole, static_cast<int>(n - whole));
}

// Whether no document starts at any of the times [s, end).
static inline bool convUnbroken(const float* reset, int64_t s, int64_t end) {
  for (; reset && s < end; s++)
    if (reset[s] != 0.0f) return false;
  return true;
}

// Gradients of the sums of one batch member by time: those of y, or, behind SiLU, made a strip of rows at a time.
struct ConvGradient {
  float* strip;  // [CONV_STRIP + taps − 1, CONV_STRIP_LD]
  const float* rows = nullptr;
  int64_t ld = 0, begin = 0, end = 0;

  const float* at(int64_t t) const { return rows + (t - begin) * ld; }
};
// Rows that are not a power of two apart lie in different sets of the first-level cache.
constexpr int64_t CONV_STRIP_LD = CONV_COLUMNS + WIDEST_VECTOR;

// Makes `times` available; of a strip that follows the last one only what is new is made.
template <int TAPS>
static void convGradient(const ConvBackwardArgs& a, const float* w, int64_t b, Range times, int64_t first, int64_t n,
                         ConvGradient& g) {
  const float* dy = a.dy + b * a.length * a.lddy + first;
  if (!a.silu) {
    g.rows = dy, g.ld = a.lddy, g.begin = 0, g.end = a.length;
    return;
  }
  int64_t t = times.begin;
  if (g.begin < t && t < g.end)
    for (int64_t from = t; t < g.end; t++)
      __builtin_memcpy(g.strip + (t - from) * CONV_STRIP_LD, g.at(t), n * sizeof(float));
  for (; t < times.end; t++) {
    float* out = g.strip + (t - times.begin) * CONV_STRIP_LD;
    fetchRow(dy + (t + 2) * a.lddy, n);
    convRow<TAPS>(a, w, b, t, first, n, out);
    convSiluGradient(dy + t * a.lddy, out, n);
  }
  g.rows = g.strip, g.ld = CONV_STRIP_LD, g.begin = times.begin, g.end = times.end;
}

// dx of the times [begin, end) of batch member b, negative in the given state, and what they add to the sums.
template <int TAPS>
static void convBackwardStrip(const ConvBackwardArgs& a, const float* w, int64_t b, Range times, int64_t first,
                              int64_t n, const ConvGradient& dy, float* sums) {
  const int64_t T = a.length, taps = a.taps, kept = taps - 1;
  const float* reset = a.reset ? a.reset + b * T : nullptr;
  for (int64_t s = times.begin; s < times.end;) {
    const int64_t at = b * T + s, stateRow = b * kept + kept + s, reach = s + CONV_ROWS + kept;
    const float* residual = a.residual && s >= 0 ? a.residual + at * a.ldResidual + first : nullptr;
    if (TAPS > 0 && s >= 0 && s + CONV_ROWS <= times.end && reach <= T && convUnbroken(reset, s + 1, reach)) {
      convBackwardRows<TAPS>({a.x + at * a.ldx + first, a.ldx, dy.at(s), dy.ld, residual, a.ldResidual,
                              a.dx + at * a.lddx + first, a.lddx, w, sums, a.dim}, n);
      s += CONV_ROWS;
      continue;
    }
    const float* x = s >= 0 ? a.x + at * a.ldx : a.state ? a.state + stateRow * a.dim : nullptr;
    float* dx = s >= 0 ? a.dx + at * a.lddx : a.dstate ? a.dstate + stateRow * a.dim : nullptr;
    const ConvLags lags = convLagsAhead(reset, s, T, taps);
    const auto rows = [&](int64_t lag) { return dy.at(s + lag); };
    if (dx) convSum<TAPS>(residual, w, lags, rows, dx + first, n);
    // Row s is in the last state if it is among the last taps − 1 and no document starts behind it.
    if (dx && a.dlastState && s >= T - kept && lags.end == T - s) {
      const float* last = a.dlastState + (b * kept + s - (T - kept)) * a.dim + first;
      for (int64_t u = 0; u < n; u++) dx[first + u] += last[u];
    }
    if (x) convWeightGradient<TAPS>(x + first, lags, rows, sums, a.dim, n);
    if (a.dbias && s >= 0) {
      float* to = sums + taps * a.dim;
      for (int64_t u = 0; u < n; u++) to[u] += dy.at(s)[u];
    }
    s++;
  }
}

// Rows run over the given state and the sequence, T + taps − 1 for each batch member; partition p of them has the
// partial sums [taps + 1, dim] at p, the gradient of the bias behind those of the lags.
template <int TAPS> static void convBackwardOf(const ConvBackwardArgs& a, const Context& ctx) {
  const int64_t T = a.length, taps = a.taps, kept = taps - 1, span = T + kept, partial = a.dim * (taps + 1);
  float* w = ctx.scratch;
  float* strip = w + taps * CONV_COLUMNS;
  const Range mine = share(ctx, PARTITIONS);
  for (int64_t i = mine.begin * partial; i < mine.end * partial; i++) a.scratch[i] = 0.0f;
  for (int64_t first = 0; first < a.dim; first += CONV_COLUMNS) {
    const int64_t n = a.dim - first < CONV_COLUMNS ? a.dim - first : CONV_COLUMNS;
    convWeights(a.weight, taps, first, n, w);
    for (int64_t p = mine.begin; p < mine.end; p++) {
      float* sums = a.scratch + p * partial + first;
      const Range range = partition(static_cast<int>(p), a.batch * span);
      ConvGradient dy{strip};
      for (int64_t r = range.begin; r < range.end;) {
        // Times [s, end) of batch member b, which see the gradients up to `seen`.
        const int64_t b = r / span, strips = a.silu ? CONV_STRIP : T + kept;
        const int64_t s = r % span - kept;
        int64_t end = s + (range.end - r < strips ? range.end - r : strips);
        if (end > T) end = T;
        const int64_t seen = end + kept < T ? end + kept : T;
        if (s == -kept) dy.end = 0;  // Another batch member's rows are no use.
        convGradient<TAPS>(a, w, b, {s > 0 ? s : 0, seen}, first, n, dy);
        convBackwardStrip<TAPS>(a, w, b, {s, end}, first, n, dy, sums);
        r += end - s;
      }
    }
  }

  ctx.sync();
  addPartitions(ctx, a.scratch, partial, taps * a.dim, W, [&](int64_t begin, int64_t end, const float* total) {
    for (int64_t e = begin; e < end; e++) {
      const int64_t lag = e / a.dim, d = e % a.dim;
      a.dweight[d * taps + taps - 1 - lag] = total[e - begin];
    }
  });
  addPartitions(ctx, a.scratch + taps * a.dim, partial, a.dim, a.dbias);
}

void convBackward(const ConvBackwardArgs& a, const Context& ctx) {
  if (a.taps == 4) return convBackwardOf<4>(a, ctx);
  convBackwardOf<0>(a, ctx);
}

}  // namespace xl
