// How threads wait for each other: spin while the wait is likely short, then give the core away, then sleep, so that
// a machine with more threads than free cores is slow but never stuck behind a spinning thread.
#pragma once
#include <stdint.h>

#include "context.h"

#if !defined(__wasm__)
// The operating system's part, in native.cc.
extern "C" {
void xlSleepWhile(const uint32_t* word, uint32_t value);
void xlWake(const uint32_t* word);
void xlYield();
}
#endif

namespace xl {

// A number that some threads wait to see change.
struct alignas(64) Signal {
  uint32_t value;
  uint32_t sleepers;
};

#if defined(__wasm__)
// An iteration is a load and a compare of 1 ns or less; there is no pause and no yield. To be woken takes longer than most waits:
// after half a second of idleness a forecast of 70 ms took 105 with 5,000 and 100 with 30,000. Two threads that share one core lose a
// fifth by it.
constexpr int SPINS = 100000, YIELDS = 0;
inline void pause() {}
inline void yield() {}
// A function of its own, with nothing live after the wait: the baseline compiler of Node 20's V8 loses locals across
// this instruction.
__attribute__((noinline)) inline void sleepWhile(const uint32_t* word, uint32_t value) {
  __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int*>(const_cast<uint32_t*>(word)), static_cast<int>(value), -1);
}
inline void wake(const uint32_t* word) {
  __builtin_wasm_memory_atomic_notify(reinterpret_cast<int*>(const_cast<uint32_t*>(word)), 0xffffffffu);
}
#else
// A pause takes 10 to 40 ns, a yield on a free core about 300. Two threads may share a core while another is busy
// with something else: then the spin is lost time and the yield lets the awaited thread run.
constexpr int SPINS = 200, YIELDS = 300;
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}
inline void yield() { xlYield(); }
inline void sleepWhile(const uint32_t* word, uint32_t value) { xlSleepWhile(word, value); }
inline void wake(const uint32_t* word) { xlWake(word); }
#endif

// Returns when the signal is not `value` any more. mayWait is false where sleeping is forbidden: the main thread of
// a browser.
inline void waitWhile(Signal* signal, uint32_t value, bool mayWait) {
  const auto changed = [&] { return __atomic_load_n(&signal->value, __ATOMIC_ACQUIRE) != value; };
  for (int spin = 0; spin < SPINS || !mayWait; spin += mayWait) {
    if (changed()) return;
    pause();
  }
  for (int turn = 0; turn < YIELDS; turn++) {
    if (changed()) return;
    yield();
  }
  // Whoever changes the value looks at `sleepers` afterwards; whoever sleeps counts itself first and the sleep
  // compares the value again. In one total order no wake-up can be lost.
  __atomic_fetch_add(&signal->sleepers, 1, __ATOMIC_SEQ_CST);
  while (!changed()) sleepWhile(&signal->value, value);
  __atomic_fetch_sub(&signal->sleepers, 1, __ATOMIC_SEQ_CST);
}

inline void advance(Signal* signal) {
  __atomic_fetch_add(&signal->value, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&signal->sleepers, __ATOMIC_SEQ_CST) != 0) wake(&signal->value);
}

// Where the threads of a Program meet.
struct Meeting {
  Signal generation;
  uint32_t arrived;
  // A thread has ended in the middle of a Program: nobody can wait for it.
  uint32_t abandoned;
};

// One thread's view of a meeting.
struct Barrier {
  Meeting* meeting;
  bool mayWait;
};

inline bool isAbandoned(const Meeting& m) { return __atomic_load_n(&m.abandoned, __ATOMIC_SEQ_CST) != 0; }

// Ends the Program on this thread too. A trap of native code would end the process, so nothing goes on after one there.
inline void leaveIfAbandoned(const Meeting& m) {
#if defined(__wasm__)
  if (isAbandoned(m)) __builtin_trap();
#else
  (void)m;
#endif
}

inline void waitAt(Barrier* barrier, int threads) {
  Meeting& m = *barrier->meeting;
  const uint32_t generation = __atomic_load_n(&m.generation.value, __ATOMIC_SEQ_CST);
  if (__atomic_add_fetch(&m.arrived, 1, __ATOMIC_ACQ_REL) == static_cast<uint32_t>(threads)) {
    // The last to arrive opens the gate; the count is back at 0 before anybody can arrive again.
    __atomic_store_n(&m.arrived, 0, __ATOMIC_RELAXED);
    advance(&m.generation);
  } else {
    // Abandoning sets the flag before it moves the generation on: whoever misses the one sees the other.
    leaveIfAbandoned(m);
    waitWhile(&m.generation, generation, barrier->mayWait);
    leaveIfAbandoned(m);
  }
}

}  // namespace xl
