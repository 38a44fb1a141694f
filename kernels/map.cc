// The map kernel: a register program over elements, run block by block so that registers stay in the first cache.
//
// A block is a dense run of elements of the [rows, cols] matrix: a segment of one row, or, where rows are short,
// several whole rows. Operands that lie dense in memory are used in place; the others (repeated rows and elements,
// views with gaps) pass through a block buffer.
#include "generated/kernels.h"
#include "map.h"

namespace xl {

struct MapOperand {
  float* data;
  int64_t rowStride, columnStride;
  float* buffer;  // null: the block is used in place
};

struct MapStep {
  Scalar function;
  int destination, a, b, c;
  uint32_t salt;
  float constant;
};

struct MapPlan {
  int64_t rows, cols;
  int64_t rowsPerBlock;  // > 1: a block is that many whole rows
  int64_t segments, segmentSize;
  int64_t capacity;
  int inputs, outputs, steps;
  MapOperand* operands;  // inputs, then outputs
  float** registers;
  MapStep* code;
};

static void runMapStep(const MapStep& s, float* const* registers, int64_t n, uint32_t index) {
  float* y = registers[s.destination];
  const float* a = registers[s.a];
  const float* b = registers[s.b];
  const float* c = registers[s.c];
  switch (s.function) {
    case Scalar::copy: return copyBlock(y, a, n);
    case Scalar::add: return mapBinary(y, a, b, n, [](vf p, vf q) { return p + q; });
    case Scalar::subtract: return mapBinary(y, a, b, n, [](vf p, vf q) { return p - q; });
    case Scalar::multiply: return mapBinary(y, a, b, n, [](vf p, vf q) { return p * q; });
    case Scalar::divide: return mapBinary(y, a, b, n, [](vf p, vf q) { return p / q; });
    // max and min pass a NaN of their second argument.
    case Scalar::maximum:
      return mapBinary(y, a, b, n, [](vf p, vf q) { return select(p != p, p, max(p, q)); });
    case Scalar::minimum:
      return mapBinary(y, a, b, n, [](vf p, vf q) { return select(p != p, p, min(p, q)); });
    case Scalar::greater:
      return mapBinary(y, a, b, n, [](vf p, vf q) { return select(p > q, splat(1.0f), zero()); });
    case Scalar::select:
      return mapTernary(y, a, b, c, n, [](vf p, vf q, vf r) { return select(p != 0.0f, q, r); });
    case Scalar::multiplyAdd: return mapTernary(y, a, b, c, n, [](vf p, vf q, vf r) { return fma(p, q, r); });
    case Scalar::negate: return mapUnary(y, a, n, [](vf p) { return -p; });
    case Scalar::absolute: return mapUnary(y, a, n, [](vf p) { return abs(p); });
    case Scalar::sign:
      return mapUnary(y, a, n, [](vf p) {
        return select(p > 0.0f, splat(1.0f), select(p < 0.0f, splat(-1.0f), p));
      });
    case Scalar::square: return mapUnary(y, a, n, [](vf p) { return p * p; });
    case Scalar::squareRoot: return mapUnary(y, a, n, [](vf p) { return sqrt(p); });
    case Scalar::reciprocal: return mapUnary(y, a, n, [](vf p) { return 1.0f / p; });
    case Scalar::exp: return mapUnary(y, a, n, [](vf p) { return exp(p); });
    case Scalar::log: return mapUnary(y, a, n, [](vf p) { return log(p); });
    case Scalar::tanh: return mapUnary(y, a, n, [](vf p) { return tanh(p); });
    case Scalar::sigmoid: return mapUnary(y, a, n, [](vf p) { return sigmoid(p); });
    case Scalar::logSigmoid: return mapUnary(y, a, n, [](vf p) { return logSigmoid(p); });
    case Scalar::erf: return mapUnary(y, a, n, [](vf p) { return erf(p); });
    case Scalar::constant: return fillBlock(y, s.constant, n);
    case Scalar::uniform: {
      const uint32_t salt = s.salt;
      return mapUnary(y, a, n, [&index, salt](vf p) {
        const vf u = uniform((vu)__builtin_convertvector(p, vi), salt, index);
        index += W;
        return u;
      });
    }
  }
}

static bool denseMap(const MapOperand& o, int64_t cols) { return o.columnStride == 1 && o.rowStride == cols; }
static bool repeatedMap(const MapOperand& o) { return o.columnStride == 0 && o.rowStride == 0; }

// A matrix of dense and constant operands is one long row. Strides that a single row or column leaves open are
// chosen so that the operand counts as dense or constant.
static void collapseMap(MapPlan& plan) {
  const int count = plan.inputs + plan.outputs;
  bool collapses = true;
  for (int i = 0; i < count; i++) {
    MapOperand& o = plan.operands[i];
    if (plan.cols == 1) o.columnStride = o.rowStride != 0;
    if (plan.rows == 1) o.rowStride = o.columnStride ? plan.cols : 0;
    collapses = collapses && (denseMap(o, plan.cols) || repeatedMap(o));
  }
  if (!collapses) return;
  plan.cols *= plan.rows;
  plan.rows = 1;
  for (int i = 0; i < count; i++)
    if (plan.operands[i].columnStride) plan.operands[i].rowStride = plan.cols;
}

// Registers of one block should fit half of a first-level cache of 32 KiB.
static void cutMap(MapPlan& plan, int64_t registers) {
  int64_t block = 1024;
  while (block > 128 && block * registers > 4096) block /= 2;
  if (plan.rows > 1 && plan.cols <= block / 2) {
    plan.rowsPerBlock = block / plan.cols;
    if (plan.rowsPerBlock > plan.rows) plan.rowsPerBlock = plan.rows;
    plan.segments = 1;
    plan.segmentSize = plan.cols;
  } else {
    plan.rowsPerBlock = 1;
    plan.segments = (plan.cols + block - 1) / block;
    plan.segmentSize = ((plan.cols + plan.segments - 1) / plan.segments + W - 1) / W * W;
    plan.segments = (plan.cols + plan.segmentSize - 1) / plan.segmentSize;
    if (plan.segments == 1) plan.segmentSize = plan.cols;
  }
  plan.capacity = plan.rowsPerBlock * plan.segmentSize;
}

static MapPlan planMap(const MapArgs& args, float* scratch) {
  MapPlan plan;
  plan.rows = args.rows;
  plan.cols = args.cols;
  plan.inputs = (int)args.inputs;
  plan.outputs = (int)args.outputs;
  plan.steps = 0;
  const int operands = plan.inputs + plan.outputs;
  const int registers = operands + (int)args.temporaries;
  char* memory = reinterpret_cast<char*>(scratch);
  const auto take = [&memory](int64_t bytes) {
    char* start = memory;
    memory += (bytes + 63) / 64 * 64;
    return start;
  };
  plan.operands = reinterpret_cast<MapOperand*>(take(operands * (int64_t)sizeof(MapOperand)));
  plan.registers = reinterpret_cast<float**>(take(registers * (int64_t)sizeof(float*)));
  plan.code = reinterpret_cast<MapStep*>(take(args.steps * (int64_t)sizeof(MapStep)));

  const double* word = args.tail;
  for (int i = 0; i < plan.inputs; i++, word += 3)
    plan.operands[i] = {address<float>(word[0]), (int64_t)word[1], (int64_t)word[2], nullptr};
  for (int i = 0; i < plan.outputs; i++, word += 2)
    plan.operands[plan.inputs + i] = {address<float>(word[0]), (int64_t)word[1], 1, nullptr};
  collapseMap(plan);
  cutMap(plan, registers);

  const auto buffer = [&] { return reinterpret_cast<float*>(take((plan.capacity + W) * (int64_t)sizeof(float))); };
  for (int i = 0; i < operands; i++) {
    MapOperand& o = plan.operands[i];
    const bool inPlace = plan.rowsPerBlock > 1 ? denseMap(o, plan.cols) : o.columnStride == 1;
    o.buffer = inPlace ? nullptr : buffer();
    plan.registers[i] = o.buffer;
    if (repeatedMap(o)) fillBlock(o.buffer, *o.data, plan.capacity);
    if (o.buffer && o.columnStride == 1 && o.rowStride == 0)
      for (int64_t r = 0; r < plan.rowsPerBlock; r++) copyBlock(o.buffer + r * plan.cols, o.data, plan.cols);
  }
  for (int i = operands; i < registers; i++) plan.registers[i] = buffer();

  // A temporary that is only ever one constant is filled here, not in every block.
  const auto writes = [&](int destination) {
    int count = 0;
    for (int64_t s = 0; s < args.steps; s++) count += (int)word[s * STEP_WORDS + 1] == destination;
    return count;
  };
  for (int64_t s = 0; s < args.steps; s++) {
    const double* w = word + s * STEP_WORDS;
    const Scalar function = (Scalar)(int)w[0];
    const int destination = (int)w[1];
    if (function == Scalar::constant) {
      if (destination >= operands && writes(destination) == 1)
        fillBlock(plan.registers[destination], (float)w[2], plan.capacity);
      else
        plan.code[plan.steps++] = {function, destination, 0, 0, 0, 0, (float)w[2]};
    } else if (function == Scalar::uniform) {
      plan.code[plan.steps++] = {function, destination, (int)w[2], 0, 0, (uint32_t)(int64_t)w[3], 0};
    } else {
      plan.code[plan.steps++] = {function, destination, (int)w[2], (int)w[3], (int)w[4], 0, 0};
    }
  }
  return plan;
}

// In whole vectors, into what the next row overwrites or the slack after the buffer.
static void fillRow(float* y, float value, int64_t n) {
  for (int64_t i = 0; i < n; i += W) store(y + i, splat(value));
}

// Points the registers of the inputs and outputs at the block of `rows` rows from `row`, columns from `col`.
// newRow: the block before this one was not of the same row.
static void enterMapBlock(const MapPlan& plan, int64_t row, int64_t rows, int64_t col, int64_t cols, bool newRow) {
  const int count = plan.inputs + plan.outputs;
  for (int i = 0; i < count; i++) {
    const MapOperand& o = plan.operands[i];
    if (!o.buffer) {
      plan.registers[i] = o.data + row * o.rowStride + col;
    } else if (o.rowStride != 0 && i < plan.inputs) {
      for (int64_t r = 0; r < rows; r++) {
        const float* x = o.data + (row + r) * o.rowStride;
        if (o.columnStride) copyBlock(o.buffer + r * cols, x, cols);
        else if (newRow) fillRow(o.buffer + r * cols, *x, cols);
      }
    }
  }
}

struct MapBlock {
  int64_t row, rows, col, cols;
};
static MapBlock mapBlock(const MapPlan& plan, int64_t block) {
  const int64_t row = block / plan.segments * plan.rowsPerBlock, col = block % plan.segments * plan.segmentSize;
  return {row, plan.rows - row < plan.rowsPerBlock ? plan.rows - row : plan.rowsPerBlock,
          col, plan.cols - col < plan.segmentSize ? plan.cols - col : plan.segmentSize};
}

// The inputs of the next block, asked for a few lines at a time between the steps of this one.
struct MapAhead {
  const MapPlan& plan;
  MapBlock block;
  int operand = 0;
  int64_t run = 0, fetched = 0;

