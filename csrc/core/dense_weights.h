// SPDX-License-Identifier: BSD-3-Clause
// The weight gradient of a convolution that sums over channels: one run of row frequencies at a time, the product of
// both sides' columns is summed over the batch, and only the taps of its inverse transform are kept.
#pragma once
#include "dense.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct DenseWeightGrad {
  const ConvProblem& problem;
  const TapList& taps;
  Maps<T> out, in;  // lanes of `out` are output channels
  const LengthPlan<T>&full_rows, &full_cols;
  int64_t batch, width, tap_vectors;
  int64_t out_height, in_height, height;  // rows of the tiles and of the product, as in DenseTransfer
  int64_t
      run_units;  // units that are treated together, with a tile each; of a map\'s two frequencies one after the other

  DenseWeightGrad(const ConvProblem& p, const TapList& t)
      : problem(p), taps(t), out(side_maps<T>(p, true)), in(side_maps<T>(p, false)),
        full_rows(length_plan<T>(p.length[0])), full_cols(length_plan<T>(p.length[1])), batch(p.batch),
        width(in.channels), tap_vectors(0), out_height(in.series ? 2 * Unit::kSeriesPairs : out.rows->n),
        in_height(in.series ? 2 * Unit::kSeriesPairs : in.rows->n),
        height(in.series ? 2 * Unit::kSeriesPairs : full_rows.n), run_units(units_per_run<T>(p, t)) {
    out.lanes_are_batch = false;
    in.lanes_are_batch = Maps<T>::batch_groups(batch) * width < ceil_div(width, kLanes<T>) * batch;
    tap_vectors = out.groups() * width * taps.count();
  }

  Tile out_tile() const { return Tile::of(batch, out_height, in.series); }  // of one group of output channels
  Tile in_tile() const { return Tile::of(in.vectors(), in_height, in.series); }
  int64_t product_column() const { return odd_stride(height); }

  struct Worker {
    Cx<T>*out_columns, *product, *buffer;  // [tile][group of output channels]: a tile
    Factor<T>* in_factors;                 // [tile]
    Cx<T>* rows_of_taps[2];                // [group][input channel][row of taps] of both frequencies of a pair
    // [group of output channels][input channel][tap]: the sum so far, and that of the latest frequencies
    Vec<T>*gradient, *partial;
    TapColumn<T> tap_column;
  };
  struct Workspace {
    Cx<T>*out_spectrum, *in_spectrum, *row_scratch;
    typename Maps<T>::Places out_places, in_places;
    int64_t* q_offset;
    Vec<T>* tap_rows;
    LaneSums<T>* sums;  // of the gradient of the output, one per vector
    Worker* workers;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.out_spectrum = arena.take<Cx<T>>(out.spectrum_size());
    w.in_spectrum = arena.take<Cx<T>>(in.spectrum_size());
    w.row_scratch = arena.take<Cx<T>>(count * larger(out.scratch(), in.scratch()));
    w.out_places = out.make_places(arena);
    w.in_places = in.make_places(arena);
    w.q_offset = arena.take<int64_t>(batch);
    w.tap_rows = arena.take<Vec<T>>(count * problem.num_taps);
    w.sums = arena.take<LaneSums<T>>(out.vectors());
    w.workers = arena.take<Worker>(count);
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.out_columns = arena.take<Cx<T>>(run_units * out.groups() * out_tile().size);
      worker.in_factors = arena.take<Factor<T>>(run_units * in_tile().size);
      worker.product = arena.take<Cx<T>>(run_units * kBlock * product_column());
      worker.buffer = arena.take<Cx<T>>(larger(out.column_scratch(), in.column_scratch()));
      for (Cx<T>*& rows : worker.rows_of_taps)
        rows = arena.take<Cx<T>>(in.series ? 0 : out.groups() * width * taps.rows);
      worker.gradient = arena.take<Vec<T>>(tap_vectors);
      worker.partial = arena.take<Vec<T>>(tap_vectors);
      worker.tap_column = TapColumn<T>::make(taps, full_rows, full_cols, arena);
      if (w.workers) w.workers[i] = worker;
    }
    return w;
  }

  // Both sides of one frequency of maps, or of all of a unit of series.
  void transform_sides(const Workspace& w, const Worker& worker, const int64_t* f, int64_t count, int64_t tile) const {
    const Tile from_out = out_tile(), from_in = in_tile();
    for (int64_t group = 0; group < out.groups(); ++group) {
      Cx<T>* const columns = worker.out_columns + (tile * out.groups() + group) * from_out.size;
      out.transform_tile(w.out_spectrum, out.vector_of(group, 0), batch, f, count, from_out,
                         Output<T>::to_values(columns, out_height, from_out.row), worker.buffer);
    }
    Factor<T>* const factors = worker.in_factors + tile * from_in.size;
    in.transform_tile(w.in_spectrum, 0, in.vectors(), f, count, from_in,
                      Output<T>::to_factors(factors, in_height, from_in.row, true), worker.buffer);
  }
  // Products of a group of output channels with a block of input channels from j0 on; that of channel j0 + j stands at
  // product_of(worker, tile, j).
  void multiply(const Workspace& w, const Worker& worker, int64_t count, int64_t tile, int64_t group, int64_t j0,
                int64_t block) const {
    const Tile from_out = out_tile(), from_in = in_tile();
    Product<T> product{};
    product.p = worker.out_columns + (tile * out.groups() + group) * from_out.size;
    product.p_row = from_out.row;
    product.p_member = from_out.member;
    product.q = worker.in_factors + tile * from_in.size;
    product.q_row = from_in.row;
    product.q_offset = w.q_offset;
    product.depth = batch;
    product.n = in.series ? count : full_rows.n;
    product.p_period = smaller(product.n, out_height);
    product.q_period = smaller(product.n, in_height);
    product.out = product_of(worker, tile, 0);
    product.out_stride = product_column();
    int64_t j_offset[kBlock];
    for (int64_t j = 0; j < block; ++j)
      j_offset[j] = in.scalar_in(from_in, 0, j0 + j);
    contract(product, block, j_offset);
  }
  Cx<T>* product_of(const Worker& worker, int64_t tile, int64_t j) const {
    return worker.product + (tile * kBlock + j) * product_column();
  }
  // visit(group of output channels, first input channel of a block, input channels in it)
  template <class Visit>
  void for_each_block(const Visit& visit) const {
    for (int64_t group = 0; group < out.groups(); ++group)
      for (int64_t j0 = 0; j0 < width; j0 += kBlock)
        visit(group, j0, smaller(kBlock, width - j0));
  }

  void add_series(const Workspace& w, Worker& worker, const Run& run) const {
    for (int64_t tile = 0; tile < run.count; ++tile)
      transform_sides(w, worker, run.unit[tile].frequency, run.unit[tile].count, tile);
    worker.tap_column.set_run(run);
    for_each_block([&](int64_t group, int64_t j0, int64_t block) {
      for (int64_t tile = 0; tile < run.count; ++tile)
        multiply(w, worker, run.unit[tile].count, tile, group, j0, block);
      for (int64_t j = 0; j < block; ++j) {
        const Cx<T>* const products[Run::kMost] = {product_of(worker, 0, j), product_of(worker, run.count - 1, j)};
        worker.tap_column.add_run(run, products, worker.partial + (group * width + j0 + j) * taps.count());
      }
    });
  }

  void add_maps(const Workspace& w, Worker& worker, const Unit& unit) const {
    for (int64_t tile = 0; tile < 2; ++tile) {
      Cx<T>* const rows = worker.rows_of_taps[tile];
      if (tile < unit.count) {
        transform_sides(w, worker, unit.frequency + tile, 1, 0);
        for_each_block([&](int64_t group, int64_t j0, int64_t block) {
          multiply(w, worker, 1, 0, group, j0, block);
          for (int64_t j = 0; j < block; ++j)
            worker.tap_column.rows_of(product_of(worker, 0, j), unit.frequency[tile],
                                      rows + (group * width + j0 + j) * taps.rows);
        });
      } else {
        for (int64_t i = 0; i < out.groups() * width * taps.rows; ++i)
          rows[i] = {Vec<T>{}, Vec<T>{}};
      }
    }
    worker.tap_column.set_frequencies(unit.frequency, 1);
    for (int64_t i = 0; i < out.groups() * width; ++i) {
      const int64_t at = i * taps.rows;
      for (int64_t r = 0; r < taps.rows; ++r)
        worker.tap_column.template add_row<1, 1>(r, worker.rows_of_taps[0] + at + r, worker.rows_of_taps[1] + at + r,
                                                 worker.partial + i * taps.count());
    }
  }

  void store_gradient(const Workspace& w, int64_t group_of_channels, T* result, bool add,
                      const Workers& workers) const {
    T* const to = result + group_of_channels * out.channels * width * problem.num_taps;
    const T scale = static_cast<T>(1.0 / (static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
    parallel_shares(workers, out.groups() * width, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Vec<T>* sum = w.workers[0].gradient + i * taps.count();
        for (int64_t other = 1; other < pieces(workers); ++other) {
          const Vec<T>* more = w.workers[other].gradient + i * taps.count();
          for (int64_t t = 0; t < taps.count(); ++t)
            sum[t] += more[t];
        }
        const int64_t o = i / width * kLanes<T>, c = i % width;
        store_taps(taps, problem.num_taps, sum, scale, to + (o * width + c) * problem.num_taps,
                   Lanes<T>::strided(width * problem.num_taps, out.channels - o),
                   w.tap_rows + worker * problem.num_taps, add);
      }
    });
  }

  void store_sums(const LaneSums<T>* sums, T* of_channels, bool add) const {
    for (int64_t c = 0; c < out.channels; ++c) {
      double sum = add ? of_channels[c] : 0;
      for (int64_t b = 0; b < batch; ++b)
        sum += sums[out.vector_of(c / kLanes<T>, b)][c % kLanes<T>];
      of_channels[c] = static_cast<T>(sum);
    }
  }

  void prepare(Workspace& w, const Workers& workers) const {
    out.fill(w.out_places, false);
    in.fill(w.in_places, false);
    for (int64_t b = 0; b < batch; ++b)
      w.q_offset[b] = in.scalar_in(in_tile(), b, 0);
    for (int64_t i = 0; i < pieces(workers); ++i)
      w.workers[i].tap_column.prepare(-1);
  }

  // Both sides of a group and, if asked for, the sums of the output's gradient, one per channel. The products of a
  // pair's two columns sum to twice those of its two samples; a single sample has one column, which is doubled on the
  // side where it is one.
  void transform_rows(const Workspace& w, int64_t group, const T* out_gradient, const T* input, T* of_bias, bool add,
                      const Workers& workers) const {
    const T of_out = in.lanes_are_batch ? T(2) : T(1), of_in = in.lanes_are_batch ? T(1) : T(2);
    out.transform_rows(out_gradient + group * out.channels * out.map, of_out, w.out_places, w.out_spectrum,
                       w.row_scratch, of_bias ? w.sums : nullptr, workers);
    if (of_bias) store_sums(w.sums, of_bias + group * out.channels, add);
    in.transform_rows(input + group * width * in.map, of_in, w.in_places, w.in_spectrum, w.row_scratch, nullptr,
                      workers);
  }

  // Sums that depend on their order are kept by piece.
  int64_t pieces(const Workers& workers) const {
    return larger(1, smaller(workers.count, ceil_div(in.units(), run_units)));
  }

  // The gradient of a group, piece by piece; then(piece, run) after each run.
  template <class Then>
  void treat_runs(const Workspace& w, const Workers& workers, const Then& then) const {
    const int64_t runs = ceil_div(in.units(), run_units), block = carry_after(runs);
    parallel_pieces(workers, runs, [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& own = w.workers[piece];
      for (int64_t t = 0; t < tap_vectors; ++t)
        own.gradient[t] = own.partial[t] = Vec<T>{};
      for (int64_t i = begin; i < end; ++i) {
        const Run run = in.run(i * run_units, run_units);
        if (in.series)
          add_series(w, own, run);
        else
          add_maps(w, own, run.unit[0]);
        then(piece, run);
        if ((i - begin) % block == block - 1) carry<T>(own.partial, tap_vectors, own.gradient);
      }
      carry<T>(own.partial, tap_vectors, own.gradient);
    });
  }

  // If asked for, the sums of the output's gradient too. If `add`, to what is in the results.
  void run(const T* out_gradient, const T* input, T* result, T* of_bias, bool add, void* buffer,
           const Workers& workers) const {
    Arena arena(buffer);
    Workspace w = make_workspace(arena, workers.count);
    prepare(w, workers);
    for (int64_t group = 0; group < problem.groups; ++group) {
      transform_rows(w, group, out_gradient, input, of_bias, add, workers);
      treat_runs(w, workers, [](int64_t, const Run&) {});
      store_gradient(w, group, result, add, workers);
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
