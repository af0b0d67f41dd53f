// Training, gradients and evaluation of one group of networks. Compiled once for each instruction
// set, so that nothing here may be shared between object files: no templates of the standard
// library, all names but the kernel itself in an anonymous namespace.
#include "kernel.hpp"

#include "program.hpp"

#ifndef PRUNELIMITS_KERNEL
#error "PRUNELIMITS_KERNEL names the kernel: avx512, avx2 or baseline"
#endif

namespace prunelimits {
namespace {

// A chunk of samples goes through all layers while its activations stay near: the larger it is, the
// less its steps cost beside their arithmetic, up to about the size of the first cache.
constexpr int64_t CHUNK_BYTES = 56 << 10;

int64_t blocks_of(int64_t count) { return (count + SAMPLES - 1) / SAMPLES; }

// Blocks in a chunk: chunks of a batch are about equally large.
int chunk_blocks(const Network& network, int64_t count) {
  const int64_t block = Program::activation_vectors(network) * int64_t(sizeof(Vector));
  // A wide network's weights come from a farther cache, once for each chunk.
  const int64_t least = Program::is_wide(network) ? 4 : 1;
  const int64_t fit = CHUNK_BYTES < least * block ? least : CHUNK_BYTES / block;
  const int64_t blocks = blocks_of(count), chunks = (blocks + fit - 1) / fit;
  return int((blocks + chunks - 1) / chunks);
}

// Up to a chunk of samples on their way through the network.
struct Chunk {
  const Network& network;
  const float* y;
  int blocks;
  int64_t count;  // of samples, without those that fill up the last block

  // Samples of a block that count.
  int valid(int block) const {
    const int64_t left = count - int64_t(block) * SAMPLES;
    return left < SAMPLES ? int(left) : SAMPLES;
  }
};

// A group's work: its program, and memory for the activations of a chunk.
class Worker {
 public:
  static int64_t scratch_bytes(const Network& network, int64_t count) {
    const int64_t activations = chunk_blocks(network, count) * Program::activation_vectors(network);
    const int64_t vectors = network.parameters() + SUMS + activations;
    return vectors * int64_t(sizeof(Vector)) +
           Program::most_steps(network) * int64_t(sizeof(Step));
  }

  Worker(const Network& network, int64_t count, void* scratch)
      : network_(network),
        chunk_blocks_(chunk_blocks(network, count)),
        gradients_((Vector*)scratch),
        sums_(gradients_ + network.parameters()),
        activations_(sums_ + SUMS),
        program_(network,
                 (Step*)(activations_ + chunk_blocks_ * Program::activation_vectors(network)),
                 chunk_blocks_) {}

  // Memory for the gradients by all parameters.
  Vector* gradients() const { return gradients_; }

  // Runs the batch forward and calls `work(chunk, outputs, memory)` for every chunk.
  template <class Work>
  void forward(Batch batch, const float* weights, Vector* gradients, Work work) const {
    const int64_t blocks = blocks_of(batch.count);
    for (int64_t b = 0; b < blocks; b += chunk_blocks_) {
      const int64_t left = blocks - b;
      const Chunk chunk{network_, batch.y + b * network_.targets() * SAMPLES,
                        int(left < chunk_blocks_ ? left : chunk_blocks_),
                        batch.count - b * SAMPLES};
      const Memory memory{batch.x + b * network_.inputs() * SAMPLES, (const Vector*)weights,
                          gradients, activations_, sums_};
      program_.forward(memory, chunk.blocks);
      work(chunk, program_.outputs(memory), memory);
    }
  }

  void add_gradients(Batch batch, const float* weights, Vector* gradients) const;

 private:
  static constexpr int64_t SUMS = WIDE_ROWS * SAMPLES;

