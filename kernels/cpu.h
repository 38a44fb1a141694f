// Which of the x86 instruction sets that all.cc is compiled for this machine runs. Asked of the processor itself: what
// compilers offer for it (__builtin_cpu_supports) is not set up in a library that zig links.
#pragma once
#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>

namespace xl {

struct X86 {
  bool avx2, avx512;
};

// By the processor (CPUID, leaves 1 and 7) and by the operating system, which has to save the registers (XCR0).
inline X86 x86Features() {
  constexpr unsigned FMA = 1u << 12, OSXSAVE = 1u << 27;                              // leaf 1, ecx
  constexpr unsigned AVX2 = 1u << 5;                                                  // leaf 7, ebx
  constexpr unsigned AVX512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);      // F, DQ, BW, VL
  constexpr uint64_t YMM = 0x6, ZMM = 0xe6;                                           // XCR0
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (FMA | OSXSAVE)) != (FMA | OSXSAVE)) return {};
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {};
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const uint64_t saved = (uint64_t)high << 32 | low;
  const bool avx2 = (b & AVX2) && (saved & YMM) == YMM;
  return {avx2, avx2 && (b & AVX512) == AVX512 && (saved & ZMM) == ZMM};
}

}  // namespace xl
#endif
