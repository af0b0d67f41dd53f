// The inner loops: tiles of matrix products whose sums stay in registers.
//
// Activations of a layer are (blocks, units, SAMPLES) vectors; the inputs are floats in the same
// order, one for all lanes.
#pragma once

#include "vector.hpp"

namespace prunelimits {
namespace {

enum class Finish {
  linear,  // add the bias
  relu,    // add the bias, then max(0, sum)
  gate,    // zero where the ReLU whose output `out` holds was closed
  partial, // not yet: the tile goes on with other inputs
};

// Tiles as large as the registers allow: their sums, a unit's weights or deltas, one more operand.
constexpr int PRODUCT_ROWS = 3;
constexpr int GRADIENT_COLUMNS = REGISTERS == 32 ? 7 : 4;
constexpr int gradient_rows(int columns) { return (REGISTERS - 1) / (columns + 2); }

// What becomes of a unit's sum; `out` is what stands in its place.
template <Finish FINISH>
ALWAYS_INLINE Vector finished(Vector sum, Vector bias, const Vector& out) {
  if constexpr (FINISH == Finish::linear) return sum + bias;
  if constexpr (FINISH == Finish::relu) return maximum(zero(), sum + bias);
  if constexpr (FINISH == Finish::gate) return out <= 0.0f ? zero() : sum;
  return sum;
}

// ROWS units for one block of samples: sums over k < count of weights[r * row + k * column] *
// in[k], and where FINISH wants it the bias, which is what the row holds next. RESUME goes on from
// `before`. A count that the compiler knows, COUNT, leaves it no loop; 0 stands for any.
template <int ROWS, int COUNT, Finish FINISH, bool RESUME, class In>
ALWAYS_INLINE void product_tile(const Vector* weights, int64_t row, int64_t column, const In* in,
                                int count, const Vector* before, Vector* out) {
  Vector sum[ROWS][SAMPLES];
  const auto add = [&](int k, bool first) __attribute__((always_inline)) {
    Vector weight[ROWS];
    UNROLL for (int r = 0; r < ROWS; ++r) weight[r] = weights[r * row + k * column];
    UNROLL for (int s = 0; s < SAMPLES; ++s) {
      const Vector value = load(in + k * SAMPLES + s);
      UNROLL for (int r = 0; r < ROWS; ++r) {
        sum[r][s] = first ? weight[r] * value : sum[r][s] + weight[r] * value;
      }
    }
  };
  // The bias comes last: a plain product at first, unlike a fused one, leaves Zen 5 the register
  // ports it needs to store another tile's results at the same time.
  if constexpr (RESUME) {
    UNROLL for (int r = 0; r < ROWS; ++r) {
      UNROLL for (int s = 0; s < SAMPLES; ++s) sum[r][s] = before[r * SAMPLES + s];
    }
  }
  add(0, !RESUME);
  if constexpr (COUNT > 0) {
    UNROLL for (int k = 1; k < COUNT; ++k) add(k, false);
  } else {
    for (int k = 1; k < count; ++k) add(k, false);
  }
  UNROLL for (int r = 0; r < ROWS; ++r) {
    Vector bias = zero();
    if constexpr (FINISH == Finish::linear || FINISH == Finish::relu) {
      bias = weights[r * row + count * column];
    }
    UNROLL for (int s = 0; s < SAMPLES; ++s) {
      Vector& to = out[r * SAMPLES + s];
      to = finished<FINISH>(sum[r][s], bias, to);
    }
  }
}

// Adds to the gradients of ROWS x COLUMNS weights the products of delta and input over all samples,
// and with BIAS the deltas alone to the gradients of the biases. Few sums would wait for one
// another: with PARTS of 2 the two halves of the samples get sums of their own.
template <int ROWS, int COLUMNS, bool BIAS, int PARTS, class In>
ALWAYS_INLINE void gradient_tile(const Vector* delta, int64_t delta_block, const In* in,
                                 int64_t in_block, int blocks, Vector* weights, Vector* bias,
                                 int64_t row) {
  Vector sum[ROWS][COLUMNS][PARTS] = {}, bias_sum[ROWS][PARTS] = {};
  for (int b = 0; b < blocks; ++b) {
    for (int s = 0; s < SAMPLES; s += PARTS) {
      UNROLL for (int p = 0; p < PARTS; ++p) {
        Vector step[ROWS];
        UNROLL for (int r = 0; r < ROWS; ++r) step[r] = load(delta + r * SAMPLES + s + p);
        if constexpr (BIAS) {
          UNROLL for (int r = 0; r < ROWS; ++r) bias_sum[r][p] += step[r];
        }
        UNROLL for (int c = 0; c < COLUMNS; ++c) {
          const Vector value = load(in + c * SAMPLES + s + p);
          UNROLL for (int r = 0; r < ROWS; ++r) sum[r][c][p] += step[r] * value;
        }
      }
    }
    delta += delta_block;
    in += in_block;
  }
  UNROLL for (int r = 0; r < ROWS; ++r) {
    UNROLL for (int p = 0; p < PARTS; ++p) {
      UNROLL for (int c = 0; c < COLUMNS; ++c) weights[r * row + c] += sum[r][c][p];
      if constexpr (BIAS) bias[r * row] += bias_sum[r][p];
    }
  }
}

// The same as product_tile to the last bit for one unit whose weights are zero but for the `count`
// that `columns` names.
template <Finish FINISH, bool RESUME, class In>
ALWAYS_INLINE void sparse_product(const Vector* weights, int64_t column, const Vector& bias,
                                  const In* in, const int32_t* columns, int count,
                                  const Vector* before, Vector* out) {
  Vector sum[SAMPLES];
  UNROLL for (int s = 0; s < SAMPLES; ++s) sum[s] = RESUME ? before[s] : zero();
  for (int n = 0; n < count; ++n) {
    const Vector weight = weights[columns[n] * column];
    const In* from = in + columns[n] * SAMPLES;
    UNROLL for (int s = 0; s < SAMPLES; ++s) sum[s] += weight * load(from + s);
  }
  UNROLL for (int s = 0; s < SAMPLES; ++s) out[s] = finished<FINISH>(sum[s], bias, out[s]);
}

// The same as gradient_tile with one part, for one unit and the COUNT inputs that `columns` names.
template <int COUNT, class In>
ALWAYS_INLINE void sparse_gradient(const Vector* delta, int64_t delta_block, const In* in,
                                   int64_t in_block, int blocks, const int32_t* columns,
                                   Vector* weights) {
  Vector sum[COUNT] = {};
  for (int b = 0; b < blocks; ++b) {
    UNROLL for (int s = 0; s < SAMPLES; ++s) {
      const Vector step = load(delta + s);
      UNROLL for (int n = 0; n < COUNT; ++n) sum[n] += step * load(in + columns[n] * SAMPLES + s);
    }
    delta += delta_block;
    in += in_block;
  }
  UNROLL for (int n = 0; n < COUNT; ++n) weights[columns[n]] += sum[n];
}

}  // namespace
}  // namespace prunelimits
