// The weights of one output go one by one, each time the one that costs least.
//
// A Cholesky factorisation with pivots that looks back: the inverse matrix of all weights stays as
// it is, and with it all outputs share one. When a weight goes, its column of the matrix of the
// weights that are left is computed from the columns of all that went before:
//
//     column = inverse[:, p] - sum over s of factor[s, p] * factor[s, :]
//
// which is half the work of bringing the whole matrix up to date, and stays within a cache.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "compiling.hpp"
#include "removal.hpp"

namespace prunelimits {
namespace {

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX2__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif

// Vectors of a panel: sums that are formed at once, to hide how long a multiply-add takes.
constexpr int WIDE = 8;

template <class T>
class Output {
  typedef T Vector __attribute__((vector_size(BYTES)));
  static constexpr int64_t LANES = BYTES / int64_t(sizeof(T)), PANEL = WIDE * LANES;

 public:
  static int64_t scratch_bytes(int64_t size) {
    const int64_t padded = (size + PANEL - 1) / PANEL * PANEL;
    // Places take as much room as numbers do, or less.
    return (padded * size + PANEL + 5 * padded) * int64_t(sizeof(T));
  }

  Output(const T* weights, const T* inverse, int64_t size, void* scratch)
      : inverse_(inverse), size_(size) {
    const int64_t padded = (size + PANEL - 1) / PANEL * PANEL;
    factors_ = static_cast<T*>(scratch);
    start_ = factors_ + padded * size;
    weights_ = start_ + PANEL;
    diagonal_ = weights_ + padded;
    losses_ = diagonal_ + padded;
    multipliers_ = losses_ + padded;
    places_ = reinterpret_cast<int32_t*>(multipliers_ + padded);
    std::memset(start_, 0, size_t(PANEL + 5 * padded) * sizeof(T));
    for (int64_t i = 0; i < size; ++i) {
      places_[i] = int32_t(i);
      weights_[i] = weights[i];
      diagonal_[i] = inverse[i * size + i];
      losses_[i] = weights_[i] * weights_[i] / diagonal_[i];
    }
  }

  void remove_all(double* result) {
    double highest = 0;
    for (int64_t gone = 0; gone < size_; ++gone) {
      const int64_t index = cheapest(size_ - gone), place = places_[index];
      const T pivot = diagonal_[index], weight = weights_[index];
      const T loss = weight * weight / pivot;
      if (!(pivot > 0) || !std::isfinite(loss)) {
        const double none = std::numeric_limits<double>::quiet_NaN();
        for (int64_t i = 0; i < size_ - gone; ++i) result[places_[i]] = none;
        return;
      }
      // Equals would have no order.
      highest = std::max(highest * (1 + 1e-12), double(loss));
      result[place] = highest;
      leave(index, size_ - gone - 1, gone);
      const int64_t left = size_ - gone - 1;
      for (int64_t first = 0; first < left; first += PANEL) {
        const int64_t count = std::min(PANEL, left - first);
        const int64_t vectors = (count + LANES - 1) / LANES;
        for (int64_t i = 0; i < vectors * LANES; ++i) {
          start_[i] = inverse_[place * size_ + places_[first + i]];
        }
        const Change change{gone, 1 / std::sqrt(pivot), weight / pivot};
        dispatch<WIDE>(int(vectors), first, change);
      }
    }
  }

 private:
  struct Change {
    int64_t gone;
    T root, weight;
  };

  T* factors_of(int64_t index) const {
    return factors_ + index / PANEL * PANEL * size_ + index % PANEL;
  }

  // The last one takes the place of the one that goes, whose factors multiply the others.
  void leave(int64_t index, int64_t last, int64_t gone) {
    T* to = factors_of(index);
    const T* from = factors_of(last);
    for (int64_t s = 0; s < gone; ++s) {
      multipliers_[s] = to[s * PANEL];
      to[s * PANEL] = from[s * PANEL];
    }
    weights_[index] = weights_[last];
    diagonal_[index] = diagonal_[last];
    places_[index] = places_[last];
  }

  // Of equals the first in the output.
  int64_t cheapest(int64_t left) {
    const T infinity = std::numeric_limits<T>::infinity();
    const int64_t vectors = (left + LANES - 1) / LANES;
    for (int64_t i = left; i < vectors * LANES; ++i) losses_[i] = infinity;
    const Vector* losses = reinterpret_cast<const Vector*>(losses_);
    Vector least = Vector{} + infinity;
    for (int64_t v = 0; v < vectors; ++v) least = losses[v] < least ? losses[v] : least;
    T lowest = least[0];
    for (int64_t lane = 1; lane < LANES; ++lane) lowest = std::min(lowest, T(least[lane]));
    int64_t found = 0;
    bool any = false;
    for (int64_t i = 0; i < left; ++i) {
      if (losses_[i] == lowest && (!any || places_[i] < places_[found])) found = i, any = true;
    }
    return found;
  }

  template <int VECTORS>
  void dispatch(int vectors, int64_t first, const Change& change) {
    if constexpr (VECTORS > 1) {
      if (vectors < VECTORS) return dispatch<VECTORS - 1>(vectors, first, change);
    }
    panel<VECTORS>(first, change);
  }

  template <int VECTORS>
  void panel(int64_t first, const Change& change) {
    Vector* factors = reinterpret_cast<Vector*>(factors_of(first));
    const Vector* start = reinterpret_cast<const Vector*>(start_);
    Vector column[VECTORS];
    UNROLL for (int v = 0; v < VECTORS; ++v) column[v] = start[v];
    for (int64_t s = 0; s < change.gone; ++s) {
      const Vector* before = factors + s * WIDE;
      const Vector multiplier = Vector{} + multipliers_[s];
      UNROLL for (int v = 0; v < VECTORS; ++v) column[v] -= multiplier * before[v];
    }
    Vector* weights = reinterpret_cast<Vector*>(weights_ + first);
    Vector* diagonal = reinterpret_cast<Vector*>(diagonal_ + first);
    Vector* losses = reinterpret_cast<Vector*>(losses_ + first);
    UNROLL for (int v = 0; v < VECTORS; ++v) {
      const Vector factor = column[v] * change.root;
      factors[change.gone * WIDE + v] = factor;
      weights[v] -= column[v] * change.weight;
      diagonal[v] -= factor * factor;
      losses[v] = weights[v] * weights[v] / diagonal[v];
    }
  }

  const T* inverse_;
  int64_t size_;
  T *factors_, *start_, *weights_, *diagonal_, *losses_, *multipliers_;
  int32_t* places_;
};

int64_t scratch_bytes(int64_t size, bool in_double) {
  return in_double ? Output<double>::scratch_bytes(size) : Output<float>::scratch_bytes(size);
}

template <class T>
void remove_all(const T* weights, const T* inverse, int64_t size, double* losses, void* scratch) {
  Output<T>(weights, inverse, size, scratch).remove_all(losses);
}

}  // namespace

#define REMOVER(name) JOIN(remover_, name)

extern const Remover REMOVER(PRUNELIMITS_KERNEL);
const Remover REMOVER(PRUNELIMITS_KERNEL) = {
    NAME(PRUNELIMITS_KERNEL), scratch_bytes, remove_all<float>, remove_all<double>,
};

}  // namespace prunelimits
