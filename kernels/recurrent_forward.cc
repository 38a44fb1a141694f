// The recurrent scan, forward: one product with R and one pointwise cell a step, over the whole sequence.
#include "generated/kernels.h"
#include "recurrent.h"
#include "recurrent_cells.h"

namespace xl {

// Dot products of `rows` vectors a [k] with OUT rows of r, straight from memory.
template <int OUT, int ROWS>
static void recurrentDots(const float* a, int64_t lda, const float* r, int64_t k, const float* bias, float* c, int64_t ldc) {
  vf acc[ROWS][OUT];
  for (int i = 0; i < ROWS; i++)
    for (int o = 0; o < OUT; o++) acc[i][o] = zero();
  for (int64_t p = 0; p < k; p += W) {
    const int n = k - p < W ? static_cast<int>(k - p) : W;
    vf x[ROWS];
    for (int i = 0; i < ROWS; i++) x[i] = loadPart(a + i * lda + p, n);
    for (int o = 0; o < OUT; o++) {
      const vf w = loadPart(r + o * k + p, n);
      for (int i = 0; i < ROWS; i++) acc[i][o] = fma(x[i], w, acc[i][o]);
    }
  }
  for (int i = 0; i < ROWS; i++)
    for (int o = 0; o < OUT; o++) c[i * ldc + o] = sum(acc[i][o]) + bias[o];
}

// recurrentProduct for a single step, where packing R would cost more than the product: r is [n, k].
static void recurrentProductOnce(int64_t rows, const float* a, int64_t lda, const float* r, int64_t n, int64_t k,
                                 const float* bias, float* c, int64_t ldc) {
  int64_t o = 0;
  for (; o + 4 <= n; o += 4) {
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) recurrentDots<4, 4>(a + i * lda, lda, r + o * k, k, bias + o, c + i * ldc + o, ldc);
    for (; i < rows; i++) recurrentDots<4, 1>(a + i * lda, lda, r + o * k, k, bias + o, c + i * ldc + o, ldc);
  }
  for (; o < n; o++)
    for (int64_t i = 0; i < rows; i++)
      recurrentDots<1, 1>(a + i * lda, lda, r + o * k, k, bias + o, c + i * ldc + o, ldc);
}

// One batch row of one head in one step. The strides are those between gates, planes and states.
struct RecurrentForwardRow {
  const float* wx;      // [G, DH], stride D
  const float* rec;     // [G, DH]
  float* y;             // [DH], y_{t−1} in, y_t out
  float* state;         // [STATES, DH]
  int64_t stateStride;
  float* out;           // [DH]
  float* gates;         // [SAVED, DH], stride D
  float* cells;         // [CELLS, DH], stride D
  float* previous;      // [DH]
};

template <class Cell>
static XL_INLINE void recurrentForwardUnits(const RecurrentForwardRow& row, int64_t u, int n, int64_t D, int64_t DH) {
  vf wx[Cell::GATES], rec[Cell::GATES], state[Cell::STATES + 1], saved[Cell::SAVED + 1];
  for (int g = 0; g < Cell::GATES; g++) wx[g] = loadPart(row.wx + g * D + u, n);
  for (int g = 0; g < Cell::GATES; g++) rec[g] = loadPart(row.rec + g * DH + u, n);
  for (int s = 0; s < Cell::STATES; s++) state[s] = loadPart(row.state + s * row.stateStride + u, n);
  const vf previous = loadPart(row.y + u, n);
  const vf y = Cell::forward(wx, rec, previous, state, saved);
  storePart(row.y + u, y, n);
  storePart(row.out + u, y, n);
  for (int s = 0; s < Cell::STATES; s++) storePart(row.state + s * row.stateStride + u, state[s], n);
  if (row.gates)
    for (int s = 0; s < Cell::SAVED; s++) storePart(row.gates + s * D + u, saved[s], n);
  if (row.cells)
    for (int s = 0; s < Cell::CELLS; s++) storePart(row.cells + s * D + u, state[s], n);
  if (row.previous) storePart(row.previous + u, previous, n);
}

