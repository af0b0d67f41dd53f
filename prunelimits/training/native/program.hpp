// What a chunk of samples goes through, layer by layer, laid down once for many chunks: choosing
// the tiles anew for every chunk would take longer than a small network's arithmetic.
#pragma once

#include "kernel.hpp"
#include "tiles.hpp"

namespace prunelimits {
namespace {

struct Memory {
  const float* x;         // inputs of the chunk
  const Vector* weights;  // all parameters
  Vector* gradients;      // of all parameters
  Vector* activations;    // of the chunk, all layers
  Vector* sums;           // of WIDE_ROWS units and a block of samples
};

// A rectangle of equal tiles. Offsets and distances count vectors, or floats in the inputs.
struct Step {
  void (*run)(const Step&, const Memory&, int blocks);
  int rows, columns;  // of the rectangle
  int count;          // products in a sum; the layer's inputs
  int64_t weights, row, column;
  int64_t in, in_block;
  int64_t out, out_block;
  Pattern pattern;  // where the rectangle is sparse
  int64_t bias;     // from a row's first weight, there
};

// How many of `left` the next part takes, so that parts of at most `most` are about equally large.
inline int even_part(int left, int most) {
  const int parts = (left + most - 1) / most;
  return (left + parts - 1) / parts;
}

template <class In>
ALWAYS_INLINE const In* input(const Memory& memory) {
  if constexpr (sizeof(In) == sizeof(float)) {
    return memory.x;
  } else {
    return memory.activations;
  }
}

template <int ROWS, int COUNT, Finish FINISH, class In>
void run_product(const Step& step, const Memory& memory, int blocks) {
  const In* in = input<In>(memory) + step.in;
  Vector* out = memory.activations + step.out;
  for (int r = 0; r < step.rows; r += ROWS) {
    const Vector* weights = memory.weights + step.weights + r * step.row;
    for (int b = 0; b < blocks; ++b) {
      product_tile<ROWS, COUNT, FINISH, false>(weights, step.row, step.column,
                                               in + b * step.in_block, step.count, nullptr,
                                               out + b * step.out_block + r * SAMPLES);
    }
  }
}

// Units and inputs of a wide layer that are worked on together: a block's inputs stay in the first
// cache for all the units, whose weights stay in the second for all blocks.
constexpr int WIDE_ROWS = 24, WIDE_COUNT = PANEL;

template <int ROWS, Finish FINISH>
void run_wide_product(const Step& step, const Memory& memory, int blocks) {
  for (int first = 0; first < step.rows; first += WIDE_ROWS) {
    const int end = first + WIDE_ROWS < step.rows ? first + WIDE_ROWS : step.rows;
    for (int b = 0; b < blocks; ++b) {
      Vector* out = memory.activations + step.out + b * step.out_block;
      for (int k = 0, take; k < step.count; k += take) {
        take = even_part(step.count - k, WIDE_COUNT);
        const Vector* in = memory.activations + step.in + b * step.in_block + k * SAMPLES;
        for (int r = first; r < end; r += ROWS) {
          const Vector* weights =
              memory.weights + step.weights + r * step.row + k * step.column;
          Vector* sums = memory.sums + (r - first) * SAMPLES;
          if (k == 0) {
            product_tile<ROWS, 0, Finish::partial, false>(weights, step.row, step.column, in, take,
                                                          nullptr, sums);
          } else if (k + take < step.count) {
            product_tile<ROWS, 0, Finish::partial, true>(weights, step.row, step.column, in, take,
                                                         sums, sums);
          } else {
            product_tile<ROWS, 0, FINISH, true>(weights, step.row, step.column, in, take, sums,
                                                out + r * SAMPLES);
          }
        }
      }
    }
  }
}

// The same for a sparse layer: unit by unit, with the inputs that it has in each panel.
template <Finish FINISH, class In>
void run_sparse_product(const Step& step, const Memory& memory, int blocks) {
  const int panels = (step.count + PANEL - 1) / PANEL;
  for (int first = 0; first < step.rows; first += WIDE_ROWS) {
    const int end = first + WIDE_ROWS < step.rows ? first + WIDE_ROWS : step.rows;
    for (int b = 0; b < blocks; ++b) {
      const In* in = input<In>(memory) + step.in + b * step.in_block;
      Vector* out = memory.activations + step.out + b * step.out_block;
      for (int p = 0; p < panels; ++p) {
        for (int r = first; r < end; ++r) {
          const Vector* weights = memory.weights + step.weights + r * step.row;
          const Vector& bias = weights[step.bias];
          const int32_t* start = step.pattern.starts + p * step.rows + r;
          const int32_t* columns = step.pattern.columns + start[0];
          const int count = start[1] - start[0];
          Vector* sums = memory.sums + (r - first) * SAMPLES;
          Vector* to = out + r * SAMPLES;
          if (panels == 1) {
            sparse_product<FINISH, false>(weights, step.column, bias, in, columns, count, sums, to);
          } else if (p == 0) {
            sparse_product<Finish::partial, false>(weights, step.column, bias, in, columns, count,
                                                   sums, sums);
          } else if (p + 1 < panels) {
            sparse_product<Finish::partial, true>(weights, step.column, bias, in, columns, count,
                                                  sums, sums);
          } else {
            sparse_product<FINISH, true>(weights, step.column, bias, in, columns, count, sums, to);
          }
        }
      }
    }
  }
}

template <class In>
void run_sparse_gradient(const Step& step, const Memory& memory, int blocks) {
  const int panels = (step.count + PANEL - 1) / PANEL;
  const In* in = input<In>(memory) + step.in;
  for (int p = 0; p < panels; ++p) {
    for (int r = 0; r < step.rows; ++r) {
      const Vector* delta = memory.activations + step.out + r * SAMPLES;
      Vector* row = memory.gradients + step.weights + r * step.row;
      const int32_t* start = step.pattern.starts + p * step.rows + r;
      const int32_t* columns = step.pattern.columns + start[0];
      const int32_t* end = step.pattern.columns + start[1];
      for (; end - columns >= 8; columns += 8) {
        sparse_gradient<8>(delta, step.out_block, in, step.in_block, blocks, columns, row);
      }
      for (; end - columns >= 3; columns += 3) {
        sparse_gradient<3>(delta, step.out_block, in, step.in_block, blocks, columns, row);
      }
      for (; columns < end; ++columns) {
        sparse_gradient<1>(delta, step.out_block, in, step.in_block, blocks, columns, row);
      }
      if (p > 0) continue;
      Vector sum = zero();
      for (int b = 0; b < blocks; ++b) {
        UNROLL for (int s = 0; s < SAMPLES; ++s) sum += delta[b * step.out_block + s];
      }
      row[step.count] += sum;
    }
  }
}

template <int ROWS, int COLUMNS, bool BIAS, int PARTS, class In>
void run_gradient(const Step& step, const Memory& memory, int blocks) {
  for (int c = 0; c < step.columns; c += COLUMNS) {
    const In* in = input<In>(memory) + step.in + c * SAMPLES;
    for (int r = 0; r < step.rows; r += ROWS) {
      const Vector* delta = memory.activations + step.out + r * SAMPLES;
      Vector* row = memory.gradients + step.weights + r * step.row;
      gradient_tile<ROWS, COLUMNS, BIAS, PARTS>(delta, step.out_block, in, step.in_block, blocks,
                                                row + c, row + step.count, step.row);
    }
  }
}

using Run = void (*)(const Step&, const Memory&, int blocks);

// Sums of up to this many products are compiled without a loop.
constexpr int MOST_COUNT = 8;

template <Finish FINISH, class In, int ROWS = PRODUCT_ROWS, int COUNT = MOST_COUNT>
Run find_product(int rows, int count) {
  if constexpr (ROWS > 1) {
    if (rows < ROWS) return find_product<FINISH, In, ROWS - 1, COUNT>(rows, count);
  }
  if constexpr (sizeof(In) == sizeof(Vector)) {
    if (count > WIDE_COUNT) return run_wide_product<ROWS, FINISH>;
  }
  if constexpr (COUNT > 0) {
    if (count != COUNT) return find_product<FINISH, In, ROWS, COUNT - 1>(rows, count);
  }
  return run_product<ROWS, COUNT, FINISH, In>;
}

template <bool BIAS, class In, int COLUMNS = GRADIENT_COLUMNS, int ROWS = gradient_rows(COLUMNS)>
Run find_gradient(int rows, int columns, bool wide) {
  if constexpr (COLUMNS > 1) {
    if (columns < COLUMNS) return find_gradient<BIAS, In, COLUMNS - 1>(rows, columns, wide);
  }
  if constexpr (ROWS > 1) {
    if (rows < ROWS) return find_gradient<BIAS, In, COLUMNS, ROWS - 1>(rows, columns, wide);
  }
  // Layers that may be sparse take their sums in the order of the sparse loops.
  if constexpr (ROWS * COLUMNS < 8) {
    if (!wide) return run_gradient<ROWS, COLUMNS, BIAS, 2, In>;
  }
  return run_gradient<ROWS, COLUMNS, BIAS, 1, In>;
}

// Cuts `size` into tiles of at most `most`, all about equally large, and calls
// `each(start, end, tile)` for runs of equal ones, the first tile on its own where `apart` says so.
template <class Each>
void for_tiles(int size, int most, bool apart, Each each) {
  int start = 0, end = 0, tile = 0;
  while (end < size) {
    const int take = even_part(size - end, most);
    if (tile && (take != tile || (apart && start == 0))) {
      each(start, end, tile);
      start = end;
    }
    tile = take;
    end += take;
  }
  each(start, end, tile);
}

// Steps for all layers, and where each layer's activations are.
class Program {
 public:
  // Distance between blocks of a layer's activations. The unit more than needed keeps powers of
  // two from falling on the same few cache lines.
  static int64_t block_vectors(int width) { return int64_t(width | 1) * SAMPLES; }

