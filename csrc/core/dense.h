// SPDX-License-Identifier: BSD-3-Clause
// Convolutions that sum over channels (dense, or a few groups). Three steps: transform rows of the input; then, one row
// frequency at a time, transform columns, multiply over channels, transform back; then invert rows. The weights'
// spectrum exists for one row frequency and kLanes channels at a time.
#pragma once
#include "contract.h"
#include "maps.h"
#include "taps.h"

namespace dash {
namespace DASH_ISA {

// Where scalar (group of lanes, lane) of member m lies in columns of vectors, counted in scalars of type T.
template <class T>
int64_t scalar_offset(int64_t lane, int64_t member, int64_t members, int64_t column) {
  return ((lane / kLanes<T>)*members + member) * column * 2 * kLanes<T> + lane % kLanes<T>;
}

template <class T>
Maps<T> input_maps(const ConvProblem& p, bool strided_side) {
  const int64_t channels = strided_side ? p.out_channels : p.in_channels;
  const int64_t* size = strided_side ? p.out : p.in;
  const int64_t area = size[0] * size[1];
  Maps<T> maps{p.batch, channels / p.groups, channels * area, area, {size[0], size[1]}, nullptr, nullptr, true};
  maps.rows = &length_plan<T>(p.length[0] / (strided_side ? p.stride[0] : 1));
  maps.cols = &length_plan<T>(p.length[1] / (strided_side ? p.stride[1] : 1));
  return maps;
}

// The forward convolution and its input gradient are one algorithm with the roles of the two sides exchanged: `from` is
// transformed, multiplied over its channels (depth) with weights, and `to` receives the result.
template <class T>
struct DenseTransfer {
  const ConvProblem& problem;
  const TapList& taps;
  const bool forward;
  Maps<T> from, to;
  const LengthPlan<T>&full_rows, &full_cols;
  int64_t depth, width, aliases;  // channels of `from`, channels of `to`, row frequencies that fold onto one

  DenseTransfer(const ConvProblem& p, const TapList& t, bool is_forward)
      : problem(p), taps(t), forward(is_forward), from(input_maps<T>(p, !is_forward)), to(input_maps<T>(p, is_forward)),
        full_rows(length_plan<T>(p.length[0])), full_cols(length_plan<T>(p.length[1])), depth(from.channels),
        width(to.channels), aliases(full_cols.n / to.cols->n) {
    choose_lanes();
  }

  // Lanes across samples, weights broadcast; or, for small batches, lanes across output channels and samples broadcast.
  // The costs count vectors moved through transforms and products in both.
  void choose_lanes() {
    constexpr int64_t kTransform = 12;  // a transformed vector costs about as much as this many complex products
    const auto padded = [](int64_t n) { return ceil_div(n, kLanes<T>); };
    const int64_t by_batch = padded(from.batch) * ((depth + width) * kTransform + depth * width);
    const bool narrow = padded(from.batch) * depth < padded(depth) * from.batch;
    const int64_t source = narrow ? padded(from.batch) * depth : padded(depth) * from.batch;
    const int64_t by_channel = (source + padded(width) * from.batch) * kTransform + padded(width) * depth * from.batch;
    to.lanes_are_batch = by_batch <= by_channel;
    from.lanes_are_batch = to.lanes_are_batch || narrow;
  }

  int64_t weight_groups() const { return ceil_div(width, kLanes<T>); }
  int64_t tile_size() const { return aliases * depth * column_stride(full_rows.n); }
  int64_t weight_row(int64_t k, int64_t j) const { return forward ? j * depth + k : k * width + j; }

  struct Worker {
    Cx<T>*columns, *tile, *product, *buffer;
    int64_t *p_offset, *q_offset;
    TapColumn<T> tap_column;
  };
  struct Workspace {
    Cx<T>*from_spectrum, *to_spectrum, *row_scratch;
    Vec<T>*weights, *tap_rows;
    Worker* workers;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.from_spectrum = arena.take<Cx<T>>(from.spectrum_size());
    w.to_spectrum = arena.take<Cx<T>>(to.spectrum_size());
    w.row_scratch = arena.take<Cx<T>>(count * larger(from.scratch(), to.scratch()));
    w.weights = arena.take<Vec<T>>(weight_groups() * depth * taps.count);
    w.tap_rows = arena.take<Vec<T>>(count * problem.num_taps);
    w.workers = arena.take<Worker>(count);
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.columns = arena.take<Cx<T>>(aliases * from.vectors() * from.product_column());
      worker.tile = arena.take<Cx<T>>(tile_size());
      worker.product = arena.take<Cx<T>>(kBlock * column_stride(full_rows.n));
      worker.buffer = arena.take<Cx<T>>(2 * full_rows.n);
      worker.p_offset = arena.take<int64_t>(aliases * depth);
      worker.q_offset = arena.take<int64_t>(aliases * depth);
      worker.tap_column = TapColumn<T>::make(taps, full_rows, full_cols, arena);
      if (w.workers) w.workers[i] = worker;
    }
    return w;
  }

