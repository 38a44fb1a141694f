// The native engine's C interface, its threads, and the choice between the instruction sets that all.cc was
// compiled for. Numbers cross the interface as doubles: addresses are exact in them.
#include <string.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "cpu.h"
#include "generated/kernels.h"
#include "pool.h"
#include "system.h"

#if defined(_WIN32)
#define XL_EXPORT extern "C" __declspec(dllexport)
#else
#define XL_EXPORT extern "C" __attribute__((visibility("default")))
#endif

#define XL_DECLARE(isa)                                                                              \
  namespace isa {                                                                                    \
  void interpret(const double*, int64_t, int thread, int threads, float*, void* meeting, bool mayWait); \
  void interpretTiles(const double*, int64_t, int thread, int threads, float*, void* meeting, bool mayWait); \
  }

// scripts/native.js compiles all.cc once for each of these and says which.
#if defined(XL_WITH_AVX512)
XL_DECLARE(xl_avx512)
#endif
#if defined(XL_WITH_AVX2)
XL_DECLARE(xl_avx2)
#endif
#if defined(XL_WITH_SSE2)
XL_DECLARE(xl_sse2)
#endif
#if defined(XL_WITH_NEON)
XL_DECLARE(xl_neon)
#endif
#if defined(XL_WITH_GENERIC)
XL_DECLARE(xl_generic)
#endif

namespace {

struct Isa {
  const char* name;
  bool (*supported)();  // by the processor and the operating system
  xl::Interpret* interpret;
};

// Best first.
const Isa isas[] = {
#if defined(XL_WITH_AVX512)
#if XL_COMPILES_AMX
    {"amx", [] { return xl::x86Features().amx && xl::os::allowTiles(); }, xl_avx512::interpretTiles},
#endif
    {"avx512", [] { return xl::x86Features().avx512; }, xl_avx512::interpret},
#endif
#if defined(XL_WITH_AVX2)
    {"avx2", [] { return xl::x86Features().avx2; }, xl_avx2::interpret},
#endif
#if defined(XL_WITH_SSE2)
    {"sse2", [] { return true; }, xl_sse2::interpret},
#endif
#if defined(XL_WITH_NEON)
    {"neon", [] { return true; }, xl_neon::interpret},
#endif
#if defined(XL_WITH_GENERIC)
    {"generic", [] { return true; }, xl_generic::interpret},
#endif
};

struct Engine;

struct Worker {
  Engine* engine;
  int number;
  xl::os::Thread thread;
};

struct Engine {
  xl::Pool pool;
  Worker workers[];  // [threads]; the first is unused
};

void serve(void* argument) {
  const Worker* worker = static_cast<Worker*>(argument);
  worker->engine->pool.serve(worker->number);
}

void destroy(Engine* engine) {
  engine->pool.close();
  for (int i = 1; i < engine->pool.threads; i++) xl::os::joinThread(engine->workers[i].thread);
  xl::os::freeAligned(engine->pool.scratch);
  xl::os::freeAligned(engine);
}

template <class T> T* pointer(double address) { return reinterpret_cast<T*>(static_cast<uintptr_t>(address)); }

}  // namespace

extern "C" {
void xlSleepWhile(const uint32_t* word, uint32_t value) { xl::os::sleepWhile(word, value); }
void xlWake(const uint32_t* word) { xl::os::wake(word); }
void xlYield() { xl::os::yield(); }
}

// Which kernel table the library was built from.
XL_EXPORT double xlSignature() { return xl::KERNEL_TABLE; }

// The name of the i-th instruction set that this machine can run, best first; null past the last.
XL_EXPORT const char* xlIsa(int i) {
  for (const Isa& isa : isas)
    if (isa.supported() && i-- == 0) return isa.name;
  return nullptr;
}

// Whether the instruction set of that name has dot products of bfloat16 on this machine.
XL_EXPORT int xlHasBf16(const char* isaName) {
#if defined(XL_WITH_AVX512)
  return strcmp(isaName, "amx") == 0 || (strcmp(isaName, "avx512") == 0 && xl::x86Features().bf16);
#else
  (void)isaName;
  return 0;
#endif
}

XL_EXPORT double xlAddress(const void* memory) { return static_cast<double>(reinterpret_cast<uintptr_t>(memory)); }

// Whether wrong accesses or races are reported.
XL_EXPORT int xlSanitized() { return XL_PLAIN_ACCESS; }

// Nothing may touch these bytes: AddressSanitizer reports a kernel that does. Freeing the memory lifts it.
XL_EXPORT void xlGuard(double memory, double bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(pointer<void>(memory), static_cast<size_t>(bytes));
#else
  (void)memory, (void)bytes;
#endif
}

// Asks for large pages for the part of a fresh allocation that they can cover: with small ones a training step spends
// much of its time looking up addresses.
XL_EXPORT void xlUseLargePages(double memory, double bytes) {
  xl::os::useLargePages(static_cast<uintptr_t>(memory), static_cast<size_t>(bytes));
}

// An engine's handle, or 0 where memory or threads cannot be had.
XL_EXPORT double xlOpen(const char* isaName, int threads) {
  const Isa* isa = nullptr;
  for (const Isa& candidate : isas)
    if (strcmp(candidate.name, isaName) == 0 && candidate.supported()) isa = &candidate;
  if (!isa) return 0;
  const size_t bytes = sizeof(Engine) + sizeof(Worker) * static_cast<size_t>(threads);
  Engine* engine = static_cast<Engine*>(xl::os::allocateAligned(bytes));
  if (!engine) return 0;
  memset(static_cast<void*>(engine), 0, bytes);
  engine->pool.interpret = isa->interpret;
  const size_t stride = sizeof(float) * static_cast<size_t>(xl::SCRATCH_STRIDE);
  engine->pool.scratch = static_cast<float*>(xl::os::allocateAligned(stride * static_cast<size_t>(threads)));
  if (engine->pool.scratch) {
    const double start = xlAddress(engine->pool.scratch), bytes = static_cast<double>(stride) * threads;
    xlUseLargePages(start, bytes);
    constexpr double USED = sizeof(float) * static_cast<double>(xl::THREAD_SCRATCH);
    for (int i = 0; i < threads; i++) xlGuard(xlAddress(engine->pool.scratchOf(i)) + USED, stride - USED);
  }
  engine->pool.threads = 1;
  bool complete = engine->pool.scratch != nullptr;
  for (int i = 1; complete && i < threads; i++) {
    Worker* worker = &engine->workers[i];
    worker->engine = engine;
    worker->number = i;
    complete = xl::os::startThread<serve>(&worker->thread, worker);
    if (complete) engine->pool.threads = i + 1;
  }
  if (!complete) {
    destroy(engine);
    return 0;
  }
  return xlAddress(engine);
}

XL_EXPORT void xlRun(double engine, double words, double count, int threads) {
  pointer<Engine>(engine)->pool.run(pointer<const double>(words), static_cast<int64_t>(count), threads, true);
}

// Not while a Program runs.
XL_EXPORT void xlClose(double engine) { destroy(pointer<Engine>(engine)); }
