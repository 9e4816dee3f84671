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
  int64_t from_size() const { return aliases * from.vectors() * from.product_column(); }
  int64_t tile_column() const { return column_stride(full_rows.n); }
  int64_t tile_size() const { return aliases * depth * tile_column(); }
  int64_t weight_row(int64_t k, int64_t j) const { return forward ? j * depth + k : k * width + j; }

  // Columns of both sides, at the current row frequency: vectors of the side whose lanes the result has, factors of the
  // other.
  struct Worker {
    Cx<T>*vectors, *product, *buffer;
    Factor<T>* factors;
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
    w.weights = arena.take<Vec<T>>(weight_groups() * depth * taps.count());
    w.tap_rows = arena.take<Vec<T>>(count * problem.num_taps);
    w.workers = arena.take<Worker>(count);
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.vectors = arena.take<Cx<T>>(to.lanes_are_batch ? from_size() : tile_size());
      worker.factors = arena.take<Factor<T>>(to.lanes_are_batch ? tile_size() : from_size());
      worker.product = arena.take<Cx<T>>(kBlock * tile_column());
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
                  Lanes<T>::strided(stride * problem.num_taps, width - j), scale, w.weights + i * taps.count(),
                  w.tap_rows + worker * problem.num_taps);
      }
    });
  }

  // Columns of `from`, for every row frequency that folds onto g.
  template <class Store>
  DASH_INLINE void transform_from(const Workspace& w, const Worker& worker, int64_t g, const Store& store) const {
    for (int64_t alias = 0; alias < aliases; ++alias) {
      for (int64_t v = 0; v < from.vectors(); ++v) {
        const int64_t at = (alias * from.vectors() + v) * from.product_column();
        from.transform_column(
            w.from_spectrum, v, g + alias * to.cols->n, [=](int64_t y, Cx<T> value) { store(at + y, value); },
            worker.buffer);
      }
    }
  }

  // Columns of the weights of kLanes channels of `to`, likewise.
  template <class Store>
  DASH_INLINE void transform_weights(const Workspace& w, Worker& worker, int64_t group, int64_t g,
                                     const Store& store) const {
    for (int64_t alias = 0; alias < aliases; ++alias) {
      worker.tap_column.set_frequency(g + alias * to.cols->n, forward ? 1 : -1);
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t at = (alias * depth + k) * tile_column();
        worker.tap_column.spectrum(w.weights + (group * depth + k) * taps.count(),
                                   [=](int64_t y, Cx<T> value) { store(at + y, value); });
      }
    }
  }

  // Where (alias, channel k) stands on either side: the same at every frequency.
  void fill_offsets(Worker& worker) const {
    const int64_t column = from.product_column(), members = from.members();
    for (int64_t alias = 0; alias < aliases; ++alias) {
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t at = alias * depth + k, base = alias * from.vectors() * column;
        if (to.lanes_are_batch) {
          worker.p_offset[at] = base + k * column;
          worker.q_offset[at] = at * tile_column() * kFactorScalars<T>;
        } else {
          worker.p_offset[at] = at * tile_column();
          worker.q_offset[at] =
              base * kFactorScalars<T> + (from.lanes_are_batch ? factor_offset<T>(0, k, members, column)
                                                               : factor_offset<T>(k, 0, members, column));
        }
      }
    }
  }

  // One row frequency of the result.
  void multiply(const Workspace& w, Worker& worker, int64_t g) const {
    Cx<T>* const vectors = worker.vectors;
    Factor<T>* const factors = worker.factors;
    const auto keep_vector = [=](int64_t at, Cx<T> value) { vectors[at] = value; };
    const auto keep_factor = [=](int64_t at, Cx<T> value) { factors[at] = factor(value); };
    if (to.lanes_are_batch)
      transform_from(w, worker, g, keep_vector);
    else
      transform_from(w, worker, g, keep_factor);
    for (int64_t group = 0; group < weight_groups(); ++group) {
      const int64_t channel = group * kLanes<T>;
      if (to.lanes_are_batch) {
        transform_weights(w, worker, group, g, keep_factor);
        for (int64_t p = 0; p < from.groups(); ++p)
          contract_and_invert(
              w, worker, g, vectors + from.vector_of(p, 0) * from.product_column(), smaller(kLanes<T>, width - channel),
              [=](int64_t j) { return j; }, [=](int64_t j) { return to.vector_of(p, channel + j); });
      } else {
        transform_weights(w, worker, group, g, keep_vector);
        contract_and_invert(
            w, worker, g, vectors, to.batch,
            [=](int64_t b) {
              return from.lanes_are_batch ? factor_offset<T>(b, 0, from.members(), from.product_column())
                                          : factor_offset<T>(0, b, from.members(), from.product_column());
            },
            [=](int64_t b) { return to.vector_of(group, b); });
      }
    }
  }

  // Results j in [0, count): scalar_at says where their scalars stand, vector_at which vector of `to` each is.
  template <class ScalarAt, class VectorAt>
  void contract_and_invert(const Workspace& w, const Worker& worker, int64_t g, const Cx<T>* p, int64_t count,
                           const ScalarAt& scalar_at, const VectorAt& vector_at) const {
    Product<T> product{p,           worker.p_offset, worker.factors, worker.q_offset, aliases * depth, from.rows->n,
                       full_rows.n, full_rows.n,     worker.product, tile_column()};
    if (!to.lanes_are_batch) {
      product.p_period = full_rows.n;
      product.q_period = from.rows->n;
    }
    for (int64_t j0 = 0; j0 < count; j0 += kBlock) {
      const int64_t block = smaller(kBlock, count - j0);
      int64_t j_offset[kBlock];
      for (int64_t j = 0; j < block; ++j)
        j_offset[j] = scalar_at(j0 + j);
      contract(product, block, j_offset);
      for (int64_t j = 0; j < block; ++j)
        to.invert_column(worker.product + j * tile_column(), full_rows.n / to.rows->n, w.to_spectrum, vector_at(j0 + j),
                         g, worker.buffer);
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
