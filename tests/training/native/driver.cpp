// Trains a few networks through the engine's C interface and prints their parameters, so that
// machines without Python can be compared. Usage: driver LIBRARY KERNEL
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <new>
#include <vector>

#include "../../../prunelimits/training/native/interface.hpp"

namespace {

// Vectors are read as a whole, from where a vector may begin.
template <class T>
struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class Other>
  Aligned(const Aligned<Other>&) {}
  T* allocate(size_t count) { return (T*)::operator new(count * sizeof(T), std::align_val_t(64)); }
  void deallocate(T* place, size_t) { ::operator delete(place, std::align_val_t(64)); }
  bool operator==(const Aligned&) const { return true; }
};
template <class T>
using Vectors = std::vector<T, Aligned<T>>;

// The same numbers on every machine: sixteenths from -1 to 1.
float next() {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return float(int(state >> 27) - 16) / 16;
}

}  // namespace

int main(int argc, char** argv) {
  void* library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : nullptr;
  if (!library) return std::fprintf(stderr, "cannot load the library\n"), 1;
  const auto lanes_of = (int (*)(const char*))dlsym(library, "prunelimits_lanes");
  const auto train = (int (*)(const prunelimits::Training*))dlsym(library, "prunelimits_train");
  const int lanes = lanes_of(argv[2]);
  if (!lanes) return std::fprintf(stderr, "no kernel of that name\n"), 1;

  const std::vector<int32_t> widths = {2, 8, 8, 1};
  const int networks = 16, samples = 96, batch = 32, steps = 9, groups = networks / lanes;
  const int parameters = 3 * 8 + 9 * 8 + 9;
  Vectors<float> x(samples * 2), y(samples), weights(networks * parameters);
  for (float& value : x) value = next();
  for (float& value : y) value = next() > 0;
  Vectors<int32_t> masks(weights.size());
  std::vector<uint8_t> kept(groups * parameters);
  // Network n is lane n % lanes of group n / lanes.
  for (int n = 0; n < networks; ++n) {
    for (int p = 0; p < parameters; ++p) {
      const int group = n / lanes, at = (group * parameters + p) * lanes + n % lanes;
      const float value = next();
      masks[at] = next() > -0.5f ? -1 : 0;
      weights[at] = masks[at] ? value : 0;
      if (masks[at]) kept[group * parameters + p] = 1;
    }
  }
  std::vector<int64_t> order(samples);
  for (int i = 0; i < samples; ++i) order[i] = (i * 37) % samples;
  const std::vector<const int64_t*> orders(3, order.data());
  const Vectors<float> rates(3 * networks, 0.25f), momentum(networks, 0.5f);
  const Vectors<float> decay(networks, 0.0009765625f);
  Vectors<float> velocity(weights.size());

  prunelimits::Training call{};
  call.problem = {argv[2], widths.data(), x.data(), y.data(), weights.data(), samples,
                  groups,  int32_t(widths.size()) - 1, 0,     2,              0};
  call.batch_size = batch;
  call.steps = steps;
  call.steps_per_epoch = samples / batch;
  call.orders = orders.data();
  call.rates = rates.data();
  call.momentum = momentum.data();
  call.decay = decay.data();
  call.masks = masks.data();
  call.kept = kept.data();
  call.velocity = velocity.data();
  if (train(&call)) return std::fprintf(stderr, "out of memory\n"), 1;
  for (int n = 0; n < networks; ++n) {
    for (int p = 0; p < parameters; ++p) {
      std::printf("%.9g\n", weights[(n / lanes * parameters + p) * lanes + n % lanes]);
    }
  }
}