  static int64_t activation_vectors(const Network& network) {
    int64_t sum = 0;
    for (int l = 1; l <= network.layers; ++l) sum += block_vectors(network.widths[l]);
    return sum;
  }

  static bool is_wide(const Network& network) {
    for (int l = 1; l < network.layers; ++l) {
      if (network.widths[l] > WIDE_COUNT) return true;
    }
    return false;
  }

  // Layers have up to 2 steps forward, 6 for their gradients and 2 back.
  static int64_t most_steps(const Network& network) { return int64_t(10) * network.layers; }

  // `steps` has room for the most steps, `blocks` is the largest chunk; without `kept` all is
  // dense.
  Program(const Network& network, const Kept* kept, Step* steps, int blocks) : steps_(steps) {
    const auto rows_of = [&](int l) { return kept ? kept->rows[l] : Pattern{}; };
    const auto columns_of = [&](int l) { return kept ? kept->columns[l] : Pattern{}; };
    const int last = network.layers - 1;
    int64_t weights = 0, out = 0, in = 0;
    for (int l = 0; l <= last; ++l) {
      const Layer layer{network.widths[l], network.widths[l + 1], weights, in, out,
                        rows_of(l), columns_of(l)};
      if (l == last) output_ = size_;
      if (l == 0 && l == last) add_forward<Finish::linear, float>(layer);
      if (l == 0 && l != last) add_forward<Finish::relu, float>(layer);
      if (l != 0 && l == last) add_forward<Finish::linear, Vector>(layer);
      if (l != 0 && l != last) add_forward<Finish::relu, Vector>(layer);
      outputs_ = in = out;
      out += blocks * block_vectors(layer.rows);
      weights += (layer.columns + 1) * int64_t(layer.rows);
    }
    forward_ = size_;
    for (int l = last; l >= 0; --l) {
      const int columns = network.widths[l], rows = network.widths[l + 1];
      weights -= (columns + 1) * int64_t(rows);
      out -= blocks * block_vectors(rows);
      in = out - (l ? blocks * block_vectors(columns) : 0);
      const Layer layer{columns, rows, weights, in, out, rows_of(l), columns_of(l)};
      if (l == 0) {
        add_gradient<float>(layer);
      } else {
        add_gradient<Vector>(layer);
        add_back(layer);
      }
      if (l == last) hidden_ = size_;
    }
  }

