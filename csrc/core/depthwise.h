// SPDX-License-Identifier: BSD-3-Clause
// Depthwise convolutions (one input channel a group, `multiplier` output channels each). Nothing is summed over
// channels, so kLanes neighbouring input maps go through the whole transform, product and inverse at once, in cache.
// Their channels repeat from sample to sample: the weights' spectra exist once per distinct pattern of channels in the
// lanes. Two vectors of maps of one pattern make a pair (rows.h).
#pragma once
#include "maps.h"
#include "taps.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct Depthwise {
  const ConvProblem& problem;
  const TapList& taps;
  const LengthPlan<T>&full_rows, &full_cols, &out_rows, &out_cols;
  int64_t channels, multiplier, vectors, patterns, pairs;

  Depthwise(const ConvProblem& p, const TapList& t)
      : problem(p), taps(t), full_rows(length_plan<T>(p.length[0])), full_cols(length_plan<T>(p.length[1])),
        out_rows(length_plan<T>(p.length[0] / p.stride[0])), out_cols(length_plan<T>(p.length[1] / p.stride[1])),
        channels(p.groups), multiplier(p.out_channels / p.groups), vectors(ceil_div(p.batch * p.groups, kLanes<T>)) {
    int64_t a = channels, b = kLanes<T>;
    while (b) {
      const int64_t rest = a % b;
      a = b;
      b = rest;
    }
    patterns = smaller(channels / a, vectors);  // after lcm(channels, kLanes) maps the channels in the lanes repeat
    pairs = vectors / (2 * patterns) * patterns + smaller(patterns, vectors % (2 * patterns));
  }

  // Two vectors of maps of one side as a batch of two, or one without a partner, so that Maps' transforms serve.
  Maps<T> side(bool strided, int64_t count = 2) const {
    const int64_t* size = strided ? problem.out : problem.in;
    const MapStrides& at = strided ? problem.out_maps : problem.in_maps;
    return {count,
            kLanes<T>,
            at.sample,
            strided ? multiplier * at.map : at.map,
            at.pixel,
            {size[0], size[1]},
            strided ? &out_rows : &full_rows,
            strided ? &out_cols : &full_cols,
            false,
            full_rows.n == 1};
  }
  // The first vector of a pair; the second comes `patterns` later, if there are so many.
  int64_t first_of(int64_t pair) const { return pair / patterns * 2 * patterns + pair % patterns; }
  int64_t count_of(int64_t pair) const { return first_of(pair) + patterns < vectors ? 2 : 1; }
  // Where the first map of a vector is, and its lanes from there.
  int64_t origin(const Maps<T>& maps, int64_t vector) const {
    const int64_t map = vector * kLanes<T>;
    return map / channels * maps.sample + map % channels * maps.map;
  }
  Lanes<T> lanes(const Maps<T>& maps, int64_t vector) const {
    const int64_t first = vector * kLanes<T>;
    return Lanes<T>::across_samples(first, channels, maps.map, maps.sample, problem.batch * channels - first,
                                    maps.pixel);
  }
  template <class Pointer>
  PlanePair<T, Pointer> planes(const Maps<T>& maps, Pointer data, int64_t pair) const {
    const int64_t v = first_of(pair), other = v + patterns;
    return {data + origin(maps, v),
            maps.batch > 1 ? data + origin(maps, other) : nullptr,
            lanes(maps, v),
            lanes(maps, other),
            1,
            maps.pixel};
  }
  void fill(typename Maps<T>::Places& places, bool strided, bool inverse) const {
    side(strided).fill(places, inverse);
    places.single.fill(side(strided, 1).columns(), 0, 0, inverse);
  }
  int64_t column() const { return odd_stride(full_rows.n); }
  bool series() const { return full_rows.n == 1; }
  bool strided_rows() const { return full_cols.n != out_cols.n; }
  // Spectra of weights, one per pattern and multiple: columns in the order of a half spectrum, or of all frequencies
  // where a product visits them all.
  Columns weight_columns() const {
    const PairOrder order = side(false).order();
    return series() ? Columns{order, 2, Maps<T>::kSeriesUnit, 1} : Columns{order, 0, 2 * column(), column()};
  }
  int64_t weight_at(int64_t f) const { return strided_rows() ? f * column() : weight_columns().at(f, full_cols.n / 2); }
  int64_t spectrum_size() const {
    return strided_rows() ? full_cols.n * column() : side(false).units() * weight_columns().block;
  }
  int64_t weight_size() const { return patterns * multiplier * spectrum_size(); }

  struct Worker {
    Cx<T>*in_spectrum, *out_spectrum, *a, *b, *buffer, *row_scratch;
    Vec<T>*tap_row, *taps_in_lanes;
    Cx<T>* rows_of_taps[2];  // of both frequencies of a pair, for the weights' gradient
    TapColumn<T> tap_column;
  };
  struct Workspace {
    Cx<T>* weights;
    typename Maps<T>::Places in_places, out_places;
    Worker* workers;
  };
  // `copies` of the weights' spectra.
  Workspace make_workspace(Arena& arena, int64_t count, int64_t copies = 1) const {
    const Maps<T> in = side(false), out = side(true);
    Workspace w;
    w.weights = arena.take<Cx<T>>(copies * weight_size());
    w.in_places = in.make_places(arena);
    w.out_places = out.make_places(arena);
    w.workers = arena.take<Worker>(count);
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.in_spectrum = arena.take<Cx<T>>(in.spectrum_size());
      worker.out_spectrum = arena.take<Cx<T>>(out.spectrum_size());
      worker.a = arena.take<Cx<T>>(column());
      worker.b = arena.take<Cx<T>>(column());
      worker.buffer = arena.take<Cx<T>>(in.column_scratch());
      worker.row_scratch = arena.take<Cx<T>>(larger(in.scratch(), out.scratch()));
      worker.tap_row = arena.take<Vec<T>>(problem.num_taps);
      worker.taps_in_lanes = arena.take<Vec<T>>(taps.count());
      for (Cx<T>*& rows : worker.rows_of_taps)
        rows = arena.take<Cx<T>>(taps.rows);
      worker.tap_column = TapColumn<T>::make(taps, full_rows, full_cols, arena);
      if (w.workers) w.workers[i] = worker;
    }
    return w;
  }

  int64_t channel_in(int64_t pattern, int64_t lane) const { return (pattern * kLanes<T> + lane) % channels; }
  // Weight rows of the channels in the lanes of a pattern. Lanes past the last map hold some channel too: nobody reads
  // their result.
  Lanes<T> pattern_lanes(int64_t pattern) const {
    Lanes<T> lanes;
    lanes.count = kLanes<T>;
    lanes.pixel = 1;
    for (int l = 0; l < kLanes<T>; ++l)
      lanes.offset[l] = channel_in(pattern, l) * multiplier * problem.num_taps;
    return lanes;
  }
  Cx<T>* weights_of(const Workspace& w, int64_t pair, int64_t multiple) const {
    return w.weights + (pair % patterns * multiplier + multiple) * spectrum_size();
  }

  void transform_weights(const T* weight, bool forward, const Workspace& w, const Workers& workers) const {
    const T scale = static_cast<T>(1.0 / (static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
    parallel_shares(workers, patterns * multiplier, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      worker.tap_column.prepare(forward ? 1 : -1);
      for (int64_t i = begin; i < end; ++i) {
        load_taps(taps, problem.num_taps, weight + i % multiplier * problem.num_taps, pattern_lanes(i / multiplier),
                  scale, !forward, worker.taps_in_lanes, worker.tap_row);
        Cx<T>* const spectrum = w.weights + i * spectrum_size();
        if (strided_rows())
          transform_all_frequencies(worker, spectrum);
        else
          transform_units(worker, spectrum);
      }
    });
  }
  void transform_all_frequencies(Worker& worker, Cx<T>* spectrum) const {
    for (int64_t f = 0; f < full_cols.n; ++f) {
      worker.tap_column.set_frequencies(&f, 1);
      worker.tap_column.spectra(worker.taps_in_lanes, Output<T>::to_values(spectrum + weight_at(f), full_rows.n),
                                nullptr);
    }
  }
  void transform_units(Worker& worker, Cx<T>* spectrum) const {
    const Maps<T> in = side(false);
    for (int64_t u = 0; u < in.units(); ++u) {
      const Unit unit = in.unit(u);
      Cx<T>* const to = spectrum + weight_at(unit.frequency[0]);
      if (series()) {
        const Run run{1, {unit}};
        const Output<T> out = Output<T>::to_values(to, unit.count);
        worker.tap_column.set_run(run);
        worker.tap_column.template run_spectra<Output<T>::values>(worker.taps_in_lanes, run, &out);
      } else {
        const Output<T> partner = Output<T>::to_values(to + column(), full_rows.n);
        worker.tap_column.set_frequencies(unit.frequency, 1);
        worker.tap_column.spectra(worker.taps_in_lanes, Output<T>::to_values(to, full_rows.n),
                                  unit.count > 1 ? &partner : nullptr);
      }
    }
  }

  // Asks for the maps of a pair that is transformed next.
  void expect(bool strided, const T* data, int64_t pair) const {
    const Maps<T> maps = side(strided, count_of(pair));
    expect_rows<T>(planes(maps, data, pair), maps.size[0] * maps.size[1]);
  }
  // Rows of the maps of a pair, in and out of the worker's spectra. Of `out` there are `multiplier` maps per input map.
  void transform_in(const Workspace& w, const Maps<T>& in, const T* x, int64_t pair, Worker& worker) const {
    if (pair + 1 < pairs) expect(false, x, pair + 1);
    rows_forward<T>(full_cols, planes(in, x, pair), in.all_rows(), T(1), w.in_places.of(in.batch > 1),
                    worker.in_spectrum, worker.row_scratch, nullptr);
  }
  void invert_in(const Workspace& w, const Maps<T>& in, const Worker& worker, T* x, int64_t pair) const {
    rows_inverse(
        full_cols, worker.in_spectrum, w.in_places.of(in.batch > 1), in.all_rows(), [](int64_t) { return Vec<T>{}; },
        planes(in, x, pair), worker.row_scratch);
  }
  int64_t multiple_at(int64_t multiple) const { return multiple * problem.out_maps.map; }
  void transform_out(const Workspace& w, const Maps<T>& out, const T* y, int64_t pair, int64_t multiple, T scale,
                     LaneSums<T>* const sums[2], Worker& worker) const {
    if (multiple + 1 < multiplier)
      expect(true, y + multiple_at(multiple + 1), pair);
    else if (pair + 1 < pairs)
      expect(true, y, pair + 1);
    rows_forward<T>(out_cols, planes(out, y + multiple_at(multiple), pair), out.all_rows(), scale,
                    w.out_places.of(out.batch > 1), worker.out_spectrum, worker.row_scratch, sums);
  }
  // Plus a number per output channel, if there is one: the pair's vectors hold the same channels.
  void invert_out(const Workspace& w, const Maps<T>& out, const Worker& worker, const T* bias, T* y, int64_t pair,
                  int64_t multiple) const {
    Vec<T> plus{};
    for (int64_t l = 0; bias && l < kLanes<T>; ++l)
      plus[l] = bias[channel_in(pair % patterns, l) * multiplier + multiple];
    rows_inverse(
        out_cols, worker.out_spectrum, w.out_places.of(out.batch > 1), out.all_rows(), [=](int64_t) { return plus; },
        planes(out, y + multiple_at(multiple), pair), worker.row_scratch);
  }

  int64_t reversed(int64_t k) const { return k == 0 ? 0 : full_rows.n - k; }

  // Vectors of a pair whose columns at row frequency f are treated.
  static int64_t vectors_at(const Maps<T>& maps, int64_t f) { return maps.mirrors_itself(f) ? 1 : maps.batch; }

  // visit(where a unit of unstrided series stands in the maps' spectra, where in the weights', its frequencies).
  template <class Visit>
  void for_each_unit(const Maps<T>& maps, const Visit& visit) const {
    for (int64_t u = 0; u < maps.units(); ++u) {
      const Unit unit = maps.unit(u);
      for (int64_t v = 0; v < maps.batch; ++v)
        visit(maps.first_column(v) + maps.columns().near(unit.frequency[0]), weight_at(unit.frequency[0]), unit.count);
    }
  }

  // y = x * weights + bias, if there is one: row frequencies that fold onto one are summed, then the column folds in
  // its inverse.
  void forward(const T* x, const T* weight, const T* bias, T* y, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    Workspace w = make_workspace(arena, workers.count);
    fill(w.in_places, false, false);
    fill(w.out_places, true, true);
    transform_weights(weight, true, w, workers);
    parallel_shares(workers, pairs, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      for (int64_t v = begin; v < end; ++v) {
        const Maps<T> in = side(false, count_of(v)), out = side(true, count_of(v));
        transform_in(w, in, x, v, worker);
        for (int64_t m = 0; m < multiplier; ++m) {
          const Cx<T>* const h = weights_of(w, v, m);
          if (series() && !strided_rows())
            multiply_series(in, worker.in_spectrum, h, worker.out_spectrum, false);
          else
            multiply_forward(in, out, worker, h);
          invert_out(w, out, worker, bias, y, v, m);
        }
      }
    });
  }
  void multiply_forward(const Maps<T>& in, const Maps<T>& out, Worker& worker, const Cx<T>* h) const {
    const int64_t aliases = full_cols.n / out_cols.n;
    for (int64_t g = 0; g < out.half() + 1; ++g) {
      for (int64_t v = 0; v < vectors_at(out, g); ++v) {
        in.transform_column(worker.in_spectrum, v, g, Output<T>::to_product(worker.a, h + weight_at(g), full_rows.n),
                            worker.buffer);
        for (int64_t alias = 1; alias < aliases; ++alias) {
          const int64_t f = g + alias * out_cols.n;
          in.transform_column(worker.in_spectrum, v, f, Output<T>::to_values(worker.b, full_rows.n), worker.buffer);
          for (int64_t k = 0; k < full_rows.n; ++k) {
            Cx<T>& sum = worker.a[reversed(k)];
            sum = sum + times(worker.b[k], h[weight_at(f) + k]);
          }
        }
        out.invert_column(worker.a, full_rows.n / out_rows.n, worker.out_spectrum, v, g, worker.buffer);
      }
    }
  }
  void multiply_series(const Maps<T>& maps, const Cx<T>* spectrum, const Cx<T>* h, Cx<T>* result, bool add) const {
    for_each_unit(maps, [=](int64_t at, int64_t weight, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        const Cx<T> product = times(spectrum[at + i], h[weight + i]);
        result[at + i] = add ? result[at + i] + product : product;
      }
    });
  }

  // The gradient of x: the spectrum of y's gradient repeats over the full-length frequencies.
  void input_grad(const T* y_gradient, const T* weight, T* x_gradient, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    Workspace w = make_workspace(arena, workers.count);
    fill(w.in_places, false, true);
    fill(w.out_places, true, false);
    transform_weights(weight, false, w, workers);
    parallel_shares(workers, pairs, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      for (int64_t v = begin; v < end; ++v) {
        const Maps<T> in = side(false, count_of(v)), out = side(true, count_of(v));
        for (int64_t m = 0; m < multiplier; ++m) {
          transform_out(w, out, y_gradient, v, m, T(1), nullptr, worker);
          const Cx<T>* const h = weights_of(w, v, m);
          if (series() && !strided_rows())
            multiply_series(in, worker.out_spectrum, h, worker.in_spectrum, m > 0);
          else
            multiply_back(in, out, worker, h, m > 0);
        }
        invert_in(w, in, worker, x_gradient, v);
      }
    });
  }
  void multiply_back(const Maps<T>& in, const Maps<T>& out, Worker& worker, const Cx<T>* h, bool add) const {
    for (int64_t f = 0; f < in.half() + 1; ++f) {
      const Cx<T>* const weights = h + weight_at(f);
      for (int64_t v = 0; v < vectors_at(in, f); ++v) {
        if (out_rows.n == full_rows.n) {
          out.transform_column(worker.out_spectrum, v, f, Output<T>::to_product(worker.a, weights, full_rows.n),
                               worker.buffer);
        } else {
          out.transform_column(worker.out_spectrum, v, f, Output<T>::to_values(worker.b, out_rows.n), worker.buffer);
          for (int64_t k = 0, repeated = 0; k < full_rows.n; ++k) {
            worker.a[reversed(k)] = times(worker.b[repeated], weights[k]);
            if (++repeated == out_rows.n) repeated = 0;
          }
        }
        if (!add) {
          in.invert_column(worker.a, 1, worker.in_spectrum, v, f, worker.buffer);
          continue;
        }
        fft(full_rows.complex, Input<T>::of(worker.a, full_rows.n), Output<T>::to_values(worker.b, in.size[0]),
            worker.buffer);
        Cx<T>* const sum = worker.in_spectrum + in.first_column(v) + in.columns().at(f, in.half());
        for (int64_t y = 0; y < in.size[0]; ++y)
          sum[y] = sum[y] + worker.b[y];
      }
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
