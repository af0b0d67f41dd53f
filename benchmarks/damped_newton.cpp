// Levenberg-Marquardt for copies of one small masked network: one vector lane a copy.
//
// See damped_newton.py, which compiles this and says what it computes. Parameters are flat: each
// layer's weights, row by row, then its biases.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int LANES = 16;
// So many samples' derivatives are kept at once, and so many rows and columns of their products.
constexpr int BLOCK = 16, TILE = 4;
typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Bits __attribute__((vector_size(LANES * sizeof(int32_t))));

enum Objective { SQUARED_ERROR = 0, CROSS_ENTROPY = 1, SMOOTH_ERRORS = 2 };

Vector spread(float number) { return Vector{} + number; }
Vector larger(Vector a, Vector b) { return a > b ? a : b; }
Vector smaller(Vector a, Vector b) { return a < b ? a : b; }

Vector load(const float *from) {
  Vector result;
  std::memcpy(&result, from, sizeof result);
  return result;
}
void store(float *to, Vector from) { std::memcpy(to, &from, sizeof from); }

template <typename Function> Vector each(Vector x, Function function) {
  float numbers[LANES];
  store(numbers, x);
  for (int lane = 0; lane < LANES; ++lane) numbers[lane] = function(numbers[lane]);
  return load(numbers);
}