template <class Cell> static void recurrentForwardOf(const RecurrentForwardArgs& a, const Context& ctx) {
  const int64_t B = a.batch, T = a.length, H = a.heads, DH = a.headDim, D = H * DH;
  const int64_t n = Cell::GATES * DH, columns = wholeVectors(n), rOfHead = DH * n;
  if (T > 1) packRecurrent(a.r, H, DH, n, true, a.scratch, ctx);
  const float* state0[] = {a.c0, a.n0, a.m0};
  float* lastState[] = {a.lastC, a.lastN, a.lastM};

  const int64_t groups = recurrentGroups(B, H, ctx.threads, 2 * columns + (Cell::STATES + 1) * DH);
  const Range items = share(ctx, groups * H);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t head = item / groups, group = item % groups;
    const int64_t first = B * group / groups, rows = B * (group + 1) / groups - first;
    float* rec = ctx.scratch;                      // [rows, columns]
    float* bias = rec + rows * columns;            // [columns]
    float* y = bias + columns;                     // [rows, DH]
    float* state = y + rows * DH;                  // [STATES, rows, DH]

    for (int64_t i = 0; i < columns; i++) bias[i] = 0.0f;
    if (a.bias)
      for (int64_t g = 0; g < Cell::GATES; g++) fillOrZero(bias + g * DH, a.bias + g * D + head * DH, DH);
    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = (first + i) * D + head * DH;
      fillOrZero(y + i * DH, a.y0 ? a.y0 + at : nullptr, DH);
      for (int s = 0; s < Cell::STATES; s++)
        fillOrZero(state + (s * rows + i) * DH, state0[s] ? state0[s] + at : nullptr, DH);
    }

    const RecurrentPanels panels{a.scratch + head * DH * columns, DH, n};
    for (int64_t t = 0; t < T; t++) {
      if (a.reset)
        for (int64_t i = 0; i < rows; i++) {
          if (a.reset[(first + i) * T + t] == 0.0f) continue;
          fillOrZero(y + i * DH, nullptr, DH);
          for (int s = 0; s < Cell::STATES; s++) fillOrZero(state + (s * rows + i) * DH, nullptr, DH);
        }
      if (T > 1)
        recurrentProduct(rows, y, DH, panels, bias, rec);
      else
        recurrentProductOnce(rows, y, DH, a.r + head * rOfHead, n, DH, bias, rec, columns);
      for (int64_t i = 0; i < rows; i++) {
        const int64_t at = (first + i) * T + t, unit = head * DH;
        RecurrentForwardRow row;
        row.wx = a.wx + at * a.ldwx + unit;
        row.rec = rec + i * columns;
        row.y = y + i * DH;
        row.state = state + i * DH;
        row.stateStride = rows * DH;
        row.out = a.y + at * a.ldy + unit;
        row.gates = a.gates ? a.gates + at * Cell::SAVED * D + unit : nullptr;
        row.cells = a.cells ? a.cells + at * 2 * D + unit : nullptr;
        row.previous = a.previous ? a.previous + at * D + unit : nullptr;
        int64_t u = 0;
        for (; u + W <= DH; u += W) recurrentForwardUnits<Cell>(row, u, W, D, DH);
        if (u < DH) recurrentForwardUnits<Cell>(row, u, static_cast<int>(DH - u), D, DH);
      }
    }

    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = (first + i) * D + head * DH;
      if (a.lastY) fillOrZero(a.lastY + at, y + i * DH, DH);
      for (int s = 0; s < Cell::STATES; s++)
        if (lastState[s]) fillOrZero(lastState[s] + at, state + (s * rows + i) * DH, DH);
    }
  }
}

void recurrentForward(const RecurrentForwardArgs& a, const Context& ctx) {
  switch (a.cell) {
    case 0:
      return a.exponentialForget ? recurrentForwardOf<SlstmCell<true>>(a, ctx) : recurrentForwardOf<SlstmCell<false>>(a, ctx);
    case 1: return recurrentForwardOf<LstmCell>(a, ctx);
    case 2: return recurrentForwardOf<GruCell>(a, ctx);
    case 3: return recurrentForwardOf<RnnCell>(a, ctx);
  }
}

}  // namespace xl