  void fetch(int64_t lines) {
    for (; operand < plan.inputs; operand++, run = 0) {
      const MapOperand& o = plan.operands[operand];
      if (o.columnStride != 1 || o.rowStride == 0) continue;
      for (; run < block.rows; run++, fetched = 0) {
        const float* from = o.data + (block.row + run) * o.rowStride + block.col;
        for (; fetched < block.cols; fetched += 16) {
          if (lines-- == 0) return;
          __builtin_prefetch(from + fetched);
        }
      }
    }
  }
};

// How many lines to ask for with each step. Up to two inputs the processor foresees by itself, and better (measured).
static int64_t mapLinesAhead(const MapPlan& plan) {
  int streams = 0;
  for (int i = 0; i < plan.inputs; i++) streams += plan.operands[i].columnStride == 1 && plan.operands[i].rowStride != 0;
  if (streams < 3 || plan.steps == 0) return 0;
  return (streams * (plan.capacity + 15) / 16 + plan.steps - 1) / plan.steps;
}

static void leaveMapBlock(const MapPlan& plan, int64_t row, int64_t rows) {
  for (int i = plan.inputs; i < plan.inputs + plan.outputs; i++) {
    const MapOperand& o = plan.operands[i];
    if (!o.buffer) continue;
    for (int64_t r = 0; r < rows; r++)
      copyBlock(o.data + (row + r) * o.rowStride, o.buffer + r * plan.cols, plan.cols);
  }
}

void map(const MapArgs& args, const Context& ctx) {
  const MapPlan plan = planMap(args, ctx.scratch);
  const int64_t lines = mapLinesAhead(plan);
  const int64_t bands = (plan.rows + plan.rowsPerBlock - 1) / plan.rowsPerBlock;
  const Range blocks = share(ctx, bands * plan.segments);
  for (int64_t block = blocks.begin; block < blocks.end; block++) {
    const auto [row, rows, col, cols] = mapBlock(plan, block);
    enterMapBlock(plan, row, rows, col, cols, col == 0 || block == blocks.begin);
    const uint32_t index = (uint32_t)(row * plan.cols + col);
    MapAhead ahead{plan, mapBlock(plan, block + 1 < blocks.end ? block + 1 : block)};
    for (int s = 0; s < plan.steps; s++) {
      ahead.fetch(lines);
      runMapStep(plan.code[s], plan.registers, rows * cols, index);
    }
    leaveMapBlock(plan, row, rows);
  }
}

}  // namespace xl
