// SPDX-License-Identifier: BSD-3-Clause
// The weight gradient of a convolution that sums over channels: one run of row frequencies at a time, the product of
// both sides' columns is summed over the batch, and only the taps of its inverse transform are kept.
#pragma once
#include "weight_sides.h"

namespace dash {
namespace DASH_ISA {

template <class T>
struct DenseWeightGrad : WeightSides<T> {
  using Base = WeightSides<T>;
  using Base::batch, Base::by_samples, Base::factors_tile, Base::firsts_at, Base::full_cols, Base::full_rows,
      Base::given, Base::in, Base::lane_groups, Base::multiply, Base::of_factors, Base::of_vectors, Base::out,
      Base::problem, Base::product_column, Base::product_of, Base::run_units, Base::transform_sides, Base::vectors_size,
      Base::width;

  const TapList& taps;
  const int64_t tap_vectors;

  DenseWeightGrad(const ConvProblem& p, const TapList& t, WeightFactors how)
      : Base(p, t, how), taps(t), tap_vectors(lane_groups * width * t.count()) {}

  struct Worker : Base::SideTiles {
    Cx<T>* rows_of_taps[2];  // [group][channel of `of_factors`][row of taps] of both frequencies of a pair
    // [group][channel of `of_factors`][tap]: the sum so far, and that of the latest frequencies; of few they are one
    Vec<T>*gradient, *partial;
    TapColumn<T> tap_column;
  };
  struct Workspace : Base::Spectra {
    Cx<T>* row_scratch;
    typename Maps<T>::Places vectors_places, factors_places;
    Vec<T>* tap_rows;
    LaneSums<T>* sums;  // of the gradient of the output, one per band and vector
    Worker* workers;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Cx<T>* const vectors = arena.take<Cx<T>>(of_vectors.spectrum_size());
    return make_workspace(arena, count, vectors, arena.take<Cx<T>>(of_factors.spectrum_size()));
  }
  // With spectra that are there, and where factors are given without any tiles: they are the caller's.
  Workspace make_workspace(Arena& arena, int64_t count, Cx<T>* vectors, Cx<T>* factors) const {
    Workspace w;
    w.vectors = vectors;
    w.factors = factors;
    w.row_scratch = arena.take<Cx<T>>(count * larger(of_vectors.scratch(), of_factors.scratch()));
    w.vectors_places = of_vectors.make_places(arena);
    w.factors_places = of_factors.make_places(arena);
    w.q_offset = arena.take<int64_t>(batch);
    w.q_offset_of_firsts = arena.take<int64_t>(ceil_div(batch, 2));
    w.tap_rows = arena.take<Vec<T>>(count * problem.num_taps);
    w.sums = arena.take<LaneSums<T>>(out().bands() * out().vectors());
    w.workers = arena.take<Worker>(count);
    const int64_t tiles = given() ? 0 : run_units * factors_tile().size;
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.vectors = arena.take<Cx<T>>(given() ? 0 : vectors_size());
      worker.factors = arena.take<Factor<T>>(by_samples() ? 0 : tiles);
      worker.others = arena.take<Cx<T>>(by_samples() ? tiles : 0);
      worker.product = arena.take<Cx<T>>(run_units * kBlock * product_column());
      worker.buffer = arena.take<Cx<T>>(larger(of_vectors.column_scratch(), of_factors.column_scratch()));
      for (Cx<T>*& rows : worker.rows_of_taps)
        rows = arena.take<Cx<T>>(of_vectors.series ? 0 : lane_groups * width * taps.rows);
      worker.gradient = arena.take<Vec<T>>(tap_vectors);
      worker.partial = carried_after(count) ? arena.take<Vec<T>>(tap_vectors) : worker.gradient;
      worker.tap_column = TapColumn<T>::make(taps, full_rows, full_cols, arena);
      if (w.workers) w.workers[i] = worker;
    }
    return w;
  }

