// The recurrent scan, forward: one product with R and one pointwise cell a step, over the whole sequence.
#include "gemm_dot.h"
#include "generated/kernels.h"
#include "recurrent.h"
#include "recurrent_cells.h"

namespace xl {

// One batch row of one head in one step. The strides are those between gates, planes and states.
struct RecurrentForwardRow {
  const float* wx;      // [G, DH], stride D
  const float* wxNext;  // [G, DH], of the next step
  float* rec;           // [G, DH]
  float* y;             // [DH], y_{t−1} in, y_t out
  float* state;         // [STATES, DH]
  int64_t stateStride;
  float* out;           // [DH]
  float* gates;         // [SAVED, DH], stride D
  float* cells;         // [CELLS, DH], stride D
  float* previous;      // [DH]
};

template <class Cell, bool STREAMS>
static XL_INLINE void recurrentGates(const RecurrentForwardRow& row, int64_t u, int n, int64_t D, int64_t DH) {
  vf wx[Cell::GATES], rec[Cell::GATES], saved[Cell::SAVED + 1];
  for (int g = 0; g < Cell::GATES; g++) {
    __builtin_prefetch(row.wxNext + g * D + u);
    wx[g] = loadLanes(row.wx + g * D + u, n);
    rec[g] = loadLanes(row.rec + g * DH + u, n);
  }
  Cell::gates(wx, rec, saved);
  for (int g = 0; g < Cell::GATES; g++) storeLanes(row.rec + g * DH + u, rec[g], n);
  if (row.gates)
    for (int s = 0; s < Cell::SAVED; s++)
      if (Cell::EARLY >> s & 1) storeAway<STREAMS>(row.gates + s * D + u, saved[s], n);
}

template <class Cell, bool STREAMS>
static XL_INLINE void recurrentUpdate(const RecurrentForwardRow& row, int64_t u, int n, int64_t D, int64_t DH) {
  vf rec[Cell::GATES], state[Cell::STATES + 1], saved[Cell::SAVED + 1];
  for (int g = 0; g < Cell::GATES; g++) rec[g] = loadLanes(row.rec + g * DH + u, n);
  for (int s = 0; s < Cell::STATES; s++) state[s] = loadLanes(row.state + s * row.stateStride + u, n);
  const vf previous = loadLanes(row.y + u, n);
  const vf y = Cell::update(rec, previous, state, saved);
  storeLanes(row.y + u, y, n);
  storeLanes(row.out + u, y, n);
  for (int s = 0; s < Cell::STATES; s++) storeLanes(row.state + s * row.stateStride + u, state[s], n);
  if (row.gates)
    for (int s = 0; s < Cell::SAVED; s++)
      if (!(Cell::EARLY >> s & 1)) storeAway<STREAMS>(row.gates + s * D + u, saved[s], n);
  if (row.cells)
    for (int s = 0; s < Cell::CELLS; s++) storeAway<STREAMS>(row.cells + s * D + u, state[s], n);
  if (row.previous) storeAway<STREAMS>(row.previous + u, previous, n);
}

template <class Cell, bool STREAMS> static void recurrentForwardOf(const RecurrentForwardArgs& a, const Context& ctx) {
  const int64_t B = a.batch, T = a.length, H = a.heads, DH = a.headDim, D = H * DH;
  const int64_t n = Cell::GATES * DH, columns = wholeVectors(n), rOfHead = DH * n;
  if (T > 1) packRecurrent(a.r, H, DH, n, true, a.scratch, ctx);
  const float* state0[] = {a.c0, a.n0, a.m0};
  float* lastState[] = {a.lastC, a.lastN, a.lastM};

  const int64_t groups = recurrentGroups(B, H, ctx.threads, 2 * columns + (Cell::STATES + 1) * DH);
  const Range items = share(ctx, groups * H);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t head = item / groups, group = item % groups, unit = head * DH;
    const int64_t first = B * group / groups, rows = B * (group + 1) / groups - first;
    float* rec = ctx.scratch;                      // [rows, columns]
    float* bias = rec + rows * columns;            // [columns]
    float* y = bias + columns;                     // [rows, DH]
    float* state = y + rows * DH;                  // [STATES, rows, DH]

    for (int64_t i = 0; i < columns; i++) bias[i] = 0.0f;
    if (a.bias)
      for (int64_t g = 0; g < Cell::GATES; g++) fillOrZero(bias + g * DH, a.bias + g * D + unit, DH);
    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = (first + i) * D + unit;
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
      // Packing R for a single step would cost more than the product.
      if (T > 1)
        recurrentProduct(rows, y, DH, panels, bias, rec);
      else
        dotProducts({rows, n, DH, y, DH, false, a.r + head * rOfHead, DH, true, rec, columns, bias, nullptr, 0});

      const auto rowAt = [&](int64_t i) {
        const int64_t at = (first + i) * T + t;
        RecurrentForwardRow row;
        row.wx = a.wx + at * a.ldwx + unit;
        row.wxNext = row.wx + (t + 1 < T ? a.ldwx : 0);
        row.rec = rec + i * columns;
        row.y = y + i * DH;
        row.state = state + i * DH;
        row.stateStride = rows * DH;
        row.out = a.y + at * a.ldy + unit;
        row.gates = a.gates ? a.gates + at * Cell::SAVED * D + unit : nullptr;
        row.cells = a.cells ? a.cells + at * 2 * D + unit : nullptr;
        row.previous = a.previous ? a.previous + at * D + unit : nullptr;
        return row;
      };
      const int64_t whole = DH / W * W;
      const int part = static_cast<int>(DH - whole);
      for (int64_t i = 0; i < rows; i++) {
        const RecurrentForwardRow row = rowAt(i);
        for (int64_t u = 0; u < whole; u += W) recurrentGates<Cell, STREAMS>(row, u, W, D, DH);
        if (part) recurrentGates<Cell, STREAMS>(row, whole, part, D, DH);
      }
      for (int64_t i = 0; i < rows; i++) {
        const RecurrentForwardRow row = rowAt(i);
        for (int64_t u = 0; u < whole; u += W) recurrentUpdate<Cell, STREAMS>(row, u, W, D, DH);
        if (part) recurrentUpdate<Cell, STREAMS>(row, whole, part, D, DH);
      }
    }

    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = (first + i) * D + unit;
      if (a.lastY) fillOrZero(a.lastY + at, y + i * DH, DH);
      for (int s = 0; s < Cell::STATES; s++)
        if (lastState[s]) fillOrZero(lastState[s] + at, state + (s * rows + i) * DH, DH);
    }
  }
  if (STREAMS) streamFence();
}

