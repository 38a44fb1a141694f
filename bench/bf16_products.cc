// Whether bfloat16 products pay on this processor: 8 rows times a matrix that is read from cache or memory, 16 sums in
// registers, with vdpbf16ps (two products a lane) beside float32 multiply-adds, on one core.
//   g++ -O3 -march=sapphirerapids bench/bf16_products.cc -o /tmp/bf16_products && /tmp/bf16_products
#include <immintrin.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

constexpr int ROWS = 8, VECTORS = 2;
constexpr long STEPS = 512, COLUMNS = VECTORS * 16;

struct Float {
  static constexpr long PER_WORD = 1;
  static __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }
};
struct Bf16 {
  static constexpr long PER_WORD = 2;
  static __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
};

// The fastest of three.
template <class F> static double seconds(F work) {
  double least = 1e9;
  for (int i = 0; i < 3; i++) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (s < least) least = s;
  }
  return least;
}

// The matrix is panels of STEPS x COLUMNS, each used once a pass.
template <class T> static double streamed(const float* matrix, long panels, const float* rows) {
  const long words = STEPS / T::PER_WORD, turns = (1L << 20) / panels / 32;
  const double s = seconds([&] {
    for (long t = 0; t < turns; t++)
      for (long panel = 0; panel < panels; panel++) {
        __m512 sum[ROWS][VECTORS];
        for (auto& row : sum)
          for (__m512& x : row) x = _mm512_setzero_ps();
        const float* b = matrix + panel * words * COLUMNS;
        for (long k = 0; k < words; k++) {
          const __m512 b0 = _mm512_loadu_ps(b + k * COLUMNS), b1 = _mm512_loadu_ps(b + k * COLUMNS + 16);
#pragma GCC unroll 8
          for (int r = 0; r < ROWS; r++) {
            const __m512 a = _mm512_set1_ps(rows[r * STEPS + k]);
            sum[r][0] = T::add(sum[r][0], a, b0);
            sum[r][1] = T::add(sum[r][1], a, b1);
          }
        }
        for (auto& row : sum)
          for (__m512& x : row) asm volatile("" ::"v"(x));
      }
  });
  return turns * panels * STEPS * COLUMNS * ROWS * 2 / s / 1e9;
}

int main() {
  std::printf("one core, GFLOP/s             float32    bf16\n");
  static float rows[ROWS * STEPS];
  for (float& x : rows) x = 1.0f / static_cast<float>(1 + std::rand() % 9);
  for (const long bytes : {1L << 18, 1L << 20, 1L << 22, 1L << 25, 1L << 28}) {
    float* matrix = static_cast<float*>(std::aligned_alloc(64, bytes));
    std::memset(matrix, 0, bytes);
    const long panels = bytes / (STEPS * COLUMNS * 4);
    std::printf("matrix of %6ld kB float32 %8.1f %7.1f\n", bytes >> 10, streamed<Float>(matrix, panels, rows),
                streamed<Bf16>(matrix, panels, rows));
    std::free(matrix);
  }
}