// e to the x: 2 to a whole number times a polynomial of what is left.
Vector exponential(Vector x) {
  x = smaller(larger(x, spread(-80)), spread(80));
  const Vector magic = spread(12582912.0f);
  const Vector whole = (x * 1.44269504f + magic) - magic;
  const Vector rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  Vector sum = spread(1.0f / 5040);
  for (float factor : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = sum * rest + factor;
  const Bits power = (__builtin_convertvector(whole, Bits) + 127) << 23;
  return sum * (Vector)power;
}

// One product of a sum: of a parameter and what is in a slot.
struct Term {
  int parameter, slot;
};

// A unit's sum and where it goes; slots hold the inputs, then every layer's units.
struct Sum {
  int slot, bias;  // The bias is -1 where there is none.
  std::vector<Term> terms;
};

struct Network {
  int parameters, inputs, slots;
  std::vector<Sum> forward;   // The output's last.
  std::vector<Sum> backward;  // Of the hidden units that a derivative needs, the last ones first.
  std::vector<int> free;      // Parameters by their number among the free ones.
  std::vector<Term> derivatives;  // Of each free one: its unit's slot, and its source's or -1.

  Network(const int *widths, int count, const uint8_t *kept, const uint8_t *frees) {
    inputs = widths[0];
    parameters = 0;
    int below = 0;
    slots = inputs;
    std::vector<Sum> above(inputs);  // What each slot leads to, as terms.
    int first_free = 1 << 30;        // First slot of the first layer with a free parameter.
    for (int layer = 0; layer + 1 < count; ++layer) {
      const int columns = widths[layer], rows = widths[layer + 1], first = parameters;
      for (int row = 0; row < rows; ++row) {
        const int bias = first + rows * columns + row;
        Sum sum{slots + row, kept[bias] ? bias : -1, {}};
        above.push_back({slots + row, -1, {}});
        for (int i = 0; i < columns; ++i) {
          const int weight = first + row * columns + i;
          if (!kept[weight]) continue;
          sum.terms.push_back({weight, below + i});
          above[below + i].terms.push_back({weight, slots + row});
        }
        forward.push_back(sum);
      }
      for (int place = first; place < first + rows * (columns + 1); ++place)
        if (kept[place] && frees[place]) {
          const int at = place - first, row = at < rows * columns ? at / columns : at - rows * columns;
          free.push_back(place);
          derivatives.push_back({slots + row, at < rows * columns ? below + at % columns : -1});
          first_free = std::min(first_free, slots);
        }
      parameters += rows * (columns + 1);
      below = slots;
      slots += rows;
    }
    for (int slot = slots - 2; slot >= first_free; --slot) backward.push_back(above[slot]);
  }
};

struct Data {
  const float *x;        // (inputs, samples)
  const float *labels;   // (samples)
  const float *targets;  // (samples, LANES) of this group; squared error only.
  const float *weights;  // Likewise, their sum over the samples is 1.
  int samples, objective;
};

// The output for one sample; `active` has the inputs' and all units' activations then.
Vector forward(const Network &net, const Vector *parameters, const Data &data, int sample,
               Vector *active) {
  for (int i = 0; i < net.inputs; ++i) active[i] = spread(data.x[i * data.samples + sample]);
  for (const Sum &unit : net.forward) {
    Vector sum = unit.bias < 0 ? Vector{} : parameters[unit.bias];
    for (const Term &term : unit.terms) sum += parameters[term.parameter] * active[term.slot];
    active[unit.slot] = unit.slot == net.slots - 1 ? sum : larger(sum, Vector{});
  }
  return active[net.slots - 1];
}

// The derivatives of the output by the free parameters.
void derivatives(const Network &net, const Vector *parameters, const Vector *active, Vector *back,
                 Vector *result) {
  back[net.slots - 1] = spread(1);
  for (const Sum &unit : net.backward) {
    Vector sum = {};
    for (const Term &term : unit.terms) sum += parameters[term.parameter] * back[term.slot];
    back[unit.slot] = active[unit.slot] > 0 ? sum : Vector{};
  }
  for (const Term &one : net.derivatives) {
    const Vector own = back[one.parameter];
    *result++ = one.slot < 0 ? own : own * active[one.slot];
  }
}

struct Model {
  Vector value;
  std::vector<Vector> gradient, curvature;  // The latter the lower triangle's tiles, row by row.
};

struct Workspace {
  int padded;
  std::vector<Vector> active, back, rows, scaled;

  explicit Workspace(const Network &net) : active(net.slots), back(net.slots) {
    padded = (int(net.free.size()) + TILE - 1) / TILE * TILE;
    rows.assign(BLOCK * padded, Vector{});
    scaled.assign(BLOCK * padded, Vector{});
  }
};

// The sums of products of a block's derivatives, added to the square matrix's lower tiles.
void add_products(const Workspace &work, int samples, Vector *matrix) {
  const int n = work.padded;
  for (int i = 0; i < n; i += TILE)
    for (int j = 0; j <= i; j += TILE) {
      Vector sums[TILE][TILE];
      for (int a = 0; a < TILE; ++a)
        for (int b = 0; b < TILE; ++b) sums[a][b] = matrix[(i + a) * n + j + b];
      for (int s = 0; s < samples; ++s) {
        const Vector *left = &work.scaled[s * n + i], *right = &work.rows[s * n + j];
        for (int a = 0; a < TILE; ++a)
          for (int b = 0; b < TILE; ++b) sums[a][b] += left[a] * right[b];
      }
      for (int a = 0; a < TILE; ++a)
        for (int b = 0; b < TILE; ++b) matrix[(i + a) * n + j + b] = sums[a][b];
    }
}

void measure(const Network &net, const Vector *parameters, const Data &data, float decay,
             float least_curvature, Workspace &work, Model &model) {
  const int free = int(net.free.size()), n = work.padded;
  model.value = Vector{};
  model.gradient.assign(n, Vector{});
  model.curvature.assign(n * n, Vector{});
  const float each_sample = 1.0f / float(data.samples);
  for (int first = 0; first < data.samples; first += BLOCK) {
    const int samples = std::min(BLOCK, data.samples - first);
    Vector product = spread(1);
    for (int s = 0; s < samples; ++s) {
      const int sample = first + s;
      const Vector output = forward(net, parameters, data, sample, work.active.data());
      Vector *row = &work.rows[s * n], *scaled = &work.scaled[s * n];
      derivatives(net, parameters, work.active.data(), work.back.data(), row);
      Vector slope, curvature;
      if (data.objective == SQUARED_ERROR) {
        const Vector weight = load(data.weights + sample * LANES);
        const Vector away = output - load(data.targets + sample * LANES);
        slope = weight * away;
        curvature = weight;
        model.value += 0.5f * slope * away;
      } else {
        const float sign = 1 - 2 * data.labels[sample];
        const Vector wrong_way = output * sign;
        const Vector size = larger(wrong_way, -wrong_way);
        const Vector tail = exponential(-size);
        const Vector small = tail / (1 + tail);
        const Vector wrong = wrong_way > 0 ? 1 - small : small;  // The chance of the other class.
        const Vector steep = wrong * (1 - wrong);
        if (data.objective == CROSS_ENTROPY) {
          slope = sign * wrong * each_sample;
          curvature = larger(steep, spread(least_curvature)) * each_sample;
          model.value += larger(wrong_way, Vector{}) * each_sample;
          product *= 1 + tail;
        } else {
          slope = sign * wrong * steep * each_sample;
          curvature = steep * steep * each_sample;
          model.value += 0.5f * wrong * wrong * each_sample;
        }
      }
      for (int i = 0; i < free; ++i) {
        model.gradient[i] += slope * row[i];
        scaled[i] = curvature * row[i];
      }
    }
    if (data.objective == CROSS_ENTROPY)
      model.value += each(product, [](float x) { return std::log(x); }) * each_sample;
    add_products(work, samples, model.curvature.data());
  }
  for (int i = 0; i < free; ++i) {
    const Vector parameter = parameters[net.free[i]];
    model.value += 0.5f * decay * parameter * parameter;
    model.gradient[i] += decay * parameter;
  }
}

// Solves (curvature + added on its diagonal) step = gradient by Cholesky; where it fails, -1 bits.
Bits solve(const Model &model, int free, int n, const Vector *added, std::vector<Vector> &factor,
           std::vector<Vector> &step) {
  Bits failed = {};
  factor.resize(n * n);
  step.resize(n);
  std::vector<Vector> inverse(n);
  for (int i = 0; i < free; ++i)
    for (int j = 0; j <= i; ++j) {
      Vector sum = model.curvature[i * n + j];
      if (i == j) sum += added[i];
      for (int k = 0; k < j; ++k) sum -= factor[i * n + k] * factor[j * n + k];
      if (i == j) {
        const Bits bad = ~(sum > 0);
        failed |= bad;
        sum = bad ? spread(1) : sum;
        inverse[i] = 1 / each(sum, [](float x) { return std::sqrt(x); });
      } else {
        factor[i * n + j] = sum * inverse[j];
      }
    }
  for (int i = 0; i < free; ++i) {
    Vector sum = model.gradient[i];
    for (int k = 0; k < i; ++k) sum -= factor[i * n + k] * step[k];
    step[i] = sum * inverse[i];
  }
  for (int i = free - 1; i >= 0; --i) {
    Vector sum = step[i];
    for (int k = i + 1; k < free; ++k) sum -= factor[k * n + i] * step[k];
    step[i] = sum * inverse[i];
  }
  return failed;
}

struct Constants {
  float first, least, most, lower, raise, share, decay, least_curvature;
};

void train(const Network &net, std::vector<Vector> &parameters, const Data &data, int steps,
           const Constants &with, float *value) {
  Workspace work(net);
  const int free = int(net.free.size()), n = work.padded;
  Model model, there;
  measure(net, parameters.data(), data, with.decay, with.least_curvature, work, model);
  Vector damping = spread(with.first);
  std::vector<Vector> added(n), factor, step, tried = parameters;
  for (int t = 0; t < steps; ++t) {
    Vector mean = {};
    for (int i = 0; i < free; ++i) mean += model.curvature[i * n + i] / float(free);
    for (int i = 0; i < free; ++i)
      added[i] = damping * (model.curvature[i * n + i] + with.share * mean) + 1e-8f + with.decay;
    const Bits failed = solve(model, free, n, added.data(), factor, step);
    for (int i = 0; i < free; ++i) tried[net.free[i]] = parameters[net.free[i]] - step[i];
    measure(net, tried.data(), data, with.decay, with.least_curvature, work, there);
    const Bits better = (there.value < model.value) & ~failed;
    for (int place : net.free) parameters[place] = better ? tried[place] : parameters[place];
    model.value = better ? there.value : model.value;
    for (int i = 0; i < n; ++i)
      model.gradient[i] = better ? there.gradient[i] : model.gradient[i];
    for (int i = 0; i < n; ++i)
      for (int j = 0; j <= i; ++j) {
        Vector &own = model.curvature[i * n + j];
        own = better ? there.curvature[i * n + j] : own;
      }
    damping = better ? damping / with.lower : damping * with.raise;
    damping = smaller(larger(damping, spread(with.least)), spread(with.most));
  }
  store(value, model.value);
}

}  // namespace

