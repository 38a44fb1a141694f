// Runs a Program: a list of instructions [opcode, word count, operands]. Every thread runs the same list.
#include "barrier.h"
#include "generated/kernels.h"

namespace xl {

static void run(const double* words, int64_t count, const Context& ctx) {
  // Past the last meeting the words may be gone: whoever waited for the Program can free them.
  for (const double* end = words + count; words < end;) {
    const double* instruction = words;
    words += static_cast<int64_t>(instruction[1]);
    dispatch(static_cast<int>(instruction[0]), instruction + 2, ctx);
    ctx.sync();
  }
}

void interpret(const double* words, int64_t count, int thread, int threads, float* scratch, void* meeting,
               bool mayWait) {
  Barrier barrier{static_cast<Meeting*>(meeting), mayWait};
  run(words, count, {thread, threads, scratch, &barrier, false});
}

#if XL_HAS_TILES
void interpretTiles(const double* words, int64_t count, int thread, int threads, float* scratch, void* meeting,
                    bool mayWait) {
  Barrier barrier{static_cast<Meeting*>(meeting), mayWait};
  run(words, count, {thread, threads, scratch, &barrier, true});
}
#endif

}  // namespace xl
