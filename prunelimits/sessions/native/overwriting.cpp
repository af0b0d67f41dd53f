// The library's C interface: chooses the instruction set and divides the values among threads.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>

#include "compiling.hpp"
#include "containers.hpp"
#include "instruction_sets.hpp"
#include "overwriting.hpp"

namespace prunelimits {
namespace {

constexpr int64_t SHARE = 1 << 19;  // entries that are worth a thread: it takes as long to start

// The machine's, fastest first.
const List<const Overwriter*>& overwriters() {
  static const List<const Overwriter*> found = [] {
    List<const Overwriter*> list;
#if defined(PRUNELIMITS_X86)
    const InstructionSet best = instruction_set();
    if (best >= InstructionSet::AVX512) list.push_back(&overwriter_avx512);
    if (best >= InstructionSet::AVX2) list.push_back(&overwriter_avx2);
#endif
    list.push_back(&overwriter_baseline);
    return list;
  }();
  return found;
}

// Calls work(first, entries) for all shares of the entries, in at most so many threads.
template <class Work>
void for_shares(int64_t entries, int threads, Work work) {
  std::atomic<int64_t> next{0};
  const auto worker = [&] {
    for (int64_t first; (first = next.fetch_add(SHARE)) < entries;) {
      work(first, std::min(SHARE, entries - first));
    }
  };
  List<std::thread> helpers;
  try {
    const int64_t most = std::min<int64_t>(threads, entries / SHARE);
    for (int64_t i = 1; i < most; ++i) helpers.emplace_back(worker);
  } catch (const std::exception&) {
    // There are no more threads, or no memory for them: those there are do all the work.
  }
  worker();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace
}  // namespace prunelimits

using namespace prunelimits;

EXPORT int prunelimits_overwriting_interface() { return INTERFACE; }

// Names of the machine's instruction sets, fastest first; null past the last.
EXPORT const char* prunelimits_overwriting_kernel(int index) {
  return index < int(overwriters().size()) ? overwriters()[size_t(index)]->name : nullptr;
}

// What an Overwriter does, for values of 1, 2, 4 or 8 bytes.
EXPORT uint64_t prunelimits_overwrite(int kernel, void* values, const uint8_t* kept,
                                      int64_t entries, int bytes, uint64_t number, int threads) {
  const Overwriter& overwriter = *overwriters()[size_t(kernel)];
  const auto overwrite = bytes == 1   ? overwriter.of_1
                         : bytes == 2 ? overwriter.of_2
                         : bytes == 4 ? overwriter.of_4
                                      : overwriter.of_8;
  std::atomic<uint64_t> differing{0};
  for_shares(entries, threads, [&](int64_t first, int64_t some) {
    char* place = static_cast<char*>(values) + first * bytes;
    differing |= overwrite(place, kept + first, some, number);
  });
  return differing;
}
