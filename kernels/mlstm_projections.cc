// What an mLSTM cell reads, made from its layer's two inputs in one pass over the rows: q, k = blocks · a, v = blocks · x
// and the gates' pre-activations = Wg · [q | k | v]. Legend: N rows, D width of q, k and v each, G gates.
//   backward:  ∂ = [dq | dk | dv] + dg · Wg;   da = blocksᵀ · ∂q, ∂k;   dx = blocksᵀ · ∂v
//              dblocks = ∂ᵀ · [a, a, x];   dbias = Σ ∂;   dWg = dgᵀ · [q | k | v];   dgateBias = Σ dg
// A few rows at a time, so that q, k, v are still in cache for the gates; the backward pass makes them again rather than
// reading them, and ∂ is never in memory.
#include "block_linear.h"
#include "generated/kernels.h"

namespace xl {

static inline int64_t mlstmProjectionRows(int64_t width) {
  const int64_t rows = MLSTM_PROJECTION_ELEMENTS / (3 * width) / 8 * 8;
  return rows < 8 ? 8 : smaller(rows, 64);
}

// The three sets of blocks, ready for use.
struct MlstmBlocks {
  Blocks blocks;
  const float* w[3];

  // stored [3, groups, size, size]; room as in prepareBlocks().
  void prepare(const float* stored, bool transposed, float*& room) {
    for (int set = 0; set < 3; set++)
      w[set] = prepareBlocks(blocks, stored + set * blocks.inputs() * blocks.outSize, transposed, room);
  }
};

// Rows of q, k and v.
static void mlstmProject(const MlstmBlocks& m, const float* a, int64_t lda, const float* x, int64_t ldx,
                         const float* bias, float* qkv, int64_t ldqkv, int64_t rows, float* scratch) {
  const int64_t D = m.blocks.inputs();
  for (int set = 0; set < 3; set++) {
    const BlockRows part{set < 2 ? a : x, set < 2 ? lda : ldx, qkv + set * D, ldqkv, nullptr, 0};
    multiplyBlocks(m.blocks, m.w[set], false, part, rows, scratch);
  }
  if (!bias) return;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < 3 * D; c++) qkv[r * ldqkv + c] += bias[c];
}

void mlstmProjectionsForward(const MlstmProjectionsForwardArgs& g, const Context& ctx) {
  const int64_t D = g.groups * g.size, step = mlstmProjectionRows(D);
  MlstmBlocks m{{g.groups, g.size, g.size}, {}};
  float* scratch = ctx.scratch;
  m.prepare(g.weight, false, scratch);
  Product gates{};
  gates.m = g.rows, gates.n = g.gates, gates.k = 3 * D;
  gates.a = g.qkv, gates.lda = g.ldqkv, gates.b = g.gateWeight, gates.ldb = 3 * D, gates.transB = true;
  gates.c = g.gate, gates.ldc = g.ldGate, gates.bias = g.gateBias;
  const bool dots = prefersDots(gates);
  const Range mine = share(ctx, g.rows);
  for (int64_t r = mine.begin; r < mine.end; r += step) {
    const int64_t rows = smaller(step, mine.end - r);
    mlstmProject(m, g.a + r * g.lda, g.lda, g.x + r * g.ldx, g.ldx, g.bias, g.qkv + r * g.ldqkv, g.ldqkv, rows, scratch);
    Product part = gates;
    part.m = rows, part.a += r * g.ldqkv, part.c += r * g.ldGate;
    if (dots) dotProducts(part);
    else gemmTiles(part, scratch);
  }
}

// Partial sums of one partition: blocks [3, size()], gate weights [G, 3 · D], biases [3 · D], gate biases [G].
struct MlstmProjectionSums {
  int64_t gateWeight, bias, gateBias, total;
  MlstmProjectionSums(const Blocks& b, int64_t gates)
      : gateWeight(3 * b.size()),
        bias(gateWeight + gates * 3 * b.inputs()),
        gateBias(bias + 3 * b.inputs()),
        total(gateBias + gates) {}
};

void mlstmProjectionsBackward(const MlstmProjectionsBackwardArgs& g, const Context& ctx) {
  const Blocks blocks{g.groups, g.size, g.size};
  const int64_t D = blocks.inputs(), all = 3 * D, step = mlstmProjectionRows(D);
  const MlstmProjectionSums at(blocks, g.gates);
  MlstmBlocks forward{blocks, {}}, back{blocks, {}};
  float* d = ctx.scratch;       // ∂ [step, 3 · D]
  float* qkv = d + step * all;  // [step, 3 · D]
  float* scratch = qkv + step * all;
  forward.prepare(g.weight, false, scratch);
  back.prepare(g.weight, true, scratch);

  sumPartitions(ctx, g.rows, g.scratch, at.total, [&](Range range, float* sums) {
    for (int64_t r = range.begin; r < range.end; r += step) {
      const int64_t rows = smaller(step, range.end - r);
      const float* a = g.a + r * g.lda;
      const float* x = g.x + r * g.ldx;
      const float* dgate = g.dgate + r * g.lddgate;

      Product through{};
      through.m = rows, through.n = all, through.k = g.gates;
      through.a = dgate, through.lda = g.lddgate, through.b = g.gateWeight, through.ldb = all;
      through.c = d, through.ldc = all;
      through.residual = g.dqkv + r * g.lddqkv, through.ldResidual = g.lddqkv;
      // Along the rows of dqkv, which come from memory.
      if (g.gates <= thin::MOST) thinProducts(through, tile::KC, scratch);
      else gemmTiles(through, scratch);

      mlstmProject(forward, a, g.lda, x, g.ldx, g.bias, qkv, all, rows, scratch);
      matmul(g.gates, all, rows, dgate, g.lddgate, true, qkv, all, false, sums + at.gateWeight, all, true, scratch);

      for (int set = 0; set < 3; set++) {
        const float* dset = d + set * D;
        float* to = (set < 2 ? g.da : g.dx) + r * (set < 2 ? g.ldda : g.lddx);
        const int64_t ld = set < 2 ? g.ldda : g.lddx;
        BlockRows towards{dset, all, to, ld, nullptr, 0};
        if (set == 0 && g.residual) towards.residual = g.residual + r * g.ldResidual, towards.ldResidual = g.ldResidual;
        if (set == 1) towards.residual = to, towards.ldResidual = ld;
        multiplyBlocks(blocks, back.w[set], true, towards, rows, scratch);
        const BlockGradientRows pair{set < 2 ? a : x, set < 2 ? g.lda : g.ldx, dset, all};
        addBlockGradient(blocks, pair, rows, sums + set * blocks.size(), scratch);
      }

      for (int64_t i = 0; i < rows; i++) {
        if (g.dbias)
          for (int64_t c = 0; c < all; c++) sums[at.bias + c] += d[i * all + c];
        for (int64_t c = 0; c < g.gates; c++) sums[at.gateBias + c] += dgate[i * g.lddgate + c];
      }
    }
  });

  for (int set = 0; set < 3; set++)
    addBlockPartitions(ctx, blocks, g.scratch + set * blocks.size(), at.total,
                       g.dweight + set * D * g.size);
  addPartitions(ctx, g.scratch + at.gateWeight, at.total, g.gates * all, g.dgateWeight);
  addPartitions(ctx, g.scratch + at.bias, at.total, all, g.dbias);
  addPartitions(ctx, g.scratch + at.gateBias, at.total, g.gates, g.dgateBias);
}

}  // namespace xl
