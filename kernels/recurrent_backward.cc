// The recurrent scan, backward: the pointwise cell gives the gates' gradients of a step, Rᵀ carries them to y_{t−1}.
#include "generated/kernels.h"
#include "recurrent.h"
#include "recurrent_cells.h"

namespace xl {

// One batch row of one head in one step. The strides are those between gates, planes and cell states.
struct RecurrentBackwardRow {
  const float* dy;         // [DH], from outside
  const float* dyNext;     // [DH], from step t + 1
  const float* y;          // [DH]
  const float* gates;      // [SAVED, DH], stride D
  const float* cells;      // [CELLS, DH], stride D
  const float* before[2];  // CELLS × [DH], the state before the step
  const float* dyAhead;    // what the step before this one reads
  const float* gatesAhead;
  const float* cellsAhead;
  float* dcell;            // [CELLS, DH]
  int64_t dcellStride;
  float* dwx;              // [G, DH], stride D
  float* drecOut;          // [G, DH], stride D
  float* drec;             // [G, DH], what the product with R reads
  float* direct;           // [DH]
};

template <class Cell, bool STREAMS>
static XL_INLINE void recurrentBackwardUnits(const RecurrentBackwardRow& row, int64_t u, int n, int64_t D, int64_t DH) {
  vf saved[Cell::SAVED + 1], cell[Cell::CELLS + 1], before[Cell::CELLS + 1], dcell[Cell::CELLS + 1];
  vf dwx[Cell::GATES], drec[Cell::GATES];
  __builtin_prefetch(row.dyAhead + u);
  for (int s = 0; s < Cell::SAVED; s++) {
    __builtin_prefetch(row.gatesAhead + s * D + u);
    saved[s] = loadLanes(row.gates + s * D + u, n);
  }
  for (int s = 0; s < Cell::CELLS; s++) {
    __builtin_prefetch(row.cellsAhead + s * D + u);
    cell[s] = loadLanes(row.cells + s * D + u, n);
    before[s] = loadLanes(row.before[s] + u, n);
    dcell[s] = loadLanes(row.dcell + s * row.dcellStride + u, n);
  }
  const vf y = Cell::READS_Y ? loadLanes(row.y + u, n) : zero();
  const vf dy = loadLanes(row.dy + u, n) + loadLanes(row.dyNext + u, n);
  const vf direct = Cell::backward(dy, y, saved, cell, before, dcell, dwx, drec);
  for (int s = 0; s < Cell::CELLS; s++) storeLanes(row.dcell + s * row.dcellStride + u, dcell[s], n);
  for (int g = 0; g < Cell::GATES; g++) {
    const vf d = Cell::HAS_DREC ? drec[g] : dwx[g];
    storeAway<STREAMS>(row.dwx + g * D + u, dwx[g], n);
    storeLanes(row.drec + g * DH + u, d, n);
    if (row.drecOut) storeAway<STREAMS>(row.drecOut + g * D + u, d, n);
  }
  if (Cell::HAS_DIRECT) storeLanes(row.direct + u, direct, n);
}

template <class Cell, bool STREAMS> static void recurrentBackwardOf(const RecurrentBackwardArgs& a, const Context& ctx) {
  const int64_t B = a.batch, T = a.length, H = a.heads, DH = a.headDim, D = H * DH;
  const int64_t k = Cell::GATES * DH, columns = wholeVectors(DH);
  const bool recurs = !a.cutRecurrent;
  if (recurs) packRecurrent(a.r, H, k, DH, false, a.scratch, ctx);
  const float* state0[] = {a.c0, a.n0};
  const float* dlast[] = {a.dlastC, a.dlastN};
  float* dstate0[] = {a.dc0, a.dn0};
  const vf high = splat(a.recurrentClip), low = splat(-a.recurrentClip);

  const int64_t groups = recurrentGroups(B, H, ctx.threads, k + 2 * columns + (Cell::CELLS + 1) * DH);
  const Range items = share(ctx, groups * H);
  for (int64_t item = items.begin; item < items.end; item++) {
    const int64_t head = item / groups, group = item % groups;
    const int64_t first = B * group / groups, rows = B * (group + 1) / groups - first;
    float* drec = ctx.scratch;                // [rows, k]
    float* dyNext = drec + rows * k;          // [rows, columns]
    float* direct = dyNext + rows * columns;  // [rows, DH]
    float* dcell = direct + rows * DH;        // [CELLS, rows, DH]
    float* zeros = dcell + Cell::CELLS * rows * DH;

    fillOrZero(zeros, nullptr, DH);
    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = (first + i) * D + head * DH;
      fillOrZero(dyNext + i * columns, a.dlastY ? a.dlastY + at : nullptr, DH);
      for (int s = 0; s < Cell::CELLS; s++)
        fillOrZero(dcell + (s * rows + i) * DH, dlast[s] ? dlast[s] + at : nullptr, DH);
    }

    const RecurrentPanels panels{a.scratch + head * k * columns, k, DH};
    for (int64_t t = T - 1; t >= 0; t--) {
      for (int64_t i = 0; i < rows; i++) {
        const int64_t at = (first + i) * T + t, unit = head * DH;
        const bool starts = a.reset && a.reset[at] != 0.0f;
        RecurrentBackwardRow row;
        row.dy = a.dy + at * a.lddy + unit;
        row.dyNext = dyNext + i * columns;
        row.y = a.y + at * a.ldy + unit;
        row.gates = a.gates + at * Cell::SAVED * D + unit;
        row.cells = a.cells + at * 2 * D + unit;
        for (int s = 0; s < Cell::CELLS; s++) {
          const float* given = state0[s] ? state0[s] + (first + i) * D + unit : zeros;
          row.before[s] = starts ? zeros : t > 0 ? a.cells + (at - 1) * 2 * D + s * D + unit : given;
        }
        const int64_t ahead = t > 0 ? at - 1 : at;
        row.dyAhead = a.dy + ahead * a.lddy + unit;
        row.gatesAhead = a.gates + ahead * Cell::SAVED * D + unit;
        row.cellsAhead = a.cells + (t > 1 ? at - 2 : at) * 2 * D + unit;
        row.dcell = dcell + i * DH;
        row.dcellStride = rows * DH;
        row.dwx = a.dwx + at * a.lddwx + unit;
        row.drecOut = a.drec ? a.drec + at * a.lddrec + unit : nullptr;
        row.drec = drec + i * k;
        row.direct = direct + i * DH;
        int64_t u = 0;
        for (; u + W <= DH; u += W) recurrentBackwardUnits<Cell, STREAMS>(row, u, W, D, DH);
        if (u < DH) recurrentBackwardUnits<Cell, STREAMS>(row, u, static_cast<int>(DH - u), D, DH);
      }

      if (recurs)
        recurrentProduct(rows, drec, k, panels, nullptr, dyNext);
      else
        fillOrZero(dyNext, nullptr, rows * columns);
      if (a.recurrentClip > 0.0f)
        for (int64_t i = 0; i < rows * columns; i += W) store(dyNext + i, max(low, min(high, load(dyNext + i))));
      if (Cell::HAS_DIRECT)
        for (int64_t i = 0; i < rows; i++)
          for (int64_t u = 0; u < DH; u++) dyNext[i * columns + u] += direct[i * DH + u];
      if (a.reset)
        for (int64_t i = 0; i < rows; i++) {
          if (a.reset[(first + i) * T + t] == 0.0f) continue;
          fillOrZero(dyNext + i * columns, nullptr, DH);
          for (int s = 0; s < Cell::CELLS; s++) fillOrZero(dcell + (s * rows + i) * DH, nullptr, DH);
        }
    }

    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = (first + i) * D + head * DH;
      if (a.dy0) fillOrZero(a.dy0 + at, dyNext + i * columns, DH);
      for (int s = 0; s < Cell::CELLS; s++)
        if (dstate0[s]) fillOrZero(dstate0[s] + at, dcell + (s * rows + i) * DH, DH);
    }
  }
  if (STREAMS) streamFence();
}