  // visit(group of vectors, first channel of a block of factors, channels in it)
  template <class Visit>
  void for_each_block(const Visit& visit) const {
    for (int64_t group = 0; group < lane_groups; ++group)
      for (int64_t j0 = 0; j0 < width; j0 += kBlock)
        visit(group, j0, smaller(kBlock, width - j0));
  }

  void add_series(const Workspace& w, Worker& worker, const Run& run) const {
    for (int64_t tile = 0; tile < run.count; ++tile)
      transform_sides(w, worker, run.unit[tile].frequency, run.unit[tile].count, false, tile);
    worker.tap_column.set_run(run);
    for_each_block([&](int64_t group, int64_t j0, int64_t block) {
      for (int64_t tile = 0; tile < run.count; ++tile)
        multiply(w, worker, {tile, tile, group, j0, block, run.unit[tile].count, false});
      for (int64_t j = 0; j < block; ++j) {
        const Cx<T>* const products[Run::kMost] = {product_of(worker, 0, j), product_of(worker, run.count - 1, j)};
        worker.tap_column.add_run(run, products, worker.partial + (group * width + j0 + j) * taps.count());
      }
    });
  }

  void add_maps(const Workspace& w, Worker& worker, const Unit& unit) const {
    const bool firsts = firsts_at(unit.frequency[0]);
    for (int64_t i = 0; i < 2; ++i) {
      Cx<T>* const rows = worker.rows_of_taps[i];
      if (i < unit.count) {
        transform_sides(w, worker, unit.frequency + i, 1, firsts, 0);
        // half of the columns stand for all: twice the half that an end of the spectrum counts
        const T share = firsts ? T(1) : worker.tap_column.share_of(unit.frequency[i]);
        for_each_block([&](int64_t group, int64_t j0, int64_t block) {
          multiply(w, worker, {0, given() ? i : 0, group, j0, block, full_rows.n, firsts});
          for (int64_t j = 0; j < block; ++j)
            worker.tap_column.rows_of(product_of(worker, 0, j), share, rows + (group * width + j0 + j) * taps.rows);
        });
      } else {
        for (int64_t j = 0; j < lane_groups * width * taps.rows; ++j)
          rows[j] = {Vec<T>{}, Vec<T>{}};
      }
    }
    worker.tap_column.set_frequencies(unit.frequency, 1);
    for (int64_t i = 0; i < lane_groups * width; ++i) {
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
    const int64_t of_lane = given() ? 1 : width, of_factor = given() ? of_vectors.channels : 1;  // weight rows
    parallel_shares(workers, lane_groups * width, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Vec<T>* sum = w.workers[0].gradient + i * taps.count();
        for (int64_t other = 1; other < pieces(workers.count); ++other) {
          const Vec<T>* more = w.workers[other].gradient + i * taps.count();
          for (int64_t t = 0; t < taps.count(); ++t)
            sum[t] += more[t];
        }
        const int64_t first = i / width * kLanes<T>, row = first * of_lane + i % width * of_factor;
        store_taps(taps, problem.num_taps, sum, scale, !given(), to + row * problem.num_taps,
                   Lanes<T>::strided(of_lane * problem.num_taps, of_vectors.channels - first),
                   w.tap_rows + worker * problem.num_taps, add);
      }
    });
  }

