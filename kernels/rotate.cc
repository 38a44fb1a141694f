// Rotary positions. Angles are formed in double precision: at position 16,384 a float is off by a thousandth.
#include "generated/kernels.h"
#include "recurrent.h"

namespace xl {

// 2^x for x in [-1000, 0].
static double rotateExp2(double x) {
  const int n = static_cast<int>(x - 0.5);
  const double r = (x - n) * 0.69314718055994530942;
  double term = 1, total = 1;
  for (int i = 1; i < 16; i++) total += term *= r / i;
  double power;
  const uint64_t bits = static_cast<uint64_t>(n + 1023) << 52;
  __builtin_memcpy(&power, &bits, sizeof(power));
  return total * power;
}

// cos and sin of an angle from 0 to 2^31: a quarter turn's part by its series.
static void rotateTurn(double angle, double& cosine, double& sine) {
  const int64_t quarter = static_cast<int64_t>(angle * 0.63661977236758134308 + 0.5);
  const double r = angle - quarter * 1.57079632679489655800 - quarter * 6.12323399573676603587e-17;
  double c = 1, s = r, term = 1;
  for (int i = 1; i < 9; i++) {
    term *= -r * r / ((2 * i - 1) * (2 * i));
    c += term;
    s += term * r / (2 * i + 1);
  }
  switch (quarter & 3) {
    case 0: cosine = c, sine = s; break;
    case 1: cosine = -s, sine = c; break;
    case 2: cosine = -c, sine = -s; break;
    default: cosine = s, sine = -c;
  }
}

// Rows that are turned one after another: from a row to the next the angles grow by a step, so cosine and sine follow
// by a product. The runs are the same for every number of threads.
constexpr int64_t ROTATE_RUN = 64;

void rotate(const RotateArgs& a, const Context& ctx) {
  const int64_t half = a.headDim / 2;
  double* cosines = reinterpret_cast<double*>(ctx.scratch);
  double* sines = cosines + half;
  double* stepCosines = sines + half;
  double* stepSines = stepCosines + half;
  float* cosine = reinterpret_cast<float*>(stepSines + half);
  float* sine = cosine + half;
  for (int64_t j = 0; j < half; j++)
    rotateTurn(rotateExp2(-13.287712379549449 * j / half), stepCosines[j], stepSines[j]);

  const Range rows = share(ctx, a.rows, ROTATE_RUN);
  for (int64_t row = rows.begin; row < rows.end; row++) {
    const float position = a.positions[row];
    if (row % ROTATE_RUN == 0 || position != a.positions[row - 1] + 1.0f) {
      for (int64_t j = 0; j < half; j++)
        rotateTurn(rotateExp2(-13.287712379549449 * j / half) * position, cosines[j], sines[j]);
    } else {
      for (int64_t j = 0; j < half; j++) {
        const double c = cosines[j], s = sines[j];
        cosines[j] = c * stepCosines[j] - s * stepSines[j];
        sines[j] = s * stepCosines[j] + c * stepSines[j];
      }
    }
    for (int64_t j = 0; j < half; j++) {
      cosine[j] = static_cast<float>(cosines[j]);
      sine[j] = static_cast<float>(a.direction < 0 ? -sines[j] : sines[j]);
    }
    for (int64_t head = 0; head < a.heads; head++) {
      const float* x = a.x + row * a.ldx + head * a.headDim;
      float* y = a.y + row * a.ldy + head * a.headDim;
      for (int64_t j = 0; j < half; j += W) {
        const int n = static_cast<int>(smaller(W, half - j));
        const vf first = loadLanes(x + j, n), second = loadLanes(x + half + j, n);
        const vf c = loadLanes(cosine + j, n), s = loadLanes(sine + j, n);
        storeLanes(y + j, first * c - second * s, n);
        storeLanes(y + half + j, fma(first, s, second * c), n);
      }
    }
  }
}

}  // namespace xl
