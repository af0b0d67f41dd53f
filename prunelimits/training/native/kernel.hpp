// What one instruction set's compilation of kernel.cpp offers to the rest of the engine.
#pragma once

#include <cstdint>

namespace prunelimits {

enum Loss : int { BINARY_CROSS_ENTROPY = 0, CROSS_ENTROPY = 1, MSE = 2 };

struct Network {
  const int* widths;  // inputs, hidden units, outputs
  int layers;
  Loss loss;

  int inputs() const { return widths[0]; }
  int outputs() const { return widths[layers]; }
  // Numbers of y that a sample has; a label is one, as a float.
  int targets() const { return loss == MSE ? outputs() : 1; }
  // Rows of layer l have widths[l] weights and then the bias; rows follow one another.
  int64_t parameters() const {
    int64_t sum = 0;
    for (int l = 0; l < layers; ++l) sum += int64_t(widths[l] + 1) * widths[l + 1];
    return sum;
  }
};

// Which weights of a layer any network of a group keeps, for the layer's rows or for those of its
// transpose. The columns of row r within panel p, which is PANEL of them wide, are
// columns[starts[p * rows + r]] up to columns[starts[p * rows + r + 1]], ascending.
struct Pattern {
  const int32_t* starts;  // null: all, and a layer that is worked on as a dense one
  const int32_t* columns;
};
constexpr int PANEL = 64;
// Smaller layers are computed as dense ones whatever they keep: skipping zeros would cost more.
constexpr int64_t LEAST_SPARSE = 1024;

// What the networks of a group keep, all of them together.
struct Kept {
  const int32_t* parameters;  // ascending
  int64_t count;
  const Pattern* rows;     // of each layer
  const Pattern* columns;  // of each layer's transpose
};

// Samples in blocks of the kernel's `samples`, x as (blocks, inputs, samples) and y as
// (blocks, targets, samples). What fills up the last block repeats a sample and counts nothing.
struct Batch {
  const float* x;
  const float* y;
  int64_t count;
};

// Functions on one group of networks, a lane each. Parameters, velocity, masks and gradients are
// (parameters, lanes), everything per network is (lanes); all are aligned to a vector. `scratch`
// has the size that `scratch_bytes` says for the largest batch.
struct Kernel {
  const char* name;
  int lanes;
  int samples;

  int64_t (*scratch_bytes)(const Network&, int64_t count);

  // One step of SGD for each batch, which follow one another: v = momentum v + g + decay p,
  // zero outside the mask (-1 is kept, 0 is pruned); p = p - rate v. What no network keeps is zero
  // and stays so.
  void (*train)(const Network&, Batch first, int64_t steps, const float* rate,
                const float* momentum, const float* decay, const int32_t* masks, const Kept&,
                float* parameters, float* velocity, void* scratch);

  // Gradients of the mean loss by all parameters.
  void (*gradients)(const Network&, Batch, const float* parameters, float* gradients,
                    void* scratch);

  // Sums over the samples: the loss, and how many are right and have finite outputs.
  void (*evaluate)(const Network&, Batch, const float* parameters, double* loss, int64_t* right,
                   void* scratch);

  // Runs independent multiply-adds and nothing else; returns how many, lanes counted.
  int64_t (*multiply_adds)(int64_t rounds);
};

// Null where the compiler's target does not have the instruction set.
extern const Kernel kernel_avx512, kernel_avx2, kernel_baseline;

}  // namespace prunelimits