  // Lanes are channels, or samples; those that are neither hold zero.
  void store_sums(const LaneSums<T>* sums, T* of_channels, bool add) const {
    for (int64_t c = 0; c < out().channels; ++c) {
      double sum = add ? of_channels[c] : 0;
      for (int64_t band = 0; band < out().bands(); ++band) {
        const LaneSums<T>* const of_band = sums + band * out().vectors();
        if (by_samples()) {
          for (int64_t group = 0; group < out().groups(); ++group)
            for (int64_t l = 0; l < kLanes<T>; ++l)
              sum += of_band[out().vector_of(group, c)][l];
        } else {
          for (int64_t b = 0; b < batch; ++b)
            sum += of_band[out().vector_of(c / kLanes<T>, b)][c % kLanes<T>];
        }
      }
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
      w.workers[i].tap_column.prepare(given() ? -1 : 1);
  }

  // Both sides of a group and, if asked for, the sums of the output's gradient, one per channel. The products of a
  // pair's two columns sum to twice those of its two samples; a single sample has one column, which is doubled on one
  // side.
  void transform_rows(const Workspace& w, int64_t group, const T* out_gradient, const T* input, T* of_bias, bool add,
                      const Workers& workers) const {
    out_gradient += group * out().channels * out().map;
    input += group * in().channels * in().map;
    LaneSums<T>* const sums = of_bias ? w.sums : nullptr;
    of_vectors.transform_rows(given() ? input : out_gradient, T(2), w.vectors_places, w.vectors, w.row_scratch,
                              given() ? nullptr : sums, workers);
    of_factors.transform_rows(given() ? out_gradient : input, T(1), w.factors_places, w.factors, w.row_scratch,
                              given() ? sums : nullptr, workers);
    if (of_bias) store_sums(w.sums, of_bias + group * out().channels, add);
  }

  int64_t runs() const { return ceil_div(in().units(), run_units); }
  // The runs in the order in which pieces take them. Those of the ends cost half as much as others and stand side by
  // side, or one thread of two would have a ninth more to do than the other on 16 rows, a fourth on 8.
  Run run_at(int64_t i) const {
    const int64_t index = i == 0 ? 0 : i == 1 ? runs() - 1 : i - 1;
    return in().run(index * run_units, run_units);
  }
  // In samples of pairs at one frequency.
  int64_t cost_of(const Run& run) const {
    int64_t cost = 0;
    for (int64_t u = 0; u < run.count; ++u)
      for (int64_t i = 0; i < run.unit[u].count; ++i)
        cost += !of_vectors.series && firsts_at(run.unit[u].frequency[i]) ? 1 : 2;
    return cost;
  }
  // Where a piece begins: with the first run whose middle is not in the pieces before.
  int64_t first_run(int64_t piece, int64_t pieces) const {
    int64_t total = 0, before = 0, i = 0;
    for (int64_t j = 0; j < runs(); ++j)
      total += cost_of(run_at(j));
    for (; i < runs(); ++i) {
      const int64_t cost = cost_of(run_at(i));
      if ((2 * before + cost) * pieces > 2 * piece * total) break;
      before += cost;
    }
    return i;
  }
  // Sums that depend on their order are kept by piece.
  int64_t pieces(int64_t workers) const { return larger(1, smaller(workers, runs())); }
  // Runs of a piece after which what they add up to is carried over; 0 if they are so few that one sum rounds little
  // more: by 0 to 16 % in five layers of 9 to 24 runs, the most with one sample, whose products round least.
  int64_t carried_after(int64_t workers) const {
    constexpr int64_t kFew = 32;
    return ceil_div(runs(), pieces(workers)) <= kFew ? 0 : carry_after(runs());
  }

  // The gradient of a group, piece by piece; before(piece, run) and after(piece, run) each run.
  template <class Before, class After>
  void treat_runs(const Workspace& w, const Workers& workers, const Before& before, const After& after) const {
    const int64_t block = carried_after(workers.count);
    const int64_t count = pieces(workers.count);
    parallel(workers, count, [&](int64_t, int64_t piece) {
      const int64_t begin = first_run(piece, count), end = first_run(piece + 1, count);
      Worker& own = w.workers[piece];
      for (int64_t t = 0; t < tap_vectors; ++t)
        own.gradient[t] = own.partial[t] = Vec<T>{};
      for (int64_t i = end - 1; i >= begin; --i) {  // frequency 0, often the largest by far, comes last and rounds once
        const Run run = run_at(i);
        before(piece, run);
        if (of_vectors.series)
          add_series(w, own, run);
        else
          add_maps(w, own, run.unit[0]);
        after(piece, run);
        if (block && ((end - 1 - i) % block == block - 1 || i == begin))
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