  // Leaves the outputs in the last layer's activations.
  void forward(const Memory& memory, int blocks) const { run(0, forward_, memory, blocks); }

  // Adds to the gradients, from the loss's derivative by the outputs in their place. Each hidden
  // layer's activations give way to the derivative by them.
  void backward(const Memory& memory, int blocks) const { run(forward_, size_, memory, blocks); }

  // The same for the layers below the last.
  void forward_hidden(const Memory& memory, int blocks) const { run(0, output_, memory, blocks); }
  void backward_hidden(const Memory& memory, int blocks) const {
    run(hidden_, size_, memory, blocks);
  }

  // The first step of the last layer forward.
  const Step& output_step() const { return steps_[output_]; }

  Vector* outputs(const Memory& memory) const { return memory.activations + outputs_; }

 private:
  struct Layer {
    int columns, rows;
    int64_t weights, in, out;
    Pattern by_row, by_column;
  };

  void run(int first, int end, const Memory& memory, int blocks) const {
    for (int i = first; i < end; ++i) steps_[i].run(steps_[i], memory, blocks);
  }

  template <class In>
  static int64_t in_block(const Layer& layer) {
    return sizeof(In) == sizeof(float) ? int64_t(layer.columns) * SAMPLES
                                       : block_vectors(layer.columns);
  }

