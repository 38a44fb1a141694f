// Causal softmax attention over blocks of queries and keys: maximum and sum of the softmax are carried from one block
// of keys to the next, so that only one block of scores is ever in memory.
#include "generated/kernels.h"
#include "math.h"
#include "recurrent.h"

namespace xl {

// Consecutive keys and values of one head that some queries see.
struct AttentionBlock {
  const float *k, *v;
  int64_t ldk, ldv;
  int64_t count;
  // First key and end of the keys that query r of the block sees, both within [0, count].
  int from[ATTENTION_QUERIES], to[ATTENTION_QUERIES];
  // Where in the sequence the keys are; -1: in the state.
  int64_t time;
};

// One head of one batch member, and what both passes know of it.
struct AttentionHead {
  const float *q, *k, *v;  // row 0 of the sequence
  int64_t ldq, ldk, ldv;
  const float *keys, *values;  // [window, DH], or null
  const float* counts;
  int64_t length, headDim, window;

  int64_t count(int64_t t) const { return static_cast<int64_t>(counts[t]); }
  // A token whose document began before the sequence has at least as many predecessors as its place.
  bool continues(int64_t t) const { return count(t) > t; }
  // The first token of the sequence that token t sees.
  int64_t first(int64_t t) const {
    const int64_t seen = smaller(count(t), window), first = t + 1 - seen;
    return first < 0 ? 0 : first;
  }
};

template <class A> static AttentionHead attentionHead(const A& a, int64_t item) {
  const int64_t member = item / a.heads, head = item % a.heads;
  const int64_t row = member * a.length, column = head * a.headDim, cache = item * a.window * a.headDim;
  return {a.q + row * a.ldq + column, a.k + row * a.ldk + column, a.v + row * a.ldv + column, a.ldq, a.ldk, a.ldv,
          a.keys ? a.keys + cache : nullptr, a.values ? a.values + cache : nullptr, a.counts + row,
          a.length, a.headDim, a.window};
}

static int attentionBound(int64_t x, int64_t count) { return static_cast<int>(x < 0 ? 0 : smaller(x, count)); }

// Calls visit(block) for all keys that queries [t, t + rows) see, those of the state first.
template <class F> static void attentionBlocks(const AttentionHead& h, int64_t t, int64_t rows, F visit) {
  AttentionBlock block;
  if (h.keys && h.continues(t)) {
    // Keys have the numbers that counts give them; number n of the state lies in row (n - 1) mod window.
    const int64_t past = h.count(t) - 1 - t, oldest = h.count(t) - h.window + 1;
    block.ldk = block.ldv = h.headDim;
    block.time = -1;
    for (int64_t n = oldest > 1 ? oldest : 1; n <= past; n += block.count) {
      const int64_t row = (n - 1) % h.window;
      block.k = h.keys + row * h.headDim;
      block.v = h.values + row * h.headDim;
      block.count = smaller(smaller(ATTENTION_KEYS, past - n + 1), h.window - row);
      for (int64_t r = 0; r < rows; r++) {
        block.from[r] = attentionBound(h.count(t + r) - h.window + 1 - n, block.count);
        block.to[r] = h.continues(t + r) ? static_cast<int>(block.count) : 0;
      }
      visit(block);
    }
  }
  block.ldk = h.ldk;
  block.ldv = h.ldv;
  for (int64_t s = h.first(t); s < t + rows; s += block.count) {
    block.k = h.k + s * h.ldk;
    block.v = h.v + s * h.ldv;
    block.time = s;
    block.count = smaller(ATTENTION_KEYS, t + rows - s);
    for (int64_t r = 0; r < rows; r++) {
      block.from[r] = attentionBound(h.first(t + r) - s, block.count);
      block.to[r] = attentionBound(t + r + 1 - s, block.count);
    }
    visit(block);
  }
}

// Columns of a block of scores that query r sees, W from column j on.
XL_INLINE vi attentionSeen(const AttentionBlock& block, int64_t r, int64_t j) {
  const vi column = laneNumbers() + static_cast<int>(j);
  return (column >= block.from[r]) & (column < block.to[r]);
}

static void attentionForwardBlock(const AttentionForwardArgs& a, int64_t item, int64_t t, float* scratch) {
  const AttentionHead head = attentionHead(a, item);
  const int64_t rows = smaller(ATTENTION_QUERIES, a.length - t), dim = a.headDim;
  const int64_t member = item / a.heads, column = item % a.heads * dim;
  float* scores = scratch;  // [rows, ATTENTION_KEYS]
  float* sums = scores + ATTENTION_QUERIES * ATTENTION_KEYS;
  float* maxima = sums + ATTENTION_QUERIES;
  float* products = maxima + ATTENTION_QUERIES;
  float* h = a.h + (member * a.length + t) * a.ldh + column;
  for (int64_t r = 0; r < rows; r++) {
    sums[r] = 0;
    maxima[r] = -3e38f;
    for (int64_t d = 0; d < dim; d++) h[r * a.ldh + d] = 0;
  }
  attentionBlocks(head, t, rows, [&](const AttentionBlock& block) {
    // Packing the keys for a single query would cost more than the product.
    if (rows == 1)
      dotProducts({1, block.count, dim, head.q + t * a.ldq, a.ldq, false, block.k, block.ldk, true, scores,
                   ATTENTION_KEYS, nullptr, nullptr, 0});
    else
      matmul(rows, block.count, dim, head.q + t * a.ldq, a.ldq, false, block.k, block.ldk, true, scores, ATTENTION_KEYS,
             false, products);
    for (int64_t r = 0; r < rows; r++) {
      float* row = scores + r * ATTENTION_KEYS;
      vf largest = splat(maxima[r]);
      for (int64_t j = 0; j < block.count; j += W)
        largest = max(largest, select(attentionSeen(block, r, j), load(row + j) * a.scale, largest));
      const float maximumNow = maximum(largest);
      vf total = zero();
      for (int64_t j = 0; j < block.count; j += W) {
        const vf x = exp(load(row + j) * a.scale - maximumNow);
        const vf p = select(attentionSeen(block, r, j), x, zero());
        total += p;
        store(row + j, p);
      }
      if (maximumNow != maxima[r]) {
        const float kept = expScalar(maxima[r] - maximumNow);
        sums[r] *= kept;
        for (int64_t d = 0; d < dim; d += W) {
          const int n = static_cast<int>(smaller(W, dim - d));
          storeLanes(h + r * a.ldh + d, loadLanes(h + r * a.ldh + d, n) * kept, n);
        }
        maxima[r] = maximumNow;
      }
      sums[r] += sum(total);
    }
    matmul(rows, dim, block.count, scores, ATTENTION_KEYS, false, block.v, block.ldv, false, h, a.ldh, true, products);
  });
  for (int64_t r = 0; r < rows; r++) {
    const float inverse = 1.0f / sums[r];
    for (int64_t d = 0; d < dim; d++) h[r * a.ldh + d] *= inverse;
    if (a.logSums) a.logSums[item * a.length + t + r] = maxima[r] + logScalar(sums[r]);
  }
}

// Writes the sequence's keys or values into a ring.
static void attentionKeep(const AttentionForwardArgs& a, int64_t item, const float* before, const float* x, int64_t ld,
                          float* last) {
  if (!last) return;
  const int64_t member = item / a.heads, dim = a.headDim, size = a.window * dim;
  last += item * size;
  if (!before) fillOrZero(last, nullptr, size);
  else if (before + item * size != last) fillOrZero(last, before + item * size, size);
  for (int64_t t = 0; t < a.length; t++) {
    const int64_t row = member * a.length + t, slot = (static_cast<int64_t>(a.counts[row]) - 1) % a.window;
    fillOrZero(last + slot * dim, x + row * ld + item % a.heads * dim, dim);
  }
}

void attentionForward(const AttentionForwardArgs& a, const Context& ctx) {
  const int64_t items = a.batch * a.heads, blocks = (a.length + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
  // Later blocks see more keys: each thread takes every so manieth.
  for (int64_t i = ctx.thread; i < items * blocks; i += ctx.threads)
    attentionForwardBlock(a, i / blocks, (blocks - 1 - i % blocks) * ATTENTION_QUERIES, ctx.scratch);
  if (!a.lastKeys && !a.lastValues) return;
  // The new state may lie where the old one is.
  ctx.sync();
  const Range mine = share(ctx, items);
  for (int64_t item = mine.begin; item < mine.end; item++) {
    attentionKeep(a, item, a.keys, a.k, a.ldk, a.lastKeys);
    attentionKeep(a, item, a.values, a.v, a.ldv, a.lastValues);
  }
}

static void attentionBackwardHead(const AttentionBackwardArgs& a, int64_t item, float* scratch) {
  const AttentionHead head = attentionHead(a, item);
  const int64_t dim = a.headDim, row0 = item / a.heads * a.length, column = item % a.heads * dim;
  const float* h = a.h + row0 * a.ldh + column;
  const float* dh = a.dh + row0 * a.lddh + column;
  float* dq = a.dq + row0 * a.lddq + column;
  float* dk = a.dk + row0 * a.lddk + column;
  float* dv = a.dv + row0 * a.lddv + column;
  float* scores = scratch;  // probabilities, then their gradients in the second  [rows, ATTENTION_KEYS]
  float* dscores = scores + ATTENTION_QUERIES * ATTENTION_KEYS;
  float* means = dscores + ATTENTION_QUERIES * ATTENTION_KEYS;
  float* products = means + ATTENTION_QUERIES;
  for (int64_t t = 0; t < a.length; t++) {
    fillOrZero(dq + t * a.lddq, nullptr, dim);
    fillOrZero(dk + t * a.lddk, nullptr, dim);
    fillOrZero(dv + t * a.lddv, nullptr, dim);
  }
  for (int64_t t = 0; t < a.length; t += ATTENTION_QUERIES) {
    const int64_t rows = smaller(ATTENTION_QUERIES, a.length - t);
    const float* q = head.q + t * a.ldq;
    const float* upstream = dh + t * a.lddh;
    for (int64_t r = 0; r < rows; r++) {
      vf total = zero();
      for (int64_t d = 0; d < dim; d += W) {
        const int n = static_cast<int>(smaller(W, dim - d));
        total = fma(loadLanes(h + (t + r) * a.ldh + d, n), loadLanes(upstream + r * a.lddh + d, n), total);
      }
      means[r] = sum(total);
    }
    attentionBlocks(head, t, rows, [&](const AttentionBlock& block) {
      const int64_t keys = block.count;
      matmul(rows, keys, dim, q, a.ldq, false, block.k, block.ldk, true, scores, ATTENTION_KEYS, false, products);
      matmul(rows, keys, dim, upstream, a.lddh, false, block.v, block.ldv, true, dscores, ATTENTION_KEYS, false,
             products);
      for (int64_t r = 0; r < rows; r++) {
        const float logSum = a.logSums[item * a.length + t + r];
        for (int64_t j = 0; j < keys; j += W) {
          float* p = scores + r * ATTENTION_KEYS + j;
          float* d = dscores + r * ATTENTION_KEYS + j;
          const vi seen = attentionSeen(block, r, j);
          const vf probability = select(seen, exp(load(p) * a.scale - logSum), zero());
          store(d, select(seen, probability * (load(d) - means[r]) * a.scale, zero()));
          store(p, probability);
        }
      }
      matmul(rows, dim, keys, dscores, ATTENTION_KEYS, false, block.k, block.ldk, false, dq + t * a.lddq, a.lddq, true,
             products);
      if (block.time < 0) return;
      matmul(keys, dim, rows, dscores, ATTENTION_KEYS, true, q, a.ldq, false, dk + block.time * a.lddk, a.lddk, true,
             products);
      matmul(keys, dim, rows, scores, ATTENTION_KEYS, true, upstream, a.lddh, false, dv + block.time * a.lddv, a.lddv,
             true, products);
    });
  }
}

void attentionBackward(const AttentionBackwardArgs& a, const Context& ctx) {
  const Range items = share(ctx, a.batch * a.heads);
  for (int64_t item = items.begin; item < items.end; item++) attentionBackwardHead(a, item, ctx.scratch);
}

}  // namespace xl