extern "C" {

int lanes() { return LANES; }

// Changes the free parameters of all groups, `(groups, parameters, lanes)`, in so many steps.
void minimise(const int *widths, int count, const uint8_t *kept, const uint8_t *free, int groups,
              float *parameters, const float *x, int samples, const float *labels,
              const float *targets, const float *weights, int objective, int steps,
              const float *constants, float *values) {
  const Network net(widths, count, kept, free);
  Constants with;
  std::memcpy(&with, constants, sizeof with);
  std::vector<Vector> own(net.parameters);
  for (int group = 0; group < groups; ++group) {
    float *all = parameters + size_t(group) * net.parameters * LANES;
    for (int i = 0; i < net.parameters; ++i) own[i] = load(all + i * LANES);
    const size_t place = targets ? size_t(group) * samples * LANES : 0;
    const Data data{x,       labels,  targets ? targets + place : nullptr,
                    targets ? weights + place : nullptr, samples, objective};
    train(net, own, data, steps, with, values + group * LANES);
    for (int i = 0; i < net.parameters; ++i) store(all + i * LANES, own[i]);
  }
}

// The outputs of all groups, `(groups, samples, lanes)`.
void outputs(const int *widths, int count, const uint8_t *kept, int groups, const float *parameters,
             const float *x, int samples, float *result) {
  const Network net(widths, count, kept, kept);
  std::vector<Vector> own(net.parameters);
  Workspace work(net);
  const Data data{x, nullptr, nullptr, nullptr, samples, 0};
  for (int group = 0; group < groups; ++group) {
    const float *all = parameters + size_t(group) * net.parameters * LANES;
    for (int i = 0; i < net.parameters; ++i) own[i] = load(all + i * LANES);
    for (int sample = 0; sample < samples; ++sample)
      store(result + (size_t(group) * samples + sample) * LANES,
            forward(net, own.data(), data, sample, work.active.data()));
  }
}
}
