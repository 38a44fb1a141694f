// What the native engine asks of the operating system: threads, waiting, aligned memory.
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <malloc.h>
#else
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace xl::os {

// startThread<body>(&thread, argument) runs body(argument) on a new thread; false where there can be none.
typedef void Body(void*);

// One lock serves every sleep: threads get here only after a spin, and waking is rare.

#if defined(_WIN32)

typedef HANDLE Thread;

template <Body* body> DWORD WINAPI enter(void* argument) {
  body(argument);
  return 0;
}
template <Body* body> bool startThread(Thread* thread, void* argument) {
  *thread = CreateThread(nullptr, 0, enter<body>, argument, 0, nullptr);
  return *thread != nullptr;
}
inline void joinThread(Thread thread) {
  WaitForSingleObject(thread, INFINITE);
  CloseHandle(thread);
}

inline SRWLOCK lock = SRWLOCK_INIT;
inline CONDITION_VARIABLE changed = CONDITION_VARIABLE_INIT;

inline void sleepWhile(const uint32_t* word, uint32_t value) {
  AcquireSRWLockExclusive(&lock);
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) SleepConditionVariableSRW(&changed, &lock, INFINITE, 0);
  ReleaseSRWLockExclusive(&lock);
}
inline void wake(const uint32_t*) {
  AcquireSRWLockExclusive(&lock);
  WakeAllConditionVariable(&changed);
  ReleaseSRWLockExclusive(&lock);
}
inline void yield() { SwitchToThread(); }

inline void* allocateAligned(size_t bytes) { return _aligned_malloc(bytes, 64); }
inline void freeAligned(void* memory) { _aligned_free(memory); }

inline void useLargePages(uintptr_t, size_t) {}

#else

typedef pthread_t Thread;

template <Body* body> void* enter(void* argument) {
  body(argument);
  return nullptr;
}
template <Body* body> bool startThread(Thread* thread, void* argument) {
  return pthread_create(thread, nullptr, enter<body>, argument) == 0;
}
inline void joinThread(Thread thread) { pthread_join(thread, nullptr); }

inline pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
inline pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

inline void sleepWhile(const uint32_t* word, uint32_t value) {
  pthread_mutex_lock(&mutex);
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}
inline void wake(const uint32_t*) {
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}
inline void yield() { sched_yield(); }

inline void* allocateAligned(size_t bytes) {
  void* memory = nullptr;
  return posix_memalign(&memory, 64, bytes) == 0 ? memory : nullptr;
}
inline void freeAligned(void* memory) { free(memory); }

// Where the system has no such request the memory is as good as before.
inline void useLargePages(uintptr_t start, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t LARGE = 2 << 20;
  const uintptr_t first = (start + LARGE - 1) / LARGE * LARGE, end = (start + bytes) / LARGE * LARGE;
  if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#else
  (void)start, (void)bytes;
#endif
}

#endif

#if defined(__linux__) && defined(__x86_64__)
// The tile registers of AMX are large, so Linux gives them to processes that ask: for all threads, once and for all. False where it
// does not.
inline bool allowTiles() {
  constexpr long REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, the state component
  return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#endif

}  // namespace xl::os