  const Network& network_;
  int chunk_blocks_;
  Vector* gradients_;
  Vector* sums_;
  Vector* activations_;
  Program program_;
};

// Puts the derivative of the mean loss over `batch` samples in the place of the outputs.
void loss_gradient(const Chunk& chunk, int64_t batch, Vector* outputs) {
  const int width = chunk.network.outputs(), targets = chunk.network.targets();
  const Loss loss = chunk.network.loss;
  const float scale = 1.0f / float(batch);
  for (int b = 0; b < chunk.blocks; ++b) {
    Vector* out = outputs + b * Program::block_vectors(width);
    const float* y = chunk.y + b * targets * SAMPLES;
    const int valid = chunk.valid(b);
    if (loss == BINARY_CROSS_ENTROPY) {
      UNROLL(8) for (int s = 0; s < SAMPLES; ++s) out[s] = (sigmoid(out[s]) - y[s]) * scale;
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

void Worker::add_gradients(Batch batch, const float* weights, Vector* gradients) const {
  forward(batch, weights, gradients, [&](const Chunk& chunk, Vector* outputs, const Memory& memory) {
    loss_gradient(chunk, batch.count, outputs);
    program_.backward(memory, chunk.blocks);
  });
}

void gradients(const Network& network, Batch batch, const float* parameters, float* result,
               void* scratch) {
  Vector* out = (Vector*)result;
  for (int64_t i = 0; i < network.parameters(); ++i) out[i] = zero();
  Worker(network, batch.count, scratch).add_gradients(batch, parameters, out);
}

void train(const Network& network, Batch batch, int64_t steps, const float* rate,
           const float* momentum, const float* decay, const int32_t* masks, float* parameters,
           float* velocity, void* scratch) {
  const Worker worker(network, batch.count, scratch);
  const int64_t size = network.parameters(), blocks = blocks_of(batch.count);
  const Vector lr = *(const Vector*)rate, inertia = *(const Vector*)momentum;
  const Vector shrink = *(const Vector*)decay;
  const Bits* kept = (const Bits*)masks;
  Vector* weights = (Vector*)parameters;
  Vector* speed = (Vector*)velocity;
  Vector* gradients = worker.gradients();
  for (int64_t i = 0; i < size; ++i) gradients[i] = zero();
  for (int64_t t = 0; t < steps; ++t) {
    worker.add_gradients(batch, parameters, gradients);
    for (int64_t i = 0; i < size; ++i) {
      const Vector next = inertia * speed[i] + (gradients[i] + shrink * weights[i]);
      speed[i] = (Vector)((Bits)next & kept[i]);
      weights[i] -= lr * speed[i];
      gradients[i] = zero();
    }
    batch.x += blocks * SAMPLES * network.inputs();
    batch.y += blocks * SAMPLES * network.targets();
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

void evaluate(const Network& network, Batch batch, const float* parameters, double* loss,
              int64_t* right, void* scratch) {
  for (int i = 0; i < LANES; ++i) loss[i] = right[i] = 0;
  const Worker worker(network, batch.count, scratch);
  const auto measure = [&](const Chunk& chunk, const Vector* outputs, const Memory&) {
    for (int b = 0; b < chunk.blocks; ++b) {
      const Vector* out = outputs + b * Program::block_vectors(network.outputs());
      const float* y = chunk.y + b * network.targets() * SAMPLES;
      Vector sum = zero();
      Bits correct{};
      for (int s = 0; s < chunk.valid(b); ++s) add_sample(network, out + s, y + s, sum, correct);
      for (int i = 0; i < LANES; ++i) {
        loss[i] += double(sum[i]);
        right[i] += correct[i];
      }
    }
  };
  worker.forward(batch, parameters, nullptr, measure);
}

int64_t multiply_adds(int64_t rounds) {
  constexpr int SUMS = REGISTERS - 4;
  Vector sum[SUMS], factor = zero() + 0.5f, term = zero() + 1.0f;
  UNROLL(32) for (int i = 0; i < SUMS; ++i) sum[i] = zero() + float(i);
  for (int64_t n = 0; n < rounds; ++n) {
    UNROLL(32) for (int i = 0; i < SUMS; ++i) sum[i] = sum[i] * factor + term;
  }
  Vector total = zero();
  UNROLL(32) for (int i = 0; i < SUMS; ++i) total += sum[i];
  // All sums tend to 2: the test depends on every one of them and never fails.
  return total[0] >= 0.0f ? rounds * SUMS * LANES : 0;
}

}  // namespace

#define JOIN(a, b) a##b
#define KERNEL(name) JOIN(kernel_, name)
#define TEXT(name) #name
#define NAME(name) TEXT(name)

extern const Kernel KERNEL(PRUNELIMITS_KERNEL);
const Kernel KERNEL(PRUNELIMITS_KERNEL) = {
    NAME(PRUNELIMITS_KERNEL), LANES, SAMPLES, Worker::scratch_bytes, train, gradients, evaluate,
    multiply_adds,
};

}  // namespace prunelimits
