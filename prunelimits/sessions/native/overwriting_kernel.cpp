// What is pruned is overwritten by bits, whatever the numbers are, in blocks: one that holds the
// number everywhere already is read and not written, and so costs half of the way to memory.
#include "compiling.hpp"
#include "overwriting.hpp"

namespace prunelimits {
namespace {

constexpr int64_t BLOCK = 256;

// All ones where an entry is kept, all zeros elsewhere.
template <class T>
inline T bits(uint8_t kept) {
  return T(-T(kept != 0));
}

// Inlined, so that the loops over a whole block have a known length: compilers then use vectors.
template <class T>
inline __attribute__((always_inline)) T overwrite_block(T* values, const uint8_t* kept,
                                                        int64_t entries, T number) {
  T differing = 0;
  for (int64_t i = 0; i < entries; ++i) {
    differing = T(differing | (T(values[i] ^ number) & T(~bits<T>(kept[i]))));
  }
  if (differing) {
    for (int64_t i = 0; i < entries; ++i) {
      const T keep = bits<T>(kept[i]);
      values[i] = T((values[i] & keep) | (number & T(~keep)));
    }
  }
  return differing;
}

template <class T>
uint64_t overwrite(void* values, const uint8_t* kept, int64_t entries, uint64_t number) {
  T* all = static_cast<T*>(values);
  T differing = 0;
  int64_t first = 0;
  for (; first + BLOCK <= entries; first += BLOCK) {
    differing |= overwrite_block(all + first, kept + first, BLOCK, T(number));
  }
  return differing | overwrite_block(all + first, kept + first, entries - first, T(number));
}

}  // namespace

#define OVERWRITER(name) JOIN(overwriter_, name)

extern const Overwriter OVERWRITER(PRUNELIMITS_KERNEL);
const Overwriter OVERWRITER(PRUNELIMITS_KERNEL) = {
    NAME(PRUNELIMITS_KERNEL), overwrite<uint8_t>, overwrite<uint16_t>, overwrite<uint32_t>,
    overwrite<uint64_t>,
};

}  // namespace prunelimits
