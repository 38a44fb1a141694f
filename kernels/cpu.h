// Which of the x86 instruction sets that all.cc is compiled for this machine runs. Asked of the processor itself: what
// compilers offer for it (__builtin_cpu_supports) is not set up in a library that zig links.
#pragma once
#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>

// Whether the compiler knows dot products of bfloat16, for functions that ask for them.
#if defined(__clang__) || __GNUC__ >= 10
#define XL_COMPILES_BF16 1
#else
#define XL_COMPILES_BF16 0
#endif

// Whether it knows the tile registers of AMX. Of systems Linux alone is asked for them (system.h).
#if defined(__linux__) && (defined(__clang__) || __GNUC__ >= 11)
#define XL_COMPILES_AMX 1
#else
#define XL_COMPILES_AMX 0
#endif

namespace xl {

struct X86 {
  bool avx2, avx512;
  bool bf16;  // dot products of bfloat16 in vectors of AVX-512
  bool amx;   // and in tile registers
};

// By the processor (CPUID, leaves 1 and 7) and by the operating system, which has to save the registers (XCR0).
inline X86 x86Features() {
  constexpr unsigned FMA = 1u << 12, OSXSAVE = 1u << 27;                              // leaf 1, ecx
  constexpr unsigned AVX2 = 1u << 5;                                                  // leaf 7, ebx
  constexpr unsigned AVX512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);      // F, DQ, BW, VL
  constexpr unsigned BF16 = 1u << 5;                                                  // leaf 7, part 1, eax
  constexpr unsigned AMX = (1u << 22) | (1u << 24);                                   // leaf 7, edx: BF16, TILE
  constexpr uint64_t YMM = 0x6, ZMM = 0xe6, TILES = 0x60000;                          // XCR0
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (FMA | OSXSAVE)) != (FMA | OSXSAVE)) return {};
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {};
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const uint64_t saved = (uint64_t)high << 32 | low;
  const bool avx2 = (b & AVX2) && (saved & YMM) == YMM;
  const bool avx512 = avx2 && (b & AVX512) == AVX512 && (saved & ZMM) == ZMM;
  const bool tiles = XL_COMPILES_AMX && (d & AMX) == AMX && (saved & TILES) == TILES;
  const bool bf16 = XL_COMPILES_BF16 && avx512 && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & BF16);
  return {avx2, avx512, bf16, bf16 && tiles};
}

}  // namespace xl
#endif