template <class Cell> static void recurrentForwardWith(const RecurrentForwardArgs& a, const Context& ctx) {
  const int64_t planes = (a.gates ? Cell::SAVED : 0) + (a.cells ? Cell::CELLS : 0) + (a.previous ? 1 : 0);
  const int64_t bytes = a.batch * a.length * a.heads * a.headDim * planes * static_cast<int64_t>(sizeof(float));
  const bool streams = bytes >= RECURRENT_STREAM_BYTES && a.headDim % W == 0 && aligned(a.gates) && aligned(a.cells) &&
                       aligned(a.previous);
  streams ? recurrentForwardOf<Cell, true>(a, ctx) : recurrentForwardOf<Cell, false>(a, ctx);
}

void recurrentForward(const RecurrentForwardArgs& a, const Context& ctx) {
  switch (static_cast<RecurrentCell>(a.cell)) {
    case RecurrentCell::slstm:
      if (a.exponentialForget) return recurrentForwardWith<SlstmCell<true>>(a, ctx);
      return recurrentForwardWith<SlstmCell<false>>(a, ctx);
    case RecurrentCell::lstm: return recurrentForwardWith<LstmCell>(a, ctx);
    case RecurrentCell::gru: return recurrentForwardWith<GruCell>(a, ctx);
    case RecurrentCell::rnn: return recurrentForwardWith<RnnCell>(a, ctx);
  }
}

}  // namespace xl
