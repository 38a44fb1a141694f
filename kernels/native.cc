// The native engine's C interface, its threads, and the choice between the instruction sets that all.cc was
// compiled for. Numbers cross the interface as doubles: addresses are exact in them.
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "generated/kernels.h"
#include "pool.h"

#if defined(_WIN32)
#define XL_EXPORT extern "C" __declspec(dllexport)
#else
#define XL_EXPORT extern "C" __attribute__((visibility("default")))
#endif

#define XL_DECLARE(isa)                                                                              \
  namespace isa {                                                                                    \
  void interpret(const double*, int64_t, int thread, int threads, float*, void* meeting, bool mayWait); \
  }

// Best first. scripts/native.js compiles all.cc once for each of these.
#if defined(__x86_64__)
XL_DECLARE(xl_avx512)
XL_DECLARE(xl_avx2)
XL_DECLARE(xl_sse2)
#elif defined(__aarch64__)
XL_DECLARE(xl_neon)
#else
XL_DECLARE(xl_generic)
#endif

namespace {

struct Isa {
  const char* name;
  bool (*supported)();  // by the processor and the operating system
  xl::Interpret* interpret;
};

const Isa isas[] = {
#if defined(__x86_64__)
    {"avx512",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
     },
     xl_avx512::interpret},
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, xl_avx2::interpret},
    {"sse2", [] { return true; }, xl_sse2::interpret},
#elif defined(__aarch64__)
    {"neon", [] { return true; }, xl_neon::interpret},
#else
    {"generic", [] { return true; }, xl_generic::interpret},
#endif
};

// One lock serves every sleep: threads get here only after a spin, and waking is rare.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

struct Engine {
  xl::Pool pool;
  pthread_t handles[];  // [threads]; handle 0 is unused
};

struct Start {
  Engine* engine;
  int thread;
};

void* serve(void* argument) {
  const Start start = *static_cast<Start*>(argument);
  free(argument);
  start.engine->pool.serve(start.thread);
  return nullptr;
}

void destroy(Engine* engine) {
  engine->pool.close();
  for (int i = 1; i < engine->pool.threads; i++) pthread_join(engine->handles[i], nullptr);
  free(engine->pool.scratch);
  free(engine);
}

template <class T> T* pointer(double address) { return reinterpret_cast<T*>(static_cast<uintptr_t>(address)); }

void* allocateAligned(size_t bytes) {
  void* memory = nullptr;
  return posix_memalign(&memory, 64, bytes) == 0 ? memory : nullptr;
}

}  // namespace

extern "C" {
void xlSleepWhile(const uint32_t* word, uint32_t value) {
  pthread_mutex_lock(&mutex);
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}
void xlWake(const uint32_t*) {
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}
void xlYield() { sched_yield(); }
}

// Which kernel table the library was built from.
XL_EXPORT double xlSignature() { return xl::KERNEL_TABLE; }

// The name of the i-th instruction set that this machine can run, best first; null past the last.
XL_EXPORT const char* xlIsa(int i) {
  for (const Isa& isa : isas)
    if (isa.supported() && i-- == 0) return isa.name;
  return nullptr;
}

XL_EXPORT double xlAddress(const void* memory) { return static_cast<double>(reinterpret_cast<uintptr_t>(memory)); }

// Asks for large pages for the part of a fresh allocation that they can cover: with small ones a training step spends
// much of its time looking up addresses. Where the system has no such request the memory is as good as before.
XL_EXPORT void xlUseLargePages(double memory, double bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t LARGE = 2 << 20;
  const uintptr_t start = reinterpret_cast<uintptr_t>(pointer<void>(memory));
  const uintptr_t first = (start + LARGE - 1) / LARGE * LARGE;
  const uintptr_t end = (start + static_cast<uintptr_t>(bytes)) / LARGE * LARGE;
  if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

// An engine's handle, or 0 where memory or threads cannot be had.
XL_EXPORT double xlOpen(const char* isaName, int threads) {
  const Isa* isa = nullptr;
  for (const Isa& candidate : isas)
    if (strcmp(candidate.name, isaName) == 0 && candidate.supported()) isa = &candidate;
  if (!isa) return 0;
  const size_t bytes = sizeof(Engine) + sizeof(pthread_t) * static_cast<size_t>(threads);
  Engine* engine = static_cast<Engine*>(allocateAligned(bytes));
  if (!engine) return 0;
  memset(static_cast<void*>(engine), 0, bytes);
  engine->pool.interpret = isa->interpret;
  engine->pool.scratch = static_cast<float*>(
      allocateAligned(sizeof(float) * static_cast<size_t>(xl::THREAD_SCRATCH) * static_cast<size_t>(threads)));
  xlUseLargePages(xlAddress(engine->pool.scratch),
                  sizeof(float) * static_cast<double>(xl::THREAD_SCRATCH) * static_cast<double>(threads));
  engine->pool.threads = 1;
  bool complete = engine->pool.scratch != nullptr;
  for (int i = 1; complete && i < threads; i++) {
    Start* start = static_cast<Start*>(malloc(sizeof(Start)));
    complete = start != nullptr;
    if (!complete) break;
    *start = {engine, i};
    complete = pthread_create(&engine->handles[i], nullptr, serve, start) == 0;
    if (complete) engine->pool.threads = i + 1;
    else free(start);
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
