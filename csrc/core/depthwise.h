// SPDX-License-Identifier: BSD-3-Clause
// Depthwise convolutions (one input channel a group, `multiplier` output channels each). Nothing is summed over
// channels, so kLanes neighbouring input maps go through the whole transform, product and inverse at once, in cache.
// Their channels repeat from sample to sample: the weights' spectra exist once per distinct pattern of channels in the
// lanes.
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
  int64_t channels, multiplier, vectors, patterns;

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
  }

  // kLanes maps of one side as a batch of one vector, so that Maps' transforms serve.
  Maps<T> side(bool strided) const {
    const int64_t* size = strided ? problem.out : problem.in;
    const int64_t area = size[0] * size[1];
    return {1,
            kLanes<T>,
            0,
            strided ? multiplier * area : area,
            {size[0], size[1]},
            strided ? &out_rows : &full_rows,
            strided ? &out_cols : &full_cols,
            false};
  }
  Lanes<T> map_lanes(const Maps<T>& maps, int64_t vector) const {
    return Lanes<T>::strided(maps.map, problem.batch * channels - vector * kLanes<T>);
  }
  int64_t column() const { return column_stride(full_rows.n); }
  int64_t frequencies() const { return full_cols.n / 2 + 1; }
  // Spectra of weights, one per pattern and multiple: at every full-length row frequency that a product visits.
  int64_t weight_columns() const { return (full_cols.n == out_cols.n ? frequencies() : full_cols.n); }
  int64_t weight_size() const { return patterns * multiplier * weight_columns() * column(); }

  struct Worker {
    Cx<T>*in_spectrum, *out_spectrum, *a, *b, *buffer, *row_scratch;
    Vec<T>*tap_row, *taps_in_lanes;
    TapColumn<T> tap_column;
  };
  struct Workspace {
    Cx<T>* weights;
    Vec<T>* tap_gradient;
    Worker* workers;
  };
  Workspace make_workspace(Arena& arena, int64_t count, bool weight_grad) const {
    const Maps<T> in = side(false), out = side(true);
    Workspace w;
    w.weights = arena.take<Cx<T>>((weight_grad ? count : 1) * weight_size());
    w.tap_gradient = arena.take<Vec<T>>(weight_grad ? patterns * multiplier * taps.count() : 0);
    w.workers = arena.take<Worker>(count);
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.in_spectrum = arena.take<Cx<T>>(in.spectrum_size());
      worker.out_spectrum = arena.take<Cx<T>>(out.spectrum_size());
      worker.a = arena.take<Cx<T>>(column());
      worker.b = arena.take<Cx<T>>(column());
      worker.buffer = arena.take<Cx<T>>(2 * full_rows.n);
      worker.row_scratch = arena.take<Cx<T>>(larger(in.scratch(), out.scratch()));
      worker.tap_row = arena.take<Vec<T>>(problem.num_taps);
      worker.taps_in_lanes = arena.take<Vec<T>>(taps.count());
      worker.tap_column = TapColumn<T>::make(taps, full_rows, full_cols, arena);
      if (w.workers) w.workers[i] = worker;
    }
    return w;
  }

  // Weight rows of the channels in the lanes of a pattern. Lanes past the last map hold some channel too: nobody reads
  // their result.
  Lanes<T> pattern_lanes(int64_t pattern) const {
    Lanes<T> lanes;
    lanes.count = kLanes<T>;
    for (int l = 0; l < kLanes<T>; ++l)
      lanes.offset[l] = (pattern * kLanes<T> + l) % channels * multiplier * problem.num_taps;
    return lanes;
  }
  int64_t weight_index(int64_t vector, int64_t multiple, int64_t f) const {
    return ((vector % patterns * multiplier + multiple) * weight_columns() + f) * column();
  }

  void transform_weights(const T* weight, bool forward, const Workspace& w, const Workers& workers) const {
    const T scale = static_cast<T>(1.0 / (2.0 * static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
    const int sign = forward ? 1 : -1;
    parallel_pieces(workers, patterns * multiplier, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      worker.tap_column.prepare(sign);
      for (int64_t i = begin; i < end; ++i) {
        load_taps(taps, problem.num_taps, weight + i % multiplier * problem.num_taps, pattern_lanes(i / multiplier),
                  scale, worker.taps_in_lanes, worker.tap_row);
        for (int64_t f = 0; f < weight_columns(); ++f) {
          Cx<T>* out = w.weights + (i * weight_columns() + f) * column();
          worker.tap_column.set_frequency(f, sign);
          worker.tap_column.spectrum(worker.taps_in_lanes, [out](int64_t y, Cx<T> v) { out[y] = v; });
        }
      }
    });
  }

  // Rows of the maps of vector v, in and out of the worker's spectra. Of `out` there are `multiplier` maps per input
  // map.
  void transform_in(const Maps<T>& in, const T* x, int64_t v, Worker& worker) const {
    rows_forward(full_cols, x + v * kLanes<T> * in.map, map_lanes(in, v), in.size[0], in.size[1], worker.in_spectrum,
                 in.columns(), worker.row_scratch);
  }
  void invert_in(const Maps<T>& in, const Worker& worker, T* x, int64_t v) const {
    rows_inverse(full_cols, worker.in_spectrum, in.columns(), x + v * kLanes<T> * in.map, map_lanes(in, v), in.size[0],
                 in.size[1], T(1), worker.row_scratch);
  }
  int64_t out_origin(const Maps<T>& out, int64_t v, int64_t multiple) const {
    return v * kLanes<T> * out.map + multiple * out.size[0] * out.size[1];
  }
  void transform_out(const Maps<T>& out, const T* y, int64_t v, int64_t multiple, Worker& worker) const {
    rows_forward(out_cols, y + out_origin(out, v, multiple), map_lanes(out, v), out.size[0], out.size[1],
                 worker.out_spectrum, out.columns(), worker.row_scratch);
  }
  void invert_out(const Maps<T>& out, const Worker& worker, T* y, int64_t v, int64_t multiple) const {
    rows_inverse(out_cols, worker.out_spectrum, out.columns(), y + out_origin(out, v, multiple), map_lanes(out, v),
                 out.size[0], out.size[1], T(1), worker.row_scratch);
  }

  // body(k, k modulo the length of the strided side) at every full-length column frequency.
  template <class Body>
  DASH_INLINE void for_each_row_frequency(const Body& body) const {
    for (int64_t k = 0, repeated = 0; k < full_rows.n; ++k) {
      body(k, repeated);
      if (++repeated == out_rows.n) repeated = 0;
    }
  }

  // y = x * weights: row frequencies that fold onto one are summed, then the column folds in its inverse.
  void forward(const T* x, const T* weight, T* y, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count, false);
    transform_weights(weight, true, w, workers);
    const Maps<T> in = side(false), out = side(true);
    const int64_t aliases = full_cols.n / out_cols.n, folds = full_rows.n / out_rows.n;
    parallel_pieces(workers, vectors, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      Cx<T>* const product = worker.a;
      for (int64_t v = begin; v < end; ++v) {
        transform_in(in, x, v, worker);
        for (int64_t m = 0; m < multiplier; ++m) {
          for (int64_t g = 0; g < out.frequencies(); ++g) {
            for (int64_t alias = 0; alias < aliases; ++alias) {
              const int64_t f = g + alias * out_cols.n;
              const Cx<T>* h = w.weights + weight_index(v, m, f);
              const auto multiply = [=](int64_t k, Cx<T> value) {
                product[k] = alias == 0 ? times(value, h[k]) : product[k] + times(value, h[k]);
              };
              in.transform_column(worker.in_spectrum, 0, f, multiply, worker.buffer);
            }
            out.invert_column(product, folds, worker.out_spectrum, 0, g, worker.buffer);
          }
          invert_out(out, worker, y, v, m);
        }
      }
    });
  }

  // The gradient of x: the spectrum of y's gradient repeats over the full-length frequencies.
  void input_grad(const T* y_gradient, const T* weight, T* x_gradient, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count, false);
    transform_weights(weight, false, w, workers);
    const Maps<T> in = side(false), out = side(true);
    parallel_pieces(workers, vectors, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      Cx<T>*const product = worker.a, *const column = worker.b;
      const auto keep = [column](int64_t k, Cx<T> value) { column[k] = value; };
      for (int64_t v = begin; v < end; ++v) {
        for (int64_t m = 0; m < multiplier; ++m) {
          transform_out(out, y_gradient, v, m, worker);
          for (int64_t f = 0; f < frequencies(); ++f) {
            const Cx<T>* h = w.weights + weight_index(v, m, f);
            out.transform_column(worker.out_spectrum, 0, f, keep, worker.buffer);
            for_each_row_frequency([=](int64_t k, int64_t repeated) { product[k] = times(column[repeated], h[k]); });
            if (m == 0)
              in.invert_column(product, 1, worker.in_spectrum, 0, f, worker.buffer);
            else
              add_inverted_column(product, worker, f, in);
          }
        }
        invert_in(in, worker, x_gradient, v);
      }
    });
  }
  void add_inverted_column(const Cx<T>* product, Worker& worker, int64_t f, const Maps<T>& in) const {
    Cx<T>* sum = worker.in_spectrum + in.columns().at(f);
    const int64_t count = in.size[0];
    const auto add = [=](int64_t y, Cx<T> v) {
      if (y < count) sum[y] = sum[y] + swapped(v);
    };
    fft(full_rows.complex, full_rows.n, count, [=](int64_t y) { return swapped(product[y]); }, add, worker.buffer);
  }

  void weight_grad(const T* y_gradient, const T* x, T* weight_gradient, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count, true);
    const Maps<T> in = side(false), out = side(true);
    const int64_t pieces = larger(1, smaller(workers.count, vectors));
    parallel_pieces(workers, vectors, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      Cx<T>*const in_column = worker.a, *const out_column = worker.b, *const sums = w.weights + piece * weight_size();
      const auto keep_in = [in_column](int64_t k, Cx<T> value) { in_column[k] = value; };
      const auto keep_out = [out_column](int64_t k, Cx<T> value) { out_column[k] = value; };
      for (int64_t i = 0; i < weight_size(); ++i)
        sums[i] = {Vec<T>{}, Vec<T>{}};
      for (int64_t v = begin; v < end; ++v) {
        transform_in(in, x, v, worker);
        for (int64_t m = 0; m < multiplier; ++m) {
          transform_out(out, y_gradient, v, m, worker);
          for (int64_t f = 0; f < frequencies(); ++f) {
            Cx<T>* const sum = sums + weight_index(v, m, f);
            in.transform_column(worker.in_spectrum, 0, f, keep_in, worker.buffer);
            out.transform_column(worker.out_spectrum, 0, f, keep_out, worker.buffer);
            for_each_row_frequency([=](int64_t k, int64_t repeated) {
              sum[k] = sum[k] + times_conjugate(out_column[repeated], in_column[k]);
            });
          }
        }
      }
    });
    gather_weight_gradient(w, pieces, weight_gradient, workers);
  }

  // Sums the workers' products, reads the taps off their inverse transforms, and adds up the lanes that hold the same
  // channel.
  void gather_weight_gradient(const Workspace& w, int64_t pieces, T* weight_gradient, const Workers& workers) const {
    const int64_t block = carry_after(frequencies());
    parallel_pieces(workers, patterns * multiplier, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& worker = w.workers[piece];
      worker.tap_column.prepare(-1);
      for (int64_t i = begin; i < end; ++i) {
        Vec<T>*const gradient = w.tap_gradient + i * taps.count(), *const partial = worker.taps_in_lanes;
        for (int64_t t = 0; t < taps.count(); ++t)
          gradient[t] = partial[t] = Vec<T>{};
        for (int64_t f = 0; f < frequencies(); ++f) {
          const Cx<T>* products = w.weights + (i * weight_columns() + f) * column();
          const int64_t next = weight_size();
          const auto sum = [=](int64_t y) {
            Cx<T> total = products[y];
            for (int64_t other = 1; other < pieces; ++other)
              total = total + products[other * next + y];
            return total;
          };
          worker.tap_column.set_frequency(f, -1);
          worker.tap_column.accumulate(sum, f == 0 || 2 * f == full_cols.n ? T(1) : T(2), partial);
          if (f % block == block - 1) carry<T>(partial, taps.count(), gradient);
        }
        carry<T>(partial, taps.count(), gradient);
      }
    });
    const T scale = static_cast<T>(1.0 / (4.0 * static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
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
};

}  // namespace DASH_ISA
}  // namespace dash
