// What one instruction set's compilation of removal_kernel.cpp offers to removal.cpp.
#pragma once

#include <cstdint>

namespace prunelimits {

// Raised with every change of what the functions expect; library.py has the same number.
constexpr int INTERFACE = 1;

// One output: `size` weights with the inverse matrix of their inputs, (size, size), symmetric.
// Written are what the error rises by when each goes in its turn, or of one before it, if that was
// more; NaN from where a pivot is no positive number. Scratch is aligned to a vector.
struct Remover {
  const char* name;
  int64_t (*scratch_bytes)(int64_t size, bool in_double);
  void (*in_single)(const float* weights, const float* inverse, int64_t size, double* losses,
                    void* scratch);
  void (*in_double)(const double* weights, const double* inverse, int64_t size, double* losses,
                    void* scratch);
};

// Null where the compiler's target does not have the instruction set.
extern const Remover remover_avx512, remover_avx2, remover_baseline;

}  // namespace prunelimits
