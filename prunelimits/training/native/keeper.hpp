// Which weights a group of networks keeps: what makes the loops of sparse layers.
#pragma once

#include <algorithm>

#include "containers.hpp"
#include "kernel.hpp"

namespace prunelimits {
namespace {

// What a group's networks keep together, from a byte for each parameter.
class Keeper {
 public:
  Keeper(const Network& network, const uint8_t* kept) {
    for (int64_t i = 0; i < network.parameters(); ++i) {
      if (kept[i]) parameters_.push_back(int32_t(i));
    }
    for (int l = 0; l < network.layers; ++l) {
      const int columns = network.widths[l], rows = network.widths[l + 1];
      const int64_t row = columns + 1;
      if (is_sparse(kept, rows, columns)) {
        rows_.push_back(pattern(kept, rows, row, columns, 1));
        columns_.push_back(pattern(kept, columns, 1, rows, row));
      } else {
        rows_.push_back({});
        columns_.push_back({});
      }
      kept += rows * row;
    }
  }

  int64_t count() const { return int64_t(parameters_.size()); }
  Kept get() const { return {parameters_.data(), count(), rows_.data(), columns_.data()}; }

 private:
  // Loops over the kept weights alone pay off where fewer than half are kept.
  static bool is_sparse(const uint8_t* kept, int rows, int columns) {
    const int64_t size = int64_t(rows) * columns;
    if (size < LEAST_SPARSE) return false;
    int64_t count = 0;
    for (int r = 0; r < rows; ++r, ++kept) {
      for (int c = 0; c < columns; ++c) count += *kept++ != 0;
    }
    return 2 * count < size;
  }

  // Weight (r, c) stands at r * row + c * column.
  Pattern pattern(const uint8_t* kept, int rows, int64_t row, int columns, int64_t column) {
    List<int32_t> starts, places;
    for (int left = 0; left < columns; left += PANEL) {
      for (int r = 0; r < rows; ++r) {
        starts.push_back(int32_t(places.size()));
        for (int c = left; c < std::min(left + PANEL, columns); ++c) {
          if (kept[r * row + c * column]) places.push_back(c);
        }
      }
    }
    starts.push_back(int32_t(places.size()));
    // Moving a vector keeps its numbers in place, so the pointers stay valid.
    lists_.push_back(std::move(starts));
    lists_.push_back(std::move(places));
    return {lists_[lists_.size() - 2].data(), lists_.back().data()};
  }

  List<int32_t> parameters_;
  List<List<int32_t>> lists_;
  List<Pattern> rows_, columns_;
};

}  // namespace
}  // namespace prunelimits
