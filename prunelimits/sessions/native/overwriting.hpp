// What one instruction set's compilation of overwriting_kernel.cpp offers to overwriting.cpp.
#pragma once

#include <cstdint>

namespace prunelimits {

// Raised with every change of what the functions expect; library.py has the same number.
constexpr int INTERFACE = 1;

// Puts `number` into the values whose byte of `kept` is 0, and returns the bits in which they were
// another, all together: 0 where nothing had to be written. By how many bytes a value takes.
struct Overwriter {
  const char* name;
  uint64_t (*of_1)(void* values, const uint8_t* kept, int64_t entries, uint64_t number);
  uint64_t (*of_2)(void* values, const uint8_t* kept, int64_t entries, uint64_t number);
  uint64_t (*of_4)(void* values, const uint8_t* kept, int64_t entries, uint64_t number);
  uint64_t (*of_8)(void* values, const uint8_t* kept, int64_t entries, uint64_t number);
};

// Null where the compiler's target does not have the instruction set.
extern const Overwriter overwriter_avx512, overwriter_avx2, overwriter_baseline;

}  // namespace prunelimits
