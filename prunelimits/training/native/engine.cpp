// The engine's C interface: chooses the kernel, lays out the samples and divides the groups of
// networks among threads.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "compiling.hpp"
#include "containers.hpp"
#include "float_mode.hpp"
#include "instruction_sets.hpp"
#include "interface.hpp"
#include "keeper.hpp"
#include "kernel.hpp"

namespace prunelimits {
namespace {

// Threads take so many multiply-adds of a group at a time: about a millisecond.
constexpr int64_t PART_MULTIPLY_ADDS = 50'000'000;

constexpr int64_t NONE = -1;

// The machine's kernels, fastest first.
const List<const Kernel*>& kernels() {
  static const List<const Kernel*> found = [] {
    List<const Kernel*> list;
#if defined(PRUNELIMITS_X86)
    const InstructionSet best = instruction_set();
    if (best >= InstructionSet::AVX512) list.push_back(&kernel_avx512);
    if (best >= InstructionSet::AVX2) list.push_back(&kernel_avx2);
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

// Room for batches of equally many samples, each in the order of Batch.
class Samples {
 public:
  Samples(const Network& network, const Kernel& kernel, int64_t batches, int64_t count)
      : inputs_(network.inputs()),
        targets_(network.targets()),
        block_(kernel.samples),
        count_(count),
        padded_((count + block_ - 1) / block_ * block_),
        x_(batches * padded_ * inputs_ * int64_t(sizeof(float))),
        y_(batches * padded_ * targets_ * int64_t(sizeof(float))) {}

  // Batch t becomes the samples that `order` names; those at the front where it is null.
  void fill(int64_t t, const float* x, const float* y, const int64_t* order) {
    arrange(x, inputs_, order, this->x(t));
    arrange(y, targets_, order, this->y(t));
  }

  Batch batch(int64_t t) const { return {x(t), y(t), count_}; }

 private:
  float* x(int64_t t) const { return (float*)x_.get() + t * padded_ * inputs_; }
  float* y(int64_t t) const { return (float*)y_.get() + t * padded_ * targets_; }

  void arrange(const float* rows, int width, const int64_t* order, float* to) const {
    for (int64_t first = 0; first < padded_; first += block_) {
      for (int i = 0; i < width; ++i) {
        for (int64_t s = first; s < first + block_; ++s) {
          const int64_t sample = s < count_ ? s : count_ - 1;
          *to++ = rows[(order ? order[sample] : sample) * width + i];
        }
      }
    }
  }

  int inputs_, targets_;
  int64_t block_, count_, padded_;
  Scratch x_, y_;
};

// Calls work(item, part, scratch) for every part of every item, in as many threads as asked for,
// this one included. An item's parts run one after the other; items are served round-robin, so that
// no thread is left with a long tail. Returns false where memory ran out.
template <class Work>
bool run_in_threads(int64_t items, int64_t parts, int threads, int64_t scratch_bytes, Work work) {
  Queue<int64_t> waiting;
  for (int64_t item = 0; item < items; ++item) waiting.push_back(item);
  List<int64_t> done(items);
  std::mutex mutex;
  std::atomic<bool> enough{true};
  // The next item after this one had its turn; none where every other is in another thread.
  const auto next = [&](int64_t item) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (item != NONE && ++done[item] < parts) waiting.push_back(item);
    if (waiting.empty()) return NONE;
    item = waiting.front();
    waiting.pop_front();
    return item;
  };
  const auto worker = [&] {
    const FlushToZero mode;
    try {
      const Scratch scratch(scratch_bytes);
      for (int64_t item = NONE; (item = next(item)) != NONE;) work(item, done[item], scratch.get());
    } catch (const std::bad_alloc&) {
      enough = false;
    }
  };
  List<std::thread> helpers;
  try {
    for (int64_t i = 1; i < threads && i < items; ++i) helpers.emplace_back(worker);
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are do all the work.
  }
  worker();
  for (std::thread& helper : helpers) helper.join();
  return enough;
}

Network network_of(const Problem& problem) {
  return {problem.widths, problem.layers, Loss(problem.loss)};
}

// Calls work(kernel, network, all samples, group, its parameters, scratch) for every group.
// Non-zero: out of memory.
template <class Work>
int for_groups(const Problem& problem, Work work) try {
  const Kernel& kernel = *find_kernel(problem.kernel);
  const Network network = network_of(problem);
  Samples samples(network, kernel, 1, problem.samples);
  samples.fill(0, problem.x, problem.y, nullptr);
  const int64_t size = network.parameters() * kernel.lanes;
  const auto one = [&](int64_t group, int64_t, void* scratch) {
    work(kernel, network, samples.batch(0), group, problem.parameters + group * size, scratch);
  };
  const int64_t scratch_bytes = kernel.scratch_bytes(network, problem.samples);
  return !run_in_threads(problem.groups, 1, problem.threads, scratch_bytes, one);
} catch (const std::bad_alloc&) {
  return 1;
}

}  // namespace
}  // namespace prunelimits

using namespace prunelimits;

EXPORT int prunelimits_interface() { return INTERFACE; }

// Where each field of Training begins, those of its problem first, and last its size; -1 past that.
EXPORT int64_t prunelimits_layout(int index) {
  static constexpr size_t places[] = {
      offsetof(Problem, kernel),       offsetof(Problem, widths),
      offsetof(Problem, x),            offsetof(Problem, y),
      offsetof(Problem, parameters),   offsetof(Problem, samples),
      offsetof(Problem, groups),       offsetof(Problem, layers),
      offsetof(Problem, loss),         offsetof(Problem, threads),
      offsetof(Problem, unused),       offsetof(Training, batch_size),
      offsetof(Training, first),       offsetof(Training, steps),
      offsetof(Training, steps_per_epoch), offsetof(Training, orders),
      offsetof(Training, rates),       offsetof(Training, momentum),
      offsetof(Training, decay),       offsetof(Training, masks),
      offsetof(Training, kept),        offsetof(Training, velocity),
      sizeof(Training),
  };
  const int count = int(sizeof(places) / sizeof(places[0]));
  return index < count ? int64_t(places[index]) : -1;
}

// Names of the machine's instruction sets, fastest first; null past the last.
EXPORT const char* prunelimits_kernel(int index) {
  return index < int(kernels().size()) ? kernels()[index]->name : nullptr;
}

// Networks in a group; 0 where the machine does not have the instruction set.
EXPORT int prunelimits_lanes(const char* kernel_name) {
  const Kernel* kernel = find_kernel(kernel_name);
  return kernel ? kernel->lanes : 0;
}

// Below, non-zero: out of memory.

// Changes the parameters and the velocity.
EXPORT int prunelimits_train(const Training* call) try {
  const Problem& problem = call->problem;
  const Kernel& kernel = *find_kernel(problem.kernel);
  const Network network = network_of(problem);
  const int64_t batch_size = call->batch_size, first = call->first, steps = call->steps;
  const int64_t steps_per_epoch = call->steps_per_epoch, groups = problem.groups;
  const int64_t size = network.parameters() * kernel.lanes;
  List<Keeper> keepers;
  int64_t largest = 1;
  for (int64_t group = 0; group < groups; ++group) {
    keepers.emplace_back(network, call->kept + group * network.parameters());
    largest = std::max(largest, keepers.back().count());
  }
  // The steps are cut into parts within an epoch, which the threads divide among them.
  const int64_t work = 3 * batch_size * largest * kernel.lanes;
  const int64_t most = std::max<int64_t>(1, PART_MULTIPLY_ADDS / work);
  List<int64_t> starts;
  for (int64_t t = 0, take; t < steps; t += take) {
    starts.push_back(t);
    take = std::min({most, steps - t, steps_per_epoch - (first + t) % steps_per_epoch});
  }
  const int64_t parts = int64_t(starts.size());
  starts.push_back(steps);
  Samples samples(network, kernel, steps, batch_size);
  const auto fill = [&](int64_t part, int64_t, void*) {
    for (int64_t t = starts[part]; t < starts[part + 1]; ++t) {
      const int64_t epoch = (first + t) / steps_per_epoch, place = (first + t) % steps_per_epoch;
      samples.fill(t, problem.x, problem.y, call->orders[epoch] + place * batch_size);
    }
  };
  const auto train = [&](int64_t group, int64_t part, void* scratch) {
    const int64_t lane = group * kernel.lanes, start = group * size, t = starts[part];
    const float* rate = call->rates + (first + t) / steps_per_epoch * groups * kernel.lanes;
    kernel.train(network, samples.batch(t), starts[part + 1] - t, rate + lane,
                 call->momentum + lane, call->decay + lane, call->masks + start,
                 keepers[group].get(), problem.parameters + start, call->velocity + start, scratch);
  };
  const int64_t scratch_bytes = kernel.scratch_bytes(network, batch_size);
  return !run_in_threads(parts, 1, problem.threads, 1, fill) ||
         !run_in_threads(groups, parts, problem.threads, scratch_bytes, train);
} catch (const std::bad_alloc&) {
  return 1;
}

// The gradients of the mean loss by all parameters, pruned ones too.
EXPORT int prunelimits_gradients(const Problem* problem, float* gradients) {
  return for_groups(*problem, [=](const Kernel& kernel, const Network& network, Batch batch,
                                  int64_t group, const float* parameters, void* scratch) {
    const int64_t size = network.parameters() * kernel.lanes;
    kernel.gradients(network, batch, parameters, gradients + group * size, scratch);
  });
}

// Sums over the samples: `losses`, and in `right` those with the right class and finite outputs.
EXPORT int prunelimits_evaluate(const Problem* problem, double* losses, int64_t* right) {
  return for_groups(*problem, [=](const Kernel& kernel, const Network& network, Batch batch,
                                  int64_t group, const float* parameters, void* scratch) {
    const int64_t lane = group * kernel.lanes;
    kernel.evaluate(network, batch, parameters, losses + lane, right + lane, scratch);
  });
}

// Multiply-adds a second of `threads` threads that do nothing else: the peak to measure against.
EXPORT double prunelimits_peak(const char* kernel_name, int threads, int64_t rounds) {
  const Kernel& kernel = *find_kernel(kernel_name);
  std::atomic<int64_t> total{0};
  const auto start = std::chrono::steady_clock::now();
  run_in_threads(threads, 1, threads, 1,
                 [&](int64_t, int64_t, void*) { total += kernel.multiply_adds(rounds); });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return double(total) / seconds.count();
}
