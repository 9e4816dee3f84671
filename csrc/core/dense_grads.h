// SPDX-License-Identifier: BSD-3-Clause
// Both gradients of a convolution that sums over channels in one pass: rows and columns of the output's gradient are
// transformed once, and while the columns of a run of row frequencies are in cache both take them. The spectrum of the
// input gives way to that of its gradient, run by run.
#pragma once
#include "dense_weights.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct DenseGrads {
  const ConvProblem& problem;
  DenseWeightGrad<T> weights;
  DenseTransfer<T> maps;

  DenseGrads(const ConvProblem& p, const TapList& t) : problem(p), weights(p, t, true), maps(p, t, false, true) {}

  // Both share a spectrum where its lanes, and those of the input's, are channels. That may make the gradient of the
  // input dearer than lanes across samples would, and that of the weights than lanes across output channels would; and
  // factors of all samples that leave the second-level cache are read again for every vector of input channels. Whether
  // it is dearer by no more than the transforms that are spared, in the unit of LaneCosts:
  static constexpr int64_t kMissOfMaps = 4, kMissOfSeries = 1;  // reading a vector of factors again
  bool is_worth_it() const {
    constexpr int64_t kCached = int64_t{768} << 10;
    const int64_t batch = problem.batch, width = maps.width, depth = maps.depth;
    const LaneCosts<T> costs(batch, depth, width), of_input(batch, width, depth);
    const int64_t factors = maps.from.vectors(), groups = maps.weight_groups();
    const int64_t transform = maps.to.series ? LaneCosts<T>::kTransform / 2 : LaneCosts<T>::kTransform;
    const int64_t miss = maps.to.series ? kMissOfSeries : kMissOfMaps;
    const int64_t bytes = maps.tiles * maps.maps_tile().size * static_cast<int64_t>(sizeof(Factor<T>));
    const int64_t dearer = batch * groups * depth - factors * width + (bytes > kCached ? factors * groups * miss : 0);
    return !costs.narrow && !of_input.narrow && costs.by_channel + dearer <= costs.by_batch + factors * transform;
  }

  struct Workspace {
    typename DenseWeightGrad<T>::Workspace weights;
    typename DenseTransfer<T>::Workspace maps;
  };
  // The weight gradient's columns of the input lie where the products of the input's gradient come later, if they fit.
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.maps = maps.make_workspace(arena, count);
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
      weights.treat_runs(
          w.weights, workers,
          [&](int64_t piece, const Run& run) { maps.transform_samples(w.maps, w.maps.workers[piece], run); },
          [&](int64_t piece, const Run& run) { maps.multiply_channels(w.maps, w.maps.workers[piece], run); });
      weights.store_gradient(w.weights, group, to.weight, add, workers);
      maps.to.invert_rows(w.maps.to_spectrum, w.maps.to_places, nullptr, to.input + group * maps.width * maps.to.map,
                          w.maps.row_scratch, workers);
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