  template <Finish FINISH, class In>
  void add_forward(const Layer& layer) {
    const int64_t row = layer.columns + 1;
    const auto add = [&](Run run, int start, int end) {
      steps_[size_++] = {run, end - start, 0, layer.columns, layer.weights + start * row, row, 1,
                         layer.in, in_block<In>(layer), layer.out + start * SAMPLES,
                         block_vectors(layer.rows), layer.by_row, layer.columns};
    };
    if (layer.by_row.starts) return add(run_sparse_product<FINISH, In>, 0, layer.rows);
    for_product_tiles(layer.rows, [&](int start, int end, int tile) {
      add(find_product<FINISH, In>(tile, layer.columns), start, end);
    });
  }

  // Units of the layer below are rows here: its weights are read down the columns.
  void add_back(const Layer& layer) {
    const int64_t row = layer.columns + 1;
    const auto add = [&](Run run, int start, int end) {
      steps_[size_++] = {run, end - start, 0, layer.rows, layer.weights + start, 1, row, layer.out,
                         block_vectors(layer.rows), layer.in + start * SAMPLES,
                         block_vectors(layer.columns), layer.by_column, 0};
    };
    if (layer.by_column.starts) {
      return add(run_sparse_product<Finish::gate, Vector>, 0, layer.columns);
    }
    for_product_tiles(layer.columns, [&](int start, int end, int tile) {
      add(find_product<Finish::gate, Vector>(tile, layer.rows), start, end);
    });
  }

  template <class In>
  void add_gradient(const Layer& layer) {
    const int64_t row = layer.columns + 1;
    const auto add = [&](Run run, int left, int right, int top, int bottom) {
      steps_[size_++] = {run, bottom - top, right - left, layer.columns,
                         layer.weights + top * row + left, row, 1, layer.in + left * SAMPLES,
                         in_block<In>(layer), layer.out + top * SAMPLES,
                         block_vectors(layer.rows), layer.by_row, 0};
    };
    if (layer.by_row.starts) {
      return add(run_sparse_gradient<In>, 0, layer.columns, 0, layer.rows);
    }
    const bool wide = layer.columns * int64_t(layer.rows) >= LEAST_SPARSE;
    for_tiles(layer.columns, GRADIENT_COLUMNS, true, [&](int left, int right, int columns) {
      for_tiles(layer.rows, gradient_rows(columns), false, [&](int top, int bottom, int rows) {
        // Biases are found from the row's first weight: the first tile's own.
        add(left == 0 ? find_gradient<true, In>(rows, columns, wide)
                      : find_gradient<false, In>(rows, columns, wide),
            left, right, top, bottom);
      });
    });
  }

  // Four rows are better cut in two and two than in three and one: a tile of one row loads more
  // than it multiplies.
  template <class Each>
  static void for_product_tiles(int rows, Each each) {
    const int rest = rows % PRODUCT_ROWS;
    const int pairs = rest == 2 ? 2 : rest == 1 && rows > 1 ? 4 : rest;
    if (rows > pairs) each(0, rows - pairs, PRODUCT_ROWS);
    if (pairs) each(rows - pairs, rows, pairs == 1 ? 1 : 2);
  }

  Step* steps_;
  int size_ = 0;
  // Where the last layer begins, the way back, and the way back below the last layer.
  int output_ = 0, forward_ = 0, hidden_ = 0;
  int64_t outputs_ = 0;
};

}  // namespace
}  // namespace prunelimits
