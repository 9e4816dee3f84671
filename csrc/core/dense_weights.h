// SPDX-License-Identifier: BSD-3-Clause
// The weight gradient of a convolution that sums over channels: one run of row frequencies at a time, the product of
// both sides' columns is summed over the batch, and only the taps of its inverse transform are kept. Lanes are output
// channels, the input's columns factors; or, where the gradient of the input has made factors of the columns of the
// output's gradient (dense_grads.h), lanes are input channels.
#pragma once
#include "dense.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct DenseWeightGrad {
  const ConvProblem& problem;
  const TapList& taps;
  const bool given;                // the factors are, and they are the output's gradient
  Maps<T> of_vectors, of_factors;  // lanes of `of_vectors` are channels
  const LengthPlan<T>&full_rows, &full_cols;
  int64_t batch, width, tap_vectors;  // width: channels of `of_factors`
  int64_t height;                     // rows of the product, as in DenseTransfer
  // Units that are treated together, with a tile each; of a map's two frequencies one after the other.
  int64_t run_units;

  DenseWeightGrad(const ConvProblem& p, const TapList& t, bool factors_given = false)
      : problem(p), taps(t), given(factors_given), of_vectors(side_maps<T>(p, !given)),
        of_factors(side_maps<T>(p, given)), full_rows(length_plan<T>(p.length[0])),
        full_cols(length_plan<T>(p.length[1])), batch(p.batch), width(of_factors.channels), tap_vectors(0),
        height(of_vectors.series ? 2 * Unit::kSeriesPairs : full_rows.n), run_units(units_per_run<T>(p, t)) {
    of_vectors.lanes_are_batch = false;
    of_factors.lanes_are_batch = !given && Maps<T>::batch_groups(batch) * width < ceil_div(width, kLanes<T>) * batch;
    tap_vectors = of_vectors.groups() * width * taps.count();
  }

  const Maps<T>& in() const { return given ? of_vectors : of_factors; }
  const Maps<T>& out() const { return given ? of_factors : of_vectors; }
  int64_t height_of(const Maps<T>& maps) const { return maps.series ? height : maps.rows->n; }
  Tile vectors_tile() const { return Tile::of(batch, height_of(of_vectors), of_vectors.series); }  // of one group
  Tile factors_tile() const { return Tile::of(of_factors.vectors(), height_of(of_factors), of_factors.series); }
  int64_t vectors_size() const { return run_units * of_vectors.groups() * vectors_tile().size; }
  int64_t product_column() const { return odd_stride(height); }

  struct Worker {
    Cx<T>*vectors, *product, *buffer;  // [tile][group of channels of `of_vectors`]: a tile
    Factor<T>* factors;                // [tile]; if given, of both frequencies of a map's pair
    Cx<T>* rows_of_taps[2];            // [group][channel of `of_factors`][row of taps] of both frequencies of a pair
    // [group][channel of `of_factors`][tap]: the sum so far, and that of the latest frequencies; of few they are one
    Vec<T>*gradient, *partial;
    TapColumn<T> tap_column;
  };
  struct Workspace {
    Cx<T>*vectors_spectrum, *factors_spectrum, *row_scratch;
    typename Maps<T>::Places vectors_places, factors_places;
    int64_t *q_offset, *q_offset_of_firsts;  // of every sample, of every second one
    Vec<T>* tap_rows;
    LaneSums<T>* sums;  // of the gradient of the output, one per vector
    Worker* workers;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Cx<T>* const vectors_spectrum = arena.take<Cx<T>>(of_vectors.spectrum_size());
    Workspace w = make_workspace(arena, count, vectors_spectrum, arena.take<Cx<T>>(of_factors.spectrum_size()));
    for (int64_t i = 0; i < count; ++i) {
      Cx<T>* const vectors = arena.take<Cx<T>>(vectors_size());
      Factor<T>* const factors = arena.take<Factor<T>>(run_units * factors_tile().size);
      if (w.workers) w.workers[i].vectors = vectors, w.workers[i].factors = factors;
    }
    return w;
  }
  // Without the workers' tiles of vectors and factors.
  Workspace make_workspace(Arena& arena, int64_t count, Cx<T>* vectors_spectrum, Cx<T>* factors_spectrum) const {
    Workspace w;
    w.vectors_spectrum = vectors_spectrum;
    w.factors_spectrum = factors_spectrum;
    w.row_scratch = arena.take<Cx<T>>(count * larger(of_vectors.scratch(), of_factors.scratch()));
    w.vectors_places = of_vectors.make_places(arena);
    w.factors_places = of_factors.make_places(arena);
    w.q_offset = arena.take<int64_t>(batch);
    w.q_offset_of_firsts = arena.take<int64_t>(ceil_div(batch, 2));
    w.tap_rows = arena.take<Vec<T>>(count * problem.num_taps);
    w.sums = arena.take<LaneSums<T>>(out().vectors());
    w.workers = arena.take<Worker>(count);
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.product = arena.take<Cx<T>>(run_units * kBlock * product_column());
      worker.buffer = arena.take<Cx<T>>(larger(of_vectors.column_scratch(), of_factors.column_scratch()));
      for (Cx<T>*& rows : worker.rows_of_taps)
        rows = arena.take<Cx<T>>(of_vectors.series ? 0 : of_vectors.groups() * width * taps.rows);
      worker.gradient = arena.take<Vec<T>>(tap_vectors);
      worker.partial = carried_after(count) ? arena.take<Vec<T>>(tap_vectors) : worker.gradient;
      worker.tap_column = TapColumn<T>::make(taps, full_rows, full_cols, arena);
      if (w.workers) w.workers[i] = worker;
    }
    return w;
  }

  // Both sides of one frequency of maps, or of all of a unit of series; if `firsts`, of every second sample.
  void transform_sides(const Workspace& w, const Worker& worker, const int64_t* f, int64_t count, bool firsts,
                       int64_t tile) const {
    const Tile vectors = vectors_tile(), factors = factors_tile();
    for (int64_t group = 0; group < of_vectors.groups(); ++group) {
      Cx<T>* const columns = worker.vectors + (tile * of_vectors.groups() + group) * vectors.size;
      of_vectors.transform_tile(w.vectors_spectrum, of_vectors.vector_of(group, 0), batch, f, count, firsts, vectors,
                                Output<T>::to_values(columns, height_of(of_vectors), vectors.row), worker.buffer);
    }
    if (given) return;
    Factor<T>* const columns = worker.factors + tile * factors.size;
    of_factors.transform_tile(w.factors_spectrum, 0, of_factors.vectors(), f, count, firsts, factors,
                              Output<T>::to_factors(columns, height_of(of_factors), factors.row), worker.buffer);
  }
  // Products of a tile of factors with a group of vectors, for a block of channels from j0 on; that of channel j0 + j
  // stands at product_of(worker, tile, j).
  void multiply(const Workspace& w, const Worker& worker, int64_t count, bool firsts, int64_t tile,
                const Factor<T>* columns, int64_t group, int64_t j0, int64_t block) const {
    const Tile vectors = vectors_tile(), factors = factors_tile();
    Product<T> product{};
    product.p = worker.vectors + (tile * of_vectors.groups() + group) * vectors.size;
    product.p_row = vectors.row;
    product.p_member = vectors.member * (firsts ? 2 : 1);
    product.q = columns;
    product.q_row = factors.row;
    product.q_offset = firsts ? w.q_offset_of_firsts : w.q_offset;
    product.depth = firsts ? batch / 2 : batch;
    product.n = of_vectors.series ? count : full_rows.n;
    product.p_period = smaller(product.n, height_of(of_vectors));
    product.q_period = smaller(product.n, height_of(of_factors));
    product.out = product_of(worker, tile, 0);
    product.out_stride = product_column();
    int64_t j_offset[kBlock];
    for (int64_t j = 0; j < block; ++j)
      j_offset[j] = of_factors.scalar_in(factors, 0, j0 + j);
    contract<true>(product, block, j_offset);
  }
  Cx<T>* product_of(const Worker& worker, int64_t tile, int64_t j) const {
    return worker.product + (tile * kBlock + j) * product_column();
  }
  // visit(group of vectors, first channel of a block of factors, channels in it)
  template <class Visit>
  void for_each_block(const Visit& visit) const {
    for (int64_t group = 0; group < of_vectors.groups(); ++group)
      for (int64_t j0 = 0; j0 < width; j0 += kBlock)
        visit(group, j0, smaller(kBlock, width - j0));
  }

  void add_series(const Workspace& w, Worker& worker, const Run& run) const {
    for (int64_t tile = 0; tile < run.count; ++tile)
      transform_sides(w, worker, run.unit[tile].frequency, run.unit[tile].count, false, tile);
    worker.tap_column.set_run(run);
    for_each_block([&](int64_t group, int64_t j0, int64_t block) {
      for (int64_t tile = 0; tile < run.count; ++tile)
        multiply(w, worker, run.unit[tile].count, false, tile, worker.factors + tile * factors_tile().size, group, j0,
                 block);
      for (int64_t j = 0; j < block; ++j) {
        const Cx<T>* const products[Run::kMost] = {product_of(worker, 0, j), product_of(worker, run.count - 1, j)};
        worker.tap_column.add_run(run, products, worker.partial + (group * width + j0 + j) * taps.count());
      }
    });
  }

  void add_maps(const Workspace& w, Worker& worker, const Unit& unit) const {
    const bool firsts = unit.frequency[0] == 0 && batch % 2 == 0;  // as DenseTiles::sample_step
    for (int64_t i = 0; i < 2; ++i) {
      Cx<T>* const rows = worker.rows_of_taps[i];
      if (i < unit.count) {
        transform_sides(w, worker, unit.frequency + i, 1, firsts, 0);
        const T share = firsts ? T(1) : worker.tap_column.share_of(unit.frequency[i]);
        const Factor<T>* const factors = worker.factors + (given ? i * factors_tile().size : 0);
        for_each_block([&](int64_t group, int64_t j0, int64_t block) {
          multiply(w, worker, 1, firsts, 0, factors, group, j0, block);
          for (int64_t j = 0; j < block; ++j)
            worker.tap_column.rows_of(product_of(worker, 0, j), share, rows + (group * width + j0 + j) * taps.rows);
        });
      } else {
        for (int64_t j = 0; j < of_vectors.groups() * width * taps.rows; ++j)
          rows[j] = {Vec<T>{}, Vec<T>{}};
      }
    }
    worker.tap_column.set_frequencies(unit.frequency, 1);
    for (int64_t i = 0; i < of_vectors.groups() * width; ++i) {
      const int64_t at = i * taps.rows;
      for (int64_t r = 0; r < taps.rows; ++r)
        worker.tap_column.template add_row<1, 1>(r, worker.rows_of_taps[0] + at + r, worker.rows_of_taps[1] + at + r,
                                                 worker.partial + i * taps.count());
    }
  }

  // Vectors are conjugated, which gives the spectrum of the gradient where they are the input's; where they are the
  // gradient of the output, its conjugate, that of the mirrored gradient.
  void store_gradient(const Workspace& w, int64_t group_of_channels, T* result, bool add,
                      const Workers& workers) const {
    T* const to = result + group_of_channels * of_vectors.channels * width * problem.num_taps;
    const T scale = static_cast<T>(1.0 / (static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
    const int64_t of_lane = given ? 1 : width, of_factor = given ? of_vectors.channels : 1;  // weight rows
    parallel_shares(workers, of_vectors.groups() * width, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Vec<T>* sum = w.workers[0].gradient + i * taps.count();
        for (int64_t other = 1; other < pieces(workers.count); ++other) {
          const Vec<T>* more = w.workers[other].gradient + i * taps.count();
          for (int64_t t = 0; t < taps.count(); ++t)
            sum[t] += more[t];
        }
        const int64_t first = i / width * kLanes<T>, row = first * of_lane + i % width * of_factor;
        store_taps(taps, problem.num_taps, sum, scale, !given, to + row * problem.num_taps,
                   Lanes<T>::strided(of_lane * problem.num_taps, of_vectors.channels - first),
                   w.tap_rows + worker * problem.num_taps, add);
      }
    });
  }

  void store_sums(const LaneSums<T>* sums, T* of_channels, bool add) const {
    for (int64_t c = 0; c < out().channels; ++c) {
      double sum = add ? of_channels[c] : 0;
      for (int64_t b = 0; b < batch; ++b)
        sum += sums[out().vector_of(c / kLanes<T>, b)][c % kLanes<T>];
      of_channels[c] = static_cast<T>(sum);
    }
  }

  void prepare(Workspace& w, const Workers& workers) const {
    of_vectors.fill(w.vectors_places, false);
    of_factors.fill(w.factors_places, false);
    for (int64_t b = 0; b < batch; ++b)
      w.q_offset[b] = of_factors.scalar_in(factors_tile(), b, 0);
    for (int64_t b = 0; b < batch; b += 2)
      w.q_offset_of_firsts[b / 2] = w.q_offset[b];
    for (int64_t i = 0; i < pieces(workers.count); ++i)
      w.workers[i].tap_column.prepare(given ? -1 : 1);
  }

  // Both sides of a group and, if asked for, the sums of the output's gradient, one per channel. The products of a
  // pair's two columns sum to twice those of its two samples; a single sample has one column, which is doubled on one
  // side.
  void transform_rows(const Workspace& w, int64_t group, const T* out_gradient, const T* input, T* of_bias, bool add,
                      const Workers& workers) const {
    out_gradient += group * out().channels * out().map;
    input += group * in().channels * in().map;
    LaneSums<T>* const sums = of_bias ? w.sums : nullptr;
    of_vectors.transform_rows(given ? input : out_gradient, T(2), w.vectors_places, w.vectors_spectrum, w.row_scratch,
                              given ? nullptr : sums, workers);
    of_factors.transform_rows(given ? out_gradient : input, T(1), w.factors_places, w.factors_spectrum, w.row_scratch,
                              given ? sums : nullptr, workers);
    if (of_bias) store_sums(w.sums, of_bias + group * out().channels, add);
  }

  int64_t runs() const { return ceil_div(in().units(), run_units); }
  // Sums that depend on their order are kept by piece.
  int64_t pieces(int64_t workers) const { return larger(1, smaller(workers, runs())); }
  // Runs of a piece after which what they add up to is carried over; 0 if they are so few that the products, sums over
  // the batch, round more.
  int64_t carried_after(int64_t workers) const {
    constexpr int64_t kFew = 32;
    return ceil_div(runs(), pieces(workers)) <= kFew ? 0 : carry_after(runs());
  }

  // The gradient of a group, piece by piece; before(piece, run) and after(piece, run) each run.
  template <class Before, class After>
  void treat_runs(const Workspace& w, const Workers& workers, const Before& before, const After& after) const {
    const int64_t block = carried_after(workers.count);
    parallel_pieces(workers, runs(), [&](int64_t piece, int64_t begin, int64_t end) {
      Worker& own = w.workers[piece];
      for (int64_t t = 0; t < tap_vectors; ++t)
        own.gradient[t] = own.partial[t] = Vec<T>{};
      for (int64_t i = begin; i < end; ++i) {
        const Run run = in().run(i * run_units, run_units);
        before(piece, run);
        if (of_vectors.series)
          add_series(w, own, run);
        else
          add_maps(w, own, run.unit[0]);
        after(piece, run);
        if (block && ((i - begin) % block == block - 1 || i + 1 == end))
          carry<T>(own.partial, tap_vectors, own.gradient);
      }
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
      const auto nothing = [](int64_t, const Run&) {};
      treat_runs(w, workers, nothing, nothing);
      store_gradient(w, group, result, add, workers);
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
