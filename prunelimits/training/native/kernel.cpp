// Training, gradients and evaluation of one group of networks. Compiled once for each instruction
// set, so that nothing here may be shared between object files: no templates of the standard
// library, all names but the kernel itself in an anonymous namespace.
#include "kernel.hpp"

#include "losses.hpp"

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

// A group's work: its program, and memory for the activations of a chunk.
class Worker {
 public:
  static int64_t scratch_bytes(const Network& network, int64_t count) {
    const int64_t activations = chunk_blocks(network, count) * Program::activation_vectors(network);
    const int64_t vectors = network.parameters() + SUMS + activations;
    return vectors * int64_t(sizeof(Vector)) +
           Program::most_steps(network) * int64_t(sizeof(Step));
  }

  Worker(const Network& network, int64_t count, void* scratch, const Kept* kept = nullptr)
      : network_(network),
        chunk_blocks_(chunk_blocks(network, count)),
        gradients_((Vector*)scratch),
        sums_(gradients_ + network.parameters()),
        activations_(sums_ + SUMS),
        program_(network, kept,
                 (Step*)(activations_ + chunk_blocks_ * Program::activation_vectors(network)),
                 chunk_blocks_) {}

  // Memory for the gradients by all parameters.
  Vector* gradients() const { return gradients_; }

  // Calls `work(chunk, memory)` for every chunk of the batch.
  template <class Work>
  void for_chunks(Batch batch, const float* weights, Vector* gradients, Work work) const {
    const int64_t blocks = blocks_of(batch.count);
    for (int64_t b = 0; b < blocks; b += chunk_blocks_) {
      const int64_t left = blocks - b;
      const Chunk chunk{network_, batch.y + b * network_.targets() * SAMPLES,
                        int(left < chunk_blocks_ ? left : chunk_blocks_),
                        batch.count - b * SAMPLES, batch.count};
      const Memory memory{batch.x + b * network_.inputs() * SAMPLES, (const Vector*)weights,
                          gradients, activations_, sums_};
      work(chunk, memory);
    }
  }

  void add_gradients(Batch batch, const float* weights, Vector* gradients) const;

  // Runs a chunk forward; returns the outputs.
  const Vector* forward(const Chunk& chunk, const Memory& memory) const {
    program_.forward(memory, chunk.blocks);
    return program_.outputs(memory);
  }

 private:
  static constexpr int64_t SUMS = WIDE_ROWS * SAMPLES;

  const Network& network_;
  int chunk_blocks_;
  Vector* gradients_;
  Vector* sums_;
  Vector* activations_;
  Program program_;
};

void Worker::add_gradients(Batch batch, const float* weights, Vector* gradients) const {
  for_chunks(batch, weights, gradients, [&](const Chunk& chunk, const Memory& memory) {
    if (network_.loss == BINARY_CROSS_ENTROPY && network_.layers > 1) {
      program_.forward_hidden(memory, chunk.blocks);
      binary_output(chunk, program_.output_step(), memory);
      program_.backward_hidden(memory, chunk.blocks);
    } else {
      program_.forward(memory, chunk.blocks);
      loss_gradient(chunk, program_.outputs(memory));
      program_.backward(memory, chunk.blocks);
    }
  });
}

void gradients(const Network& network, Batch batch, const float* parameters, float* result,
               void* scratch) {
  Vector* out = (Vector*)result;
  for (int64_t i = 0; i < network.parameters(); ++i) out[i] = zero();
  Worker(network, batch.count, scratch).add_gradients(batch, parameters, out);
}

void train(const Network& network, Batch batch, int64_t steps, const float* rate,
           const float* momentum, const float* decay, const int32_t* masks, const Kept& kept,
           float* parameters, float* velocity, void* scratch) {
  const Worker worker(network, batch.count, scratch, &kept);
  const int64_t blocks = blocks_of(batch.count);
  const Vector lr = *(const Vector*)rate, inertia = *(const Vector*)momentum;
  const Vector shrink = *(const Vector*)decay;
  const Bits* mask = (const Bits*)masks;
  Vector* weights = (Vector*)parameters;
  Vector* speed = (Vector*)velocity;
  Vector* gradients = worker.gradients();
  for (int64_t i = 0; i < network.parameters(); ++i) gradients[i] = zero();
  for (int64_t t = 0; t < steps; ++t) {
    worker.add_gradients(batch, parameters, gradients);
    for (int64_t n = 0; n < kept.count; ++n) {
      const int64_t i = kept.parameters[n];
      const Vector next = inertia * speed[i] + (gradients[i] + shrink * weights[i]);
      speed[i] = (Vector)((Bits)next & mask[i]);
      weights[i] -= lr * speed[i];
      gradients[i] = zero();
    }
    batch.x += blocks * SAMPLES * network.inputs();
    batch.y += blocks * SAMPLES * network.targets();
  }
}

void evaluate(const Network& network, Batch batch, const float* parameters, double* loss,
              int64_t* right, void* scratch) {
  for (int i = 0; i < LANES; ++i) loss[i] = right[i] = 0;
  const Worker worker(network, batch.count, scratch);
  worker.for_chunks(batch, parameters, nullptr, [&](const Chunk& chunk, const Memory& memory) {
    const Vector* outputs = worker.forward(chunk, memory);
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
  });
}

int64_t multiply_adds(int64_t rounds) {
  constexpr int SUMS = 12;
  Vector sum[SUMS];
  const Vector factor = opaque(zero() + 0.5f), term = opaque(zero() + 1.0f);
  UNROLL for (int i = 0; i < SUMS; ++i) sum[i] = zero() + float(i);
  for (int64_t n = 0; n < rounds; ++n) {
    UNROLL for (int i = 0; i < SUMS; ++i) sum[i] = sum[i] * factor + term;
  }
  Vector total = zero();
  UNROLL for (int i = 0; i < SUMS; ++i) total += sum[i];
  // All sums tend to 2: the test depends on every one of them and never fails.
  return total[0] >= 0.0f ? rounds * SUMS * LANES : 0;
}

}  // namespace

#define KERNEL(name) JOIN(kernel_, name)

extern const Kernel KERNEL(PRUNELIMITS_KERNEL);
const Kernel KERNEL(PRUNELIMITS_KERNEL) = {
    NAME(PRUNELIMITS_KERNEL), LANES, SAMPLES, Worker::scratch_bytes, train, gradients, evaluate,
    multiply_adds,
};

}  // namespace prunelimits
