// SPDX-License-Identifier: BSD-3-Clause
// Both gradients of a convolution that sums over channels in one pass: the rows of the output's gradient are
// transformed once, and run by run the spectrum of the input gives way to that of its gradient. Where lanes are
// channels, its columns are transformed once too, and both take them while they are in cache.
#pragma once
#include "dense.h"
#include "dense_weights.h"

namespace dash {
namespace DASH_ISA {

// Whether both gradients are computed together, and what their lanes are then.
enum class Together { no, by_channel, by_samples };

template <class T>
struct DenseGrads {
  const ConvProblem& problem;
  DenseWeightGrad<T> weights;
  DenseTransfer<T> maps;

  using Sides = WeightSides<T>;

  DenseGrads(const ConvProblem& p, const TapList& t, Together how)
      : problem(p), weights(p, t, how == Together::by_channel ? WeightFactors::given_outputs : WeightFactors::samples),
        maps(p, t, false, how == Together::by_channel ? MapLanes::channels : MapLanes::samples) {}

  // Lanes across samples in the weight gradient need them in that of the input.
  static Together cheapest(const ConvProblem& p, const TapList& t) {
    const LaneCosts<T> costs(p, false), of_input(p, true);
    const int64_t apart = smaller(costs.by_batch, costs.by_channel) + Sides::cost(p, Sides::cheaper(p));
    const int64_t by_channel = costs.by_channel + Sides::cost(p, WeightFactors::given_outputs) +
                               misses(DenseTransfer<T>(p, t, false, MapLanes::channels));
    const int64_t spared = Maps<T>::batch_groups(p.batch) * p.out_channels / p.groups * Sides::kRows;
    const int64_t by_samples = costs.by_batch + Sides::cost(p, WeightFactors::samples) - spared;
    const bool can_by_channel = !costs.narrow && !of_input.narrow, can_by_samples = costs.by_batch <= costs.by_channel;
    if (can_by_channel && by_channel <= apart && (!can_by_samples || by_channel <= by_samples))
      return Together::by_channel;
    return can_by_samples && by_samples <= apart ? Together::by_samples : Together::no;
  }
  // Factors of all samples that leave the second-level cache are read again for every lane group of input channels,
  // which costs so many products a vector: of four lane groups of maps (64->64, 24x26) one pass for both gradients took
  // 1.04 times as long, of two (32->64, 30x30) 0.89; of four of series (64->64, 1000) 0.84, of eight (128->128) 1.04.
  static int64_t misses(const DenseTransfer<T>& maps) {
    constexpr int64_t kOfMaps = 4, kOfSeries = 1;
    const int64_t bytes = maps.tiles * maps.maps_tile().size * static_cast<int64_t>(sizeof(Factor<T>));
    const int64_t each = maps.to.series ? kOfSeries : kOfMaps;
    return bytes <= kKeptInCache ? 0 : maps.from.vectors() * maps.weight_groups() * each;
  }

  struct Workspace {
    typename DenseWeightGrad<T>::Workspace weights;
    typename DenseTransfer<T>::Workspace maps;
  };
  // The weight gradient's columns of the input lie where the products of the input's gradient come later, if they fit.
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.maps = maps.make_workspace_apart(arena, count);
    if (weights.by_samples()) {
      w.weights = weights.make_workspace(arena, count, w.maps.from_spectrum, w.maps.to_spectrum);
      return w;
    }
    w.weights = weights.make_workspace(arena, count, w.maps.to_spectrum, w.maps.from_spectrum);
    const bool fit = weights.vectors_size() <= maps.product_size();
    for (int64_t i = 0; i < count; ++i) {
      Cx<T>* const vectors = arena.take<Cx<T>>(fit ? 0 : weights.vectors_size());
      if (!w.weights.workers) continue;
      w.weights.workers[i].vectors = fit ? w.maps.workers[i].product : vectors;
      w.weights.workers[i].factors = w.maps.workers[i].factors;
    }
    return w;
  }

  struct Operands {
    const T *out_gradient, *weight, *input;
  };
  struct Results {
    T *input, *weight;
    T* bias;  // the sums of the output's gradient, or null
  };

  // If `add`, the gradients of weights and bias to what is there.
  void run(const Operands& of, const Results& to, bool add, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    Workspace w = make_workspace(arena, workers.count);
    weights.prepare(w.weights, workers);
    maps.prepare(w.maps, workers.count);
    for (int64_t group = 0; group < problem.groups; ++group) {
      weights.transform_rows(w.weights, group, of.out_gradient, of.input, to.bias, add, workers);
      maps.load_weights(of.weight + group * maps.weights_of_group(), w.maps, workers);
      const auto before = [&](int64_t piece, const Run& run) {
        if (weights.given()) maps.transform_samples(w.maps, w.maps.workers[piece], run);
      };
      const auto after = [&](int64_t piece, const Run& run) {
        if (weights.given())
          maps.multiply_channels(w.maps, w.maps.workers[piece], run);
        else
          maps.treat(w.maps, w.maps.workers[piece], run);
      };
      weights.treat_runs(w.weights, workers, before, after);
      weights.store_gradient(w.weights, group, to.weight, add, workers);
      maps.to.invert_rows(w.maps.to_spectrum, w.maps.to_places, nullptr, to.input + group * maps.width * maps.to.map,
                          w.maps.row_scratch, workers);
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
