// The threads of an engine. Between two Programs they wait for the next; the thread that submits one is thread 0.
#pragma once
#include "barrier.h"

namespace xl {

// Floats from one thread's scratch to the next one's. AddressSanitizer is given some between them that are nobody's.
#if defined(__SANITIZE_ADDRESS__)
constexpr int64_t SCRATCH_STRIDE = THREAD_SCRATCH + 1024;
#else
constexpr int64_t SCRATCH_STRIDE = THREAD_SCRATCH;
#endif

typedef void Interpret(const double* words, int64_t count, int thread, int threads, float* scratch, void* meeting,
                       bool mayWait);

struct Pool {
  Interpret* interpret;
  float* scratch;  // [threads, SCRATCH_STRIDE]
  int threads;
  Signal submitted;
  Meeting meeting;
  // The Program to run; no words tell the threads to end. Written only while all threads wait: a Program is over
  // when every thread has reached its last barrier, so none can miss one.
  const double* words;
  int64_t count;

  float* scratchOf(int thread) { return scratch + thread * SCRATCH_STRIDE; }

  void submit(const double* programWords, int64_t programCount) {
    words = programWords;
    count = programCount;
    advance(&submitted);
  }

  // With one thread the others are left asleep.
  void run(const double* programWords, int64_t programCount, int programThreads, bool mayWait) {
    if (programCount == 0) return;
    if (programThreads > 1) submit(programWords, programCount);
    interpret(programWords, programCount, 0, programThreads, scratchOf(0), &meeting, mayWait);
  }

  // What threads 1, 2, … do until the pool is closed.
  void serve(int thread) {
    for (uint32_t seen = 0;; seen++) {
      waitWhile(&submitted, seen, true);
      if (!words || isAbandoned(meeting)) return;
      interpret(words, count, thread, threads, scratchOf(thread), &meeting, true);
    }
  }

  void close() { submit(nullptr, 0); }

  // Sends all threads home, wherever they wait. True for the first call.
  bool abandon() {
    if (__atomic_exchange_n(&meeting.abandoned, 1, __ATOMIC_SEQ_CST) != 0) return false;
    advance(&submitted);
    advance(&meeting.generation);
    return true;
  }
};

}  // namespace xl
