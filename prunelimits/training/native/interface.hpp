// What crosses the border to Python, by pointer: `library.py` mirrors these structures field by
// field, and asks the library for its layout before it calls anything.
#pragma once

#include <cstdint>

namespace prunelimits {

// Raised with every change here or of what the functions expect.
constexpr int INTERFACE = 4;

// Networks and data: what every call takes. Arrays of parameters are (groups, parameters, lanes),
// of numbers per network (groups, lanes), x is (samples, inputs) and y (samples, targets).
struct Problem {
  const char* kernel;  // the instruction set's name
  const int32_t* widths;
  const float* x;
  const float* y;
  float* parameters;
  int64_t samples;
  int64_t groups;
  int32_t layers;
  int32_t loss;
  int32_t threads;
  int32_t unused;  // to a multiple of eight bytes
};

// `steps` steps of SGD, the first of them the `first` of its epoch, whose order of the samples and
// learning rates are `orders[0]` and `rates[0]`; those of the epochs that follow come next.
struct Training {
  Problem problem;
  int64_t batch_size;
  int64_t first;
  int64_t steps;
  int64_t steps_per_epoch;
  const int64_t* const* orders;  // (epochs), each (samples)
  const float* rates;            // (epochs, groups, lanes)
  const float* momentum;         // (groups, lanes)
  const float* decay;            // (groups, lanes)
  const int32_t* masks;          // like the parameters: -1 is kept, 0 is pruned
  const uint8_t* kept;  // (groups, parameters): whether any network of the group keeps it
  float* velocity;      // like the parameters
};

}  // namespace prunelimits
