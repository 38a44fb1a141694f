// The WebAssembly module's exports. The module imports one memory; JavaScript lays out everything above
// `__heap_base` in it and gives every worker a stack of its own.
#include "all.cc"
#include "pool.h"

#define XL_EXPORT(name) extern "C" __attribute__((export_name(#name)))

static xl::Pool pool;

// Which kernel table the module was built from.
XL_EXPORT(signature) double signature() { return xl::KERNEL_TABLE; }

XL_EXPORT(threadScratchBytes) int threadScratchBytes() { return xl::THREAD_SCRATCH * sizeof(float); }

// Before any worker serves.
XL_EXPORT(open) void open(float* scratch, int threads) {
  pool.interpret = xl::interpret;
  pool.scratch = scratch;
  pool.threads = threads;
}

XL_EXPORT(run) void run(const double* words, double count, int threads, int mayWait) {
  pool.run(words, static_cast<int64_t>(count), threads, mayWait != 0);
}

XL_EXPORT(serve) void serve(int thread) { pool.serve(thread); }

XL_EXPORT(close) void close() { pool.close(); }

// After a trap in any thread: the others leave too, and nothing can run any more. 1 for the first call.
XL_EXPORT(abandon) int abandon() { return pool.abandon(); }

// The calls that the compiler makes of itself; with bulk memory each is one instruction.
extern "C" {
void* memset(void* to, int value, size_t bytes) { return __builtin_memset(to, value, bytes); }
void* memcpy(void* to, const void* from, size_t bytes) { return __builtin_memcpy(to, from, bytes); }
void* memmove(void* to, const void* from, size_t bytes) { return __builtin_memmove(to, from, bytes); }
}
