// SPDX-License-Identifier: BSD-3-Clause
// The weight gradient of a depthwise convolution: both sides' spectra are multiplied and summed over the maps in the
// layout of the weights' spectra, and only the taps of the sums' inverse transforms are kept.
#pragma once
#include "depthwise.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct DepthwiseWeightGrad : Depthwise<T> {
  using Base = Depthwise<T>;
  using Base::channel_in, Base::channels, Base::count_of, Base::fill, Base::for_each_unit, Base::full_cols,
      Base::full_rows, Base::multiplier, Base::out_rows, Base::pairs, Base::pattern_lanes, Base::patterns,
      Base::problem, Base::series, Base::side, Base::spectrum_size, Base::strided_rows, Base::taps, Base::transform_in,
      Base::transform_out, Base::vectors_at, Base::weight_at, Base::weight_size, Base::weights_of;
  using typename Base::Worker;

  DepthwiseWeightGrad(const ConvProblem& p, const TapList& t) : Base(p, t) {}

  // Every worker has sums of its own, where the others have weights' spectra.
  struct Workspace : Base::Workspace {
    Vec<T>* tap_gradient;
    LaneSums<T>* sums;  // of the gradient of the output, two per pair and multiple
    double* bias_gradient;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    const typename Base::Workspace base = Base::make_workspace(arena, count, count);
    return {base, arena.take<Vec<T>>(patterns * multiplier * taps.count()),
            arena.take<LaneSums<T>>(2 * pairs * multiplier), arena.take<double>(channels * multiplier)};
  }

  // If asked for, the sums of the gradient of y too, one per channel.
  void run(const T* y_gradient, const T* x, T* weight_gradient, T* bias_gradient, void* buffer,
           const Workers& workers) const {
    Arena arena(buffer);
    Workspace w = make_workspace(arena, workers.count);
    fill(w.in_places, false, false);
    fill(w.out_places, true, false);
    const int64_t pieces = larger(1, smaller(workers.count, pairs));
    parallel_pieces(workers, pairs, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      Workspace own = w;
      own.weights += piece * weight_size();
      for (int64_t i = 0; i < weight_size(); ++i)
        own.weights[i] = {Vec<T>{}, Vec<T>{}};
      for (int64_t v = begin; v < end; ++v) {
        const Maps<T> in = side(false, count_of(v)), out = side(true, count_of(v));
        // The products of a pair's two columns sum to twice those of its maps; one alone has one column.
        const T single_scale = in.batch > 1 ? T(1) : T(2);
        transform_in(w, in, x, v, worker);
        for (int64_t m = 0; m < multiplier; ++m) {
          LaneSums<T>* const first = w.sums + 2 * (v * multiplier + m);
          LaneSums<T>* const sums[] = {first, first + 1};
          first[0] = first[1] = {};
          transform_out(w, out, y_gradient, v, m, single_scale, bias_gradient ? sums : nullptr, worker);
          if (series() && !strided_rows())
            correlate_series(in, worker, weights_of(own, v, m));
          else
            correlate(in, out, worker, weights_of(own, v, m));
        }
      }
    });
    gather_weight_gradient(w, pieces, weight_gradient, workers);
    if (bias_gradient) gather_bias_gradient(w, bias_gradient);
  }
  // Lanes past the last map hold zero.
  void gather_bias_gradient(const Workspace& w, T* bias_gradient) const {
    for (int64_t c = 0; c < channels * multiplier; ++c)
      w.bias_gradient[c] = 0;
    for (int64_t i = 0; i < 2 * pairs * multiplier; ++i)
      for (int64_t l = 0; l < kLanes<T>; ++l) {
        const int64_t pair = i / 2 / multiplier, multiple = i / 2 % multiplier;
        w.bias_gradient[channel_in(pair % patterns, l) * multiplier + multiple] += w.sums[i][l];
      }
    for (int64_t c = 0; c < channels * multiplier; ++c)
      bias_gradient[c] = static_cast<T>(w.bias_gradient[c]);
  }
  void correlate(const Maps<T>& in, const Maps<T>& out, Worker& worker, Cx<T>* sums) const {
    for (int64_t f = 0; f < in.half() + 1; ++f) {
      Cx<T>* const sum = sums + weight_at(f);
      const int64_t vectors = vectors_at(in, f);
      const T each = static_cast<T>(in.batch / vectors);  // the first one's products stand for the second's
      for (int64_t v = 0; v < vectors; ++v) {
        in.transform_column(worker.in_spectrum, v, f, Output<T>::to_values(worker.a, full_rows.n), worker.buffer);
        out.transform_column(worker.out_spectrum, v, f, Output<T>::to_values(worker.b, out_rows.n), worker.buffer);
        for (int64_t k = 0, repeated = 0; k < full_rows.n; ++k) {
          sum[k] = sum[k] + scaled(times_conjugate(worker.b[repeated], worker.a[k]), each);
          if (++repeated == out_rows.n) repeated = 0;
        }
      }
    }
  }
  void correlate_series(const Maps<T>& maps, const Worker& worker, Cx<T>* sums) const {
    for_each_unit(maps, [&](int64_t at, int64_t weight, int64_t count) {
      for (int64_t i = 0; i < count; ++i)
        sums[weight + i] = sums[weight + i] + times_conjugate(worker.out_spectrum[at + i], worker.in_spectrum[at + i]);
    });
  }

  // Sums the workers' products, reads the taps off their inverse transforms, and adds up the lanes that hold the same
  // channel.
  void gather_weight_gradient(const Workspace& w, int64_t pieces, T* weight_gradient, const Workers& workers) const {
    const Maps<T> in = side(false);
    const int64_t block = carry_after(in.units());
    parallel_shares(workers, patterns * multiplier, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      worker.tap_column.prepare(-1);
      for (int64_t i = begin; i < end; ++i) {
        Vec<T>*const gradient = w.tap_gradient + i * taps.count(), *const partial = worker.taps_in_lanes;
        for (int64_t t = 0; t < taps.count(); ++t)
          gradient[t] = partial[t] = Vec<T>{};
        for (int64_t u = 0; u < in.units(); ++u) {
          add_unit(in.unit(u), w.weights + i * spectrum_size(), pieces, worker, partial);
          if (u % block == block - 1) carry<T>(partial, taps.count(), gradient);
        }
        carry<T>(partial, taps.count(), gradient);
      }
    });
    const T scale = static_cast<T>(1.0 / (static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
    for (int64_t i = 0; i < channels * multiplier * problem.num_taps; ++i)
      weight_gradient[i] = T(0);
    for (int64_t pattern = 0; pattern < patterns; ++pattern) {
      const Lanes<T> lanes = pattern_lanes(pattern);
      for (int64_t m = 0; m < multiplier; ++m) {
        const Vec<T>* gradient = w.tap_gradient + (pattern * multiplier + m) * taps.count();
        for (int l = 0; l < kLanes<T>; ++l)
          add_taps(taps, gradient, l, scale, weight_gradient + lanes.offset[l] + m * problem.num_taps);
      }
    }
  }
  void add_unit(const Unit& unit, const Cx<T>* products, int64_t pieces, Worker& worker, Vec<T>* gradient) const {
    Cx<T> of_series[2 * Unit::kSeriesPairs];
    for (int64_t i = 0; i < unit.count; ++i) {
      const int64_t f = unit.frequency[i];
      Cx<T>* const sum = worker.a;
      for (int64_t y = 0; y < full_rows.n; ++y) {
        sum[y] = products[weight_at(f) + y];
        for (int64_t other = 1; other < pieces; ++other)
          sum[y] = sum[y] + products[other * weight_size() + weight_at(f) + y];
      }
      if (series())
        of_series[i] = sum[0];
      else
        worker.tap_column.rows_of(sum, worker.tap_column.share_of(f), worker.rows_of_taps[i]);
    }
    if (series()) {
      const Run run{1, {unit}};
      const Cx<T>* const products = of_series;
      worker.tap_column.set_run(run);
      return worker.tap_column.add_run(run, &products, gradient);
    }
    for (int64_t r = 0; unit.count == 1 && r < taps.rows; ++r)
      worker.rows_of_taps[1][r] = {Vec<T>{}, Vec<T>{}};
    worker.tap_column.set_frequencies(unit.frequency, 1);
    for (int64_t r = 0; r < taps.rows; ++r)
      worker.tap_column.template add_row<1, 1>(r, worker.rows_of_taps[0] + r, worker.rows_of_taps[1] + r, gradient);
  }
};

}  // namespace DASH_ISA
}  // namespace dash
