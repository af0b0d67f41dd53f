// The engine's C interface: chooses the kernel, lays out the samples and shares the groups of
// networks among threads.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "float_mode.hpp"
#include "kernel.hpp"

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace prunelimits {
namespace {

// The machine's kernels, fastest first.
const std::vector<const Kernel*>& kernels() {
  static const std::vector<const Kernel*> found = [] {
    std::vector<const Kernel*> list;
#if defined(PRUNELIMITS_X86)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
      list.push_back(&kernel_avx512);
    }
    if (avx2) list.push_back(&kernel_avx2);
#endif
    list.push_back(&kernel_baseline);
    return list;
  }();
  return found;
}

const Kernel* find_kernel(const char* name) {
  for (const Kernel* kernel : kernels()) {
    if (std::strcmp(kernel->name, name) == 0) return kernel;
  }
  return nullptr;
}

// Memory for vectors: on a cache line of its own.
class Scratch {
 public:
  explicit Scratch(int64_t bytes)
      : data_(::operator new(size_t(bytes), std::align_val_t(ALIGNMENT))) {}
  ~Scratch() { ::operator delete(data_, std::align_val_t(ALIGNMENT)); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* get() const { return data_; }

 private:
  static constexpr size_t ALIGNMENT = 128;
  void* data_;
};

// Samples in the order of Batch, all batches one after the other.
class Samples {
 public:
  Samples(const Network& network, const Kernel& kernel, const float* x, const float* y,
          int64_t batches, int64_t count)
      : count_(count),
        x_(arrange(x, network.inputs(), kernel.samples, batches, count)),
        y_(arrange(y, network.targets(), kernel.samples, batches, count)) {}

  Batch first() const { return {x_.data(), y_.data(), count_}; }

 private:
  static std::vector<float> arrange(const float* rows, int width, int samples, int64_t batches,
                                    int64_t count) {
    const int64_t blocks = (count + samples - 1) / samples;
    std::vector<float> result(size_t(batches * blocks * width * samples));
    float* to = result.data();
    for (int64_t t = 0; t < batches; ++t, rows += count * width) {
      for (int64_t b = 0; b < blocks; ++b) {
        for (int i = 0; i < width; ++i) {
          for (int s = 0; s < samples; ++s) {
            const int64_t sample = b * samples + s;
            *to++ = rows[(sample < count ? sample : count - 1) * width + i];
          }
        }
      }
    }
    return result;
  }

  int64_t count_;
  std::vector<float> x_, y_;
};

// Calls work(group, scratch) for every group, in as many threads as asked for, this one included.
// Returns false where memory ran out.
template <class Work>
bool share_groups(int64_t groups, int threads, int64_t scratch_bytes, Work work) {
  std::atomic<int64_t> next{0};
  std::atomic<bool> enough{true};
  const auto worker = [&] {
    const FlushToZero mode;
    try {
      const Scratch scratch(scratch_bytes);
      for (int64_t group; (group = next++) < groups;) work(group, scratch.get());
    } catch (const std::bad_alloc&) {
      enough = false;
    }
  };
  std::vector<std::thread> helpers;
  try {
    for (int64_t i = 1; i < threads && i < groups; ++i) helpers.emplace_back(worker);
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are do all the work.
  }
  worker();
  for (std::thread& helper : helpers) helper.join();
  return enough;
}

}  // namespace
}  // namespace prunelimits

using namespace prunelimits;

// Counts the changes of this interface; library.py expects the same number.
EXPORT int prunelimits_interface() { return 1; }

// Names of the machine's instruction sets, fastest first; null past the last.
EXPORT const char* prunelimits_kernel(int index) {
  return index < int(kernels().size()) ? kernels()[index]->name : nullptr;
}

// Networks in a group; 0 where the machine does not have the instruction set.
EXPORT int prunelimits_lanes(const char* kernel_name) {
  const Kernel* kernel = find_kernel(kernel_name);
  return kernel ? kernel->lanes : 0;
}

// Below, arrays of parameters are (groups, parameters, lanes), of numbers per network
// (groups, lanes), x is (samples, inputs) and y (samples, targets). Non-zero: out of memory.

EXPORT int prunelimits_train(const char* kernel_name, int threads, const int* widths, int layers,
                             int loss, int64_t groups, const float* x, const float* y,
                             int64_t steps, int64_t batch_size, const float* rate,
                             const float* momentum, const float* decay, const int32_t* masks,
                             float* parameters, float* velocity) try {
  const Kernel& kernel = *find_kernel(kernel_name);
  const Network network{widths, layers, Loss(loss)};
  const Samples samples(network, kernel, x, y, steps, batch_size);
  const int64_t size = network.parameters() * kernel.lanes;
  const auto work = [&](int64_t group, void* scratch) {
    const int64_t lane = group * kernel.lanes, start = group * size;
    kernel.train(network, samples.first(), steps, rate + lane, momentum + lane, decay + lane,
                 masks + start, parameters + start, velocity + start, scratch);
  };
  return !share_groups(groups, threads, kernel.scratch_bytes(network, batch_size), work);
} catch (const std::bad_alloc&) {
  return 1;
}

EXPORT int prunelimits_gradients(const char* kernel_name, int threads, const int* widths,
                                 int layers, int loss, int64_t groups, const float* x,
                                 const float* y, int64_t count, const float* parameters,
                                 float* gradients) try {
  const Kernel& kernel = *find_kernel(kernel_name);
  const Network network{widths, layers, Loss(loss)};
  const Samples samples(network, kernel, x, y, 1, count);
  const int64_t size = network.parameters() * kernel.lanes;
  const auto work = [&](int64_t group, void* scratch) {
    kernel.gradients(network, samples.first(), parameters + group * size,
                     gradients + group * size, scratch);
  };
  return !share_groups(groups, threads, kernel.scratch_bytes(network, count), work);
} catch (const std::bad_alloc&) {
  return 1;
}

// Sums over the samples: `losses`, and in `right` those with the right class and finite outputs.
EXPORT int prunelimits_evaluate(const char* kernel_name, int threads, const int* widths,
                                int layers, int loss, int64_t groups, const float* x,
                                const float* y, int64_t count, const float* parameters,
                                double* losses, int64_t* right) try {
  const Kernel& kernel = *find_kernel(kernel_name);
  const Network network{widths, layers, Loss(loss)};
  const Samples samples(network, kernel, x, y, 1, count);
  const int64_t size = network.parameters() * kernel.lanes;
  const auto work = [&](int64_t group, void* scratch) {
    const int64_t lane = group * kernel.lanes;
    kernel.evaluate(network, samples.first(), parameters + group * size, losses + lane,
                    right + lane, scratch);
  };
  return !share_groups(groups, threads, kernel.scratch_bytes(network, count), work);
} catch (const std::bad_alloc&) {
  return 1;
}

// Multiply-adds a second of `threads` threads that do nothing else: the peak to measure against.
EXPORT double prunelimits_peak(const char* kernel_name, int threads, int64_t rounds) {
  const Kernel& kernel = *find_kernel(kernel_name);
  std::atomic<int64_t> total{0};
  const auto start = std::chrono::steady_clock::now();
  share_groups(threads, threads, 1, [&](int64_t, void*) { total += kernel.multiply_adds(rounds); });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return double(total) / seconds.count();
}