template <class Cell> static void recurrentBackwardWith(const RecurrentBackwardArgs& a, const Context& ctx) {
  const int64_t bytes = a.batch * a.length * a.heads * a.headDim * Cell::GATES * static_cast<int64_t>(sizeof(float));
  const bool streams = bytes >= RECURRENT_STREAM_BYTES && a.headDim % W == 0 && a.lddwx % W == 0 && aligned(a.dwx) &&
                       (!a.drec || (a.lddrec % W == 0 && aligned(a.drec)));
  streams ? recurrentBackwardOf<Cell, true>(a, ctx) : recurrentBackwardOf<Cell, false>(a, ctx);
}

void recurrentBackward(const RecurrentBackwardArgs& a, const Context& ctx) {
  switch (static_cast<RecurrentCell>(a.cell)) {
    // The forget gate's form is in the saved gates.
    case RecurrentCell::slstm: return recurrentBackwardWith<SlstmCell<false>>(a, ctx);
    case RecurrentCell::lstm: return recurrentBackwardWith<LstmCell>(a, ctx);
    case RecurrentCell::gru: return recurrentBackwardWith<GruCell>(a, ctx);
    case RecurrentCell::rnn: return recurrentBackwardWith<RnnCell>(a, ctx);
  }
}

}  // namespace xl
