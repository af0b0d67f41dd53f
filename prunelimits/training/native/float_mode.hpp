// Flush-to-zero for one thread. Weight decay on weights that get no gradient makes denormal
// numbers, which cost a hundred cycles each; for training they are zero.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace prunelimits {

// Reads and writes denormal numbers as zero in this thread until the end of its scope, when the
// thread's own mode returns.
class FlushToZero {
 public:
#if defined(__x86_64__)
  FlushToZero() : saved_(_mm_getcsr()) { _mm_setcsr(unsigned(saved_) | 0x8040); }  // FTZ and DAZ
  ~FlushToZero() { _mm_setcsr(unsigned(saved_)); }
#elif defined(__aarch64__)
  FlushToZero() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | (uint64_t(1) << 24)));  // FZ
  }
  ~FlushToZero() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#endif
  FlushToZero(const FlushToZero&) = delete;
  FlushToZero& operator=(const FlushToZero&) = delete;

 private:
#if defined(__x86_64__) || defined(__aarch64__)
  uint64_t saved_ = 0;
#endif
};

}  // namespace prunelimits
