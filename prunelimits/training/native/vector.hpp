// One vector holds one number of LANES networks that train side by side. Everything is written in
// the vector extension of GCC and Clang; the instruction set decides the width.
#pragma once

#include <cstdint>

#include "compiling.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ALWAYS_INLINE __attribute__((always_inline)) inline

namespace prunelimits {
namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16, REGISTERS = 32;
#elif defined(__AVX2__)
constexpr int LANES = 8, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int LANES = 4, REGISTERS = 32;
#else
constexpr int LANES = 4, REGISTERS = 16;
#endif

// Samples that one pass over the weights serves: each weight is loaded once for all of them.
constexpr int SAMPLES = REGISTERS == 32 ? 8 : 4;

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Bits __attribute__((vector_size(LANES * sizeof(int32_t))));

// The larger and the smaller one; b where either is NaN, so that a constant a never hides a NaN.
inline Vector maximum(Vector a, Vector b) {
#if defined(__AVX512F__)
  return (Vector)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Vector)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
  return (Vector)_mm_max_ps((__m128)a, (__m128)b);
#else
  return a > b ? a : b;
#endif
}
inline Vector minimum(Vector a, Vector b) {
#if defined(__AVX512F__)
  return (Vector)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Vector)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
  return (Vector)_mm_min_ps((__m128)a, (__m128)b);
#else
  return a < b ? a : b;
#endif
}

inline Vector zero() { return Vector{}; }

// The vector itself, in a register: the compiler may not fold what made it into what uses it.
inline Vector opaque(Vector value) {
#if defined(__x86_64__)
  asm("" : "+v"(value));
#elif defined(__aarch64__)
  asm("" : "+w"(value));
#endif
  return value;
}

// One vector, or one number for all lanes. Left alone, compilers load it again for every product
// that it is part of, and the loads take longer than the products.
inline Vector load(const Vector* from) { return opaque(*from); }
inline Vector load(const float* from) { return opaque(*from - zero()); }

// 2^y, for |y| up to 125 and clamped beyond; NaN stays NaN. Relative error below 2e-7.
inline Vector power_of_two(Vector y) {
  y = minimum(zero() + 125.0f, maximum(zero() - 125.0f, y));
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  const Vector rounded = y + 12582912.0f;
  const Vector fraction = y - (rounded - 12582912.0f);
  Vector power = fraction * 1.32647e-3f + 9.67151e-3f;
  power = power * fraction + 5.550734e-2f;
  power = power * fraction + 2.4022242e-1f;
  power = power * fraction + 6.9314698e-1f;
  power = power * fraction + 1.0f;
  // A product, not a sum of bits: NaN times anything is NaN.
  return power * (Vector)(((Bits)rounded << 23) + (127 << 23));
}

// e^x, clamped to 2^-125 and 2^125; NaN stays NaN. Relative error below 2e-7 + 1e-7 |x|.
inline Vector exponential(Vector x) { return power_of_two(x * 1.442695041f); }

// 1 / (1 + e^-x). Absolute error below 2e-7.
inline Vector sigmoid(Vector x) { return 1.0f / (1.0f + exponential(-x)); }

// 2 artanh(s) for |s| up to 1/3, by its series. Relative error below 2e-7.
inline Vector twice_artanh(Vector s) {
  const Vector square = s * s;
  Vector sum = square * (1.0f / 15) + 1.0f / 13;
  sum = sum * square + 1.0f / 11;
  sum = sum * square + 1.0f / 9;
  sum = sum * square + 1.0f / 7;
  sum = sum * square + 1.0f / 5;
  sum = sum * square + 1.0f / 3;
  sum = sum * square + 1.0f;
  return sum * (s + s);
}

// log(1 + x) for x in [0, 1]; NaN stays NaN. Relative error below 4e-7.
inline Vector log1p(Vector x) { return twice_artanh(x / (x + 2.0f)); }

// log(x) for x >= 1; NaN stays NaN. Error below 4e-7, relative where |log(x)| > 1.
inline Vector logarithm(Vector x) {
  const Bits bits = (Bits)x;
  const Vector mantissa = (Vector)((bits & 0x7fffff) | 0x3f800000);
  const Vector exponent = __builtin_convertvector((bits >> 23) - 127, Vector);
  const Vector log = exponent * 0.6931471806f + twice_artanh((mantissa - 1.0f) / (mantissa + 1.0f));
  return log + (x - x);  // The bits of NaN look like a number's.
}

}  // namespace
}  // namespace prunelimits
