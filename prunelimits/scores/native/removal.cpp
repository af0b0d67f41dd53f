// The library's C interface: chooses the instruction set and divides the outputs among threads.
#include <atomic>
#include <cstddef>
#include <new>
#include <system_error>
#include <thread>

#include "compiling.hpp"
#include "containers.hpp"
#include "instruction_sets.hpp"
#include "removal.hpp"

namespace prunelimits {
namespace {

constexpr std::align_val_t ALIGNMENT{128};

// The machine's, fastest first.
const List<const Remover*>& removers() {
  static const List<const Remover*> found = [] {
    List<const Remover*> list;
#if defined(PRUNELIMITS_X86)
    const InstructionSet best = instruction_set();
    if (best >= InstructionSet::AVX512) list.push_back(&remover_avx512);
    if (best >= InstructionSet::AVX2) list.push_back(&remover_avx2);
#endif
    list.push_back(&remover_baseline);
    return list;
  }();
  return found;
}

// Calls work(row, scratch) for every row in at most so many threads, this one included. Returns
// whether there was memory enough.
template <class Work>
bool for_rows(int64_t rows, int threads, int64_t scratch_bytes, Work work) {
  std::atomic<int64_t> next{0};
  std::atomic<bool> enough{true};
  const auto worker = [&] {
    void* scratch = ::operator new(size_t(scratch_bytes), ALIGNMENT, std::nothrow);
    if (!scratch) {
      enough = false;
      return;
    }
    for (int64_t row; (row = next++) < rows;) work(row, scratch);
    ::operator delete(scratch, ALIGNMENT);
  };
  List<std::thread> helpers;
  try {
    for (int64_t i = 1; i < threads && i < rows; ++i) helpers.emplace_back(worker);
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

EXPORT int prunelimits_removal_interface() { return INTERFACE; }

// Names of the machine's instruction sets, fastest first; null past the last.
EXPORT const char* prunelimits_removal_kernel(int index) {
  return index < int(removers().size()) ? removers()[size_t(index)]->name : nullptr;
}

// Writes the losses, (rows, size). Weights are (rows, size), float or double as `in_double` says,
// and so are the inverse matrices: one for each row, or one for all. Non-zero: out of memory.
EXPORT int prunelimits_removal(int kernel, int in_double, const void* weights, const void* inverse,
                               int each, int64_t rows, int64_t size, double* losses,
                               int threads) try {
  const Remover& remover = *removers()[size_t(kernel)];
  const int64_t apart = each ? size * size : 0;
  const auto one = [&](int64_t row, void* scratch) {
    double* result = losses + row * size;
    if (in_double) {
      remover.in_double(static_cast<const double*>(weights) + row * size,
                        static_cast<const double*>(inverse) + row * apart, size, result, scratch);
    } else {
      remover.in_single(static_cast<const float*>(weights) + row * size,
                        static_cast<const float*>(inverse) + row * apart, size, result, scratch);
    }
  };
  return !for_rows(rows, threads, remover.scratch_bytes(size, in_double), one);
} catch (const std::bad_alloc&) {
  return 1;
}