  // The weights of every (group of kLanes channels of `to`, channel of `from`), transposed, with the scale of the whole
  // transform.
  void load_weights(const T* weight, const Workspace& w, const Workers& workers) const {
    const T scale = static_cast<T>(1.0 / (2.0 * static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
    parallel_pieces(workers, weight_groups() * depth, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t j = i / depth * kLanes<T>, k = i % depth, stride = forward ? depth : 1;
        load_taps(taps, problem.num_taps, weight + weight_row(k, j) * problem.num_taps,
                  Lanes<T>::strided(stride * problem.num_taps, width - j), scale, w.weights + i * taps.count,
                  w.tap_rows + worker * problem.num_taps);
      }
    });
  }

  void transform_weights(const Workspace& w, Worker& worker, int64_t group, int64_t alias, int64_t f) const {
    worker.tap_column.set_frequency(f, forward ? 1 : -1);
    for (int64_t k = 0; k < depth; ++k) {
      Cx<T>* out = worker.tile + (alias * depth + k) * column_stride(full_rows.n);
      worker.tap_column.spectrum(w.weights + (group * depth + k) * taps.count,
                                 [out](int64_t y, Cx<T> v) { out[y] = v; });
    }
  }

  // Offsets that do not change from frequency to frequency: (alias, channel k) of the columns and of the weight tile.
  void fill_offsets(Worker& worker) const {
    const int64_t tile_column = column_stride(full_rows.n), column = from.product_column(), members = from.members();
    for (int64_t alias = 0; alias < aliases; ++alias) {
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t at = alias * depth + k, base = alias * from.vectors() * column;
        if (to.lanes_are_batch) {
          worker.p_offset[at] = base + k * column;
          worker.q_offset[at] = at * tile_column * 2 * kLanes<T>;
        } else {
          worker.p_offset[at] = at * tile_column;
          worker.q_offset[at] = base * 2 * kLanes<T> + (from.lanes_are_batch ? scalar_offset<T>(0, k, members, column)
                                                                             : scalar_offset<T>(k, 0, members, column));
        }
      }
    }
  }

  // One row frequency of the result.
  void multiply(const Workspace& w, Worker& worker, int64_t g) const {
    const int64_t column = from.product_column(), product_column = column_stride(full_rows.n), members = from.members();
    for (int64_t alias = 0; alias < aliases; ++alias) {
      for (int64_t v = 0; v < from.vectors(); ++v) {
        Cx<T>* out = worker.columns + (alias * from.vectors() + v) * column;
        from.transform_column(
            w.from_spectrum, v, g + alias * to.cols->n, [out](int64_t y, Cx<T> value) { out[y] = value; },
            worker.buffer);
      }
    }
    const int64_t folds = full_rows.n / to.rows->n;
    const T* scalars = &reinterpret_cast<const T&>(*worker.columns);
    for (int64_t group = 0; group < weight_groups(); ++group) {
      for (int64_t alias = 0; alias < aliases; ++alias)
        transform_weights(w, worker, group, alias, g + alias * to.cols->n);
      const T* tile_scalars = &reinterpret_cast<const T&>(*worker.tile);
      const int64_t blocked = to.lanes_are_batch ? smaller(kLanes<T>, width - group * kLanes<T>) : to.batch;
      for (int64_t p = 0; p < (to.lanes_are_batch ? from.groups() : 1); ++p) {
        for (int64_t j0 = 0; j0 < blocked; j0 += kBlock) {
          const int64_t count = smaller(kBlock, blocked - j0);
          int64_t j_offset[kBlock];
          for (int64_t j = 0; j < count; ++j) {
            if (to.lanes_are_batch)
              j_offset[j] = j0 + j;
            else
              j_offset[j] = from.lanes_are_batch ? scalar_offset<T>(j0 + j, 0, members, column)
                                                 : scalar_offset<T>(0, j0 + j, members, column);
          }
          if (to.lanes_are_batch)
            contract<T, false>(count, worker.columns + p * members * column, from.rows->n, worker.p_offset,
                               tile_scalars, full_rows.n, worker.q_offset, j_offset, aliases * depth, full_rows.n,
                               worker.product, product_column);
          else
            contract<T, false>(count, worker.tile, full_rows.n, worker.p_offset, scalars, from.rows->n, worker.q_offset,
                               j_offset, aliases * depth, full_rows.n, worker.product, product_column);
          for (int64_t j = 0; j < count; ++j) {
            const int64_t vector =
                to.lanes_are_batch ? to.vector_of(p, group * kLanes<T> + j0 + j) : to.vector_of(group, j0 + j);
            to.invert_column(worker.product + j * product_column, folds, w.to_spectrum, vector, g, worker.buffer);
          }
        }
      }
    }
  }

  void run(const T* source, const T* weight, T* result, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    for (int64_t i = 0; i < workers.count; ++i) {
      fill_offsets(w.workers[i]);
      w.workers[i].tap_column.prepare(forward ? 1 : -1);
    }
    for (int64_t group = 0; group < problem.groups; ++group) {
      const int64_t weights_of_group =
          problem.out_channels / problem.groups * (problem.in_channels / problem.groups) * problem.num_taps;
      from.transform_rows(source + group * depth * from.map, w.from_spectrum, w.row_scratch, workers);
      load_weights(weight + group * weights_of_group, w, workers);
      parallel_pieces(workers, to.frequencies(), [&](int64_t worker, int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g)
          multiply(w, w.workers[worker], g);
      });
      to.invert_rows(w.to_spectrum, result + group * width * to.map, T(1), w.row_scratch, workers);
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
