// The losses: their values, their derivatives, and what counts as right.
#pragma once

#include "program.hpp"

namespace prunelimits {
namespace {

// Up to a chunk of samples on their way through the network.
struct Chunk {
  const Network& network;
  const float* y;
  int blocks;
  int64_t count;  // of samples, without those that fill up the last block
  int64_t batch;  // samples that the loss is the mean of

  // Samples of a block that count.
  int valid(int block) const {
    const int64_t left = count - int64_t(block) * SAMPLES;
    return left < SAMPLES ? int(left) : SAMPLES;
  }
};

// Puts the derivative of the mean loss in the place of the outputs.
void loss_gradient(const Chunk& chunk, Vector* outputs) {
  const int width = chunk.network.outputs(), targets = chunk.network.targets();
  const Loss loss = chunk.network.loss;
  const float scale = 1.0f / float(chunk.batch);
  for (int b = 0; b < chunk.blocks; ++b) {
    Vector* out = outputs + b * Program::block_vectors(width);
    const float* y = chunk.y + b * targets * SAMPLES;
    const int valid = chunk.valid(b);
    if (loss == BINARY_CROSS_ENTROPY) {
      UNROLL for (int s = 0; s < SAMPLES; ++s) out[s] = (sigmoid(out[s]) - y[s]) * scale;
    } else if (loss == MSE) {
      const float factor = 2.0f * scale / float(width);
      for (int i = 0; i < width * SAMPLES; ++i) out[i] = (out[i] - y[i]) * factor;
    } else {
      for (int s = 0; s < SAMPLES; ++s) {
        Vector largest = out[s], sum = zero();
        for (int c = 1; c < width; ++c) largest = maximum(largest, out[c * SAMPLES + s]);
        for (int c = 0; c < width; ++c) {
          Vector& value = out[c * SAMPLES + s];
          value = exponential(value - largest);
          sum += value;
        }
        const Vector inverse = 1.0f / sum;
        for (int c = 0; c < width; ++c) {
          Vector& value = out[c * SAMPLES + s];
          value = (value * inverse - (float(c) == y[s] ? 1.0f : 0.0f)) * scale;
        }
      }
    }
    for (int s = valid; s < SAMPLES; ++s) {
      for (int c = 0; c < width; ++c) out[c * SAMPLES + s] = zero();
    }
  }
}

// All that a last layer of one output has to do for binary cross-entropy, block by block: forward,
// the loss's derivative, the layer's gradients and the way back. Outputs and their derivatives stay
// in registers, which saves a small network about a fifteenth of its time.
void binary_output(const Chunk& chunk, const Step& layer, const Memory& memory) {
  const float scale = 1.0f / float(chunk.batch);
  const Vector* weights = memory.weights + layer.weights;
  Vector* gradients = memory.gradients + layer.weights;
  for (int b = 0; b < chunk.blocks; ++b) {
    Vector* in = memory.activations + layer.in + b * layer.in_block;
    const float* y = chunk.y + b * SAMPLES;
    Vector delta[SAMPLES];
    UNROLL for (int s = 0; s < SAMPLES; ++s) delta[s] = weights[layer.count];
    for (int k = 0; k < layer.count; ++k) {
      UNROLL for (int s = 0; s < SAMPLES; ++s) delta[s] += weights[k] * in[k * SAMPLES + s];
    }
    UNROLL for (int s = 0; s < SAMPLES; ++s) delta[s] = (sigmoid(delta[s]) - y[s]) * scale;
    if (const int valid = chunk.valid(b); valid < SAMPLES) {
      UNROLL for (int s = 0; s < SAMPLES; ++s) delta[s] = s < valid ? delta[s] : zero();
    }
    for (int k = 0; k < layer.count; ++k) {
      Vector sum[2] = {gradients[k], zero()};
      UNROLL for (int s = 0; s < SAMPLES; ++s) {
        Vector& at = in[k * SAMPLES + s];
        const Vector value = load(&at);
        sum[s % 2] += delta[s] * value;
        at = value <= 0.0f ? zero() : weights[k] * delta[s];
      }
      gradients[k] = sum[0] + sum[1];
    }
    Vector sum = gradients[layer.count];
    UNROLL for (int s = 0; s < SAMPLES; ++s) sum += delta[s];
    gradients[layer.count] = sum;
  }
}

// Adds the loss and the right answers of one sample; `out` and `y` are at that sample.
void add_sample(const Network& network, const Vector* out, const float* y, Vector& loss,
                Bits& right) {
  const int width = network.outputs();
  // x - x is zero where x is finite, and NaN elsewhere.
  Vector finite = zero();
  for (int c = 0; c < width; ++c) finite += out[c * SAMPLES] - out[c * SAMPLES];
  Bits hit{};
  if (network.loss == BINARY_CROSS_ENTROPY) {
    const Vector z = *out;
    loss += maximum(zero(), z) - z * *y + log1p(exponential(-maximum(z, -z)));
    hit = *y > 0.5f ? z > 0.0f : z <= 0.0f;
  } else if (network.loss == MSE) {
    for (int c = 0; c < width; ++c) {
      const Vector error = out[c * SAMPLES] - y[c * SAMPLES];
      loss += error * error / float(width);
    }
  } else {
    const int label = int(*y);
    Vector largest = *out, total = zero();
    Bits first{};
    for (int c = 1; c < width; ++c) {
      const Bits larger = out[c * SAMPLES] > largest;
      first = larger ? Bits{} + c : first;
      largest = larger ? out[c * SAMPLES] : largest;
    }
    for (int c = 0; c < width; ++c) total += exponential(out[c * SAMPLES] - largest);
    loss += logarithm(total) - (out[label * SAMPLES] - largest);
    hit = first == label;
  }
  right -= hit & (finite == 0.0f);
}

}  // namespace
}  // namespace prunelimits
