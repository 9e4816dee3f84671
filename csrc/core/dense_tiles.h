// SPDX-License-Identifier: BSD-3-Clause
// What the products over channels take, at the frequencies of one run: tiles of a side's maps and of the weights. A row
// of a tile holds all channels of one frequency, so that the product streams.
#pragma once
#include "contract.h"
#include "sides.h"
#include "taps.h"

namespace dash {
namespace DASH_ISA {

// One side, `from`, is to be multiplied over its channels (depth) with weights; `to` receives the result.
template <class T>
struct DenseTiles {
  static constexpr int64_t kTileBytes = 384 << 10;  // of tiles that are to stay in the second-level cache

  const ConvProblem& problem;
  const TapList& taps;
  const bool forward;
  Maps<T> from, to;
  const LengthPlan<T>&full_rows, &full_cols;
  int64_t depth, width;         // channels of `from`, channels of `to`
  int64_t aliases;              // row frequencies that fold onto one
  int64_t run_units;            // units that are treated together
  int64_t tiles;                // of a run: one per frequency of a map, one per unit of series
  int64_t height, from_height;  // rows of a tile: the frequencies of a column, or of a unit of series
  int64_t depth_block;          // channels of `from` whose weights are transformed at a time
  bool all_weights;             // the weights of all channels of `to` are transformed at once

  DenseTiles(const ConvProblem& p, const TapList& t, bool is_forward, MapLanes lanes)
      : problem(p), taps(t), forward(is_forward), from(side_maps<T>(p, !is_forward)), to(side_maps<T>(p, is_forward)),
        full_rows(length_plan<T>(p.length[0])), full_cols(length_plan<T>(p.length[1])), depth(from.channels),
        width(to.channels), aliases(full_cols.n / to.cols->n), run_units(aliases > 1 ? 1 : units_per_run<T>(p, t)),
        tiles(to.series ? run_units : 2), height(to.series ? 2 * Unit::kSeriesPairs : full_rows.n),
        from_height(to.series ? 2 * Unit::kSeriesPairs : from.rows->n), depth_block(depth), all_weights(false) {
    const LaneCosts<T> costs(p, is_forward);
    to.lanes_are_batch = lanes == MapLanes::cheaper ? costs.by_batch <= costs.by_channel : lanes == MapLanes::samples;
    from.lanes_are_batch = to.lanes_are_batch || (lanes == MapLanes::cheaper && costs.narrow);
    const auto bytes = [&](int64_t channels, int64_t each) { return tiles * height * aliases * channels * each; };
    if (to.lanes_are_batch) {
      all_weights = weight_groups() * bytes(depth, sizeof(Factor<T>)) <= kTileBytes || weight_groups() == 1;
    } else {
      while (depth_block > 1 && bytes(depth_block, sizeof(Cx<T>)) > kTileBytes)
        depth_block = ceil_div(depth_block, 2);
    }
  }

  int64_t weight_groups() const { return ceil_div(width, kLanes<T>); }
  int64_t weight_row(int64_t k, int64_t j) const { return forward ? j * depth + k : k * width + j; }

  // Members of a tile of weights are (alias, channel of `from`); of a tile of maps, (alias, vector).
  Tile weights_tile() const { return Tile::of(aliases * depth_block, height, to.series); }
  Tile maps_tile() const {
    return Tile::of(aliases * (to.lanes_are_batch ? depth : from.vectors()), from_height, to.series);
  }
  int64_t map_tiles() const { return !to.lanes_are_batch ? tiles : all_weights ? 1 : tiles * from.groups(); }
  int64_t product_column() const { return odd_stride(height); }
  int64_t product_size() const { return (to.lanes_are_batch ? kBlock : tiles * to.batch) * product_column(); }

  // Vectors of the side whose lanes the result has, factors of the other.
  struct Worker {
    Cx<T>*vectors, *product, *buffer;
    Factor<T>* factors;
    int64_t* q_offset;
    TapColumn<T> tap_column;
  };
  struct Workspace {
    Cx<T>*from_spectrum, *to_spectrum, *row_scratch;
    typename Maps<T>::Places from_places, to_places;
    Vec<T>*weights, *tap_rows;
    Worker* workers;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    if (!in_place()) return make_workspace_apart(arena, count);
    Cx<T>* const spectrum = arena.take<Cx<T>>(larger(from.spectrum_size(), to.spectrum_size()));
    return make_workspace(arena, count, spectrum, spectrum);
  }
  // With a spectrum of the result beside that of the source.
  Workspace make_workspace_apart(Arena& arena, int64_t count) const {
    Cx<T>* const from_spectrum = arena.take<Cx<T>>(from.spectrum_size());
    return make_workspace(arena, count, from_spectrum, arena.take<Cx<T>>(to.spectrum_size()));
  }
  // Whether the spectrum of the source may give way to that of the result: columns of both stand alike, and those of a
  // run are read before any are written, of all samples where lanes are channels, else of a group of samples.
  bool in_place() const {
    const bool alike = depth == width || !(to.series || to.lanes_are_batch);
    return alike && from.lanes_are_batch == to.lanes_are_batch && from.size[0] == to.size[0] &&
           from.cols->n == to.cols->n;
  }
  Workspace make_workspace(Arena& arena, int64_t count, Cx<T>* from_spectrum, Cx<T>* to_spectrum) const {
    Workspace w;
    w.from_spectrum = from_spectrum;
    w.to_spectrum = to_spectrum;
    w.row_scratch = arena.take<Cx<T>>(count * larger(from.scratch(), to.scratch()));
    w.from_places = from.make_places(arena);
    w.to_places = to.make_places(arena);
    w.weights = arena.take<Vec<T>>(weight_groups() * depth * taps.count());
    w.tap_rows = arena.take<Vec<T>>(count * problem.num_taps);
    w.workers = arena.take<Worker>(count);
    const int64_t weights = (all_weights ? weight_groups() : 1) * tiles * weights_tile().size;
    const int64_t maps = map_tiles() * maps_tile().size;
    for (int64_t i = 0; i < count; ++i) {
      Worker worker{};
      worker.vectors = arena.take<Cx<T>>(to.lanes_are_batch ? maps : weights);
      worker.factors = arena.take<Factor<T>>(to.lanes_are_batch ? weights : maps);
      worker.product = arena.take<Cx<T>>(product_size());
      worker.buffer = arena.take<Cx<T>>(larger(from.column_scratch(), to.column_scratch()));
      worker.q_offset = arena.take<int64_t>(aliases * depth);
      worker.tap_column = TapColumn<T>::make(taps, full_rows, full_cols, arena);
      if (w.workers) w.workers[i] = worker;
    }
    return w;
  }

  // The weights of every (group of kLanes channels of `to`, channel of `from`), transposed, with the scale of the whole
  // transform.
  void load_weights(const T* weight, const Workspace& w, const Workers& workers) const {
    const T scale = static_cast<T>(1.0 / (static_cast<double>(full_rows.n) * static_cast<double>(full_cols.n)));
    parallel_shares(workers, weight_groups() * depth, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t j = i / depth * kLanes<T>, k = i % depth, stride = forward ? depth : 1;
        load_taps(taps, problem.num_taps, weight + weight_row(k, j) * problem.num_taps,
                  Lanes<T>::strided(stride * problem.num_taps, width - j), scale, !forward,
                  w.weights + i * taps.count(), w.tap_rows + worker * problem.num_taps);
      }
    });
  }

  int64_t alias_of(int64_t g, int64_t alias) const { return g + alias * to.cols->n; }

  const Unit& unit_of(const Run& run, int64_t tile) const { return run.unit[to.series ? tile : 0]; }
  // From a sample that is treated to the next one (Maps::mirrors_itself). Units of series have other frequencies too.
  int64_t sample_step(const Run& run) const {
    return !to.series && to.paired() && to.mirrors_itself(run.unit[0].frequency[0]) ? 2 : 1;
  }
  int64_t tiles_of(const Run& run) const { return to.series ? run.count : run.unit[0].count; }

  // Tile `tile` of `count` vectors of `from`.
  void transform_maps(const Workspace& w, const Worker& worker, const Run& run, int64_t tile, int64_t first,
                      int64_t count, int64_t at) const {
    const Unit& unit = unit_of(run, tile);
    const Tile columns = maps_tile();
    for (int64_t alias = 0; alias < aliases; ++alias) {
      int64_t f[2 * Unit::kSeriesPairs];
      for (int64_t i = 0; i < (to.series ? unit.count : 1); ++i)
        f[i] = alias_of(unit.frequency[to.series ? i : tile], alias);
      const int64_t offset = at * columns.size + alias * count * columns.member;
      const Output<T> out = to.lanes_are_batch
                                ? Output<T>::to_values(worker.vectors + offset, from_height, columns.row)
                                : Output<T>::to_factors(worker.factors + offset, from_height, columns.row);
      from.transform_tile(w.from_spectrum, first, count, f, unit.count, sample_step(run) > 1, columns, out,
                          worker.buffer);
    }
  }

  // The tiles of weights of kLanes channels of `to` and `count` channels of `from` from k0 on; `at` counts groups.
  void transform_weights(const Workspace& w, Worker& worker, const Run& run, int64_t group, int64_t k0, int64_t count,
                         int64_t at) const {
    const Unit& unit = run.unit[0];
    const Tile columns = weights_tile();
    const auto out = [&](int64_t tile, int64_t member) {
      const int64_t offset = (at * tiles + tile) * columns.size + member * columns.member;
      return to.lanes_are_batch ? Output<T>::to_factors(worker.factors + offset, height, columns.row)
                                : Output<T>::to_values(worker.vectors + offset, height, columns.row);
    };
    const Vec<T>* const weights = w.weights + (group * depth + k0) * taps.count();
    for (int64_t alias = 0; alias < aliases; ++alias) {
      if (to.series) {
        const Output<T> of_units[Run::kMost] = {out(0, alias * count), out(run.count - 1, alias * count)};
        series_weights(worker, run, alias, weights, count, of_units);
      } else if (aliases == 1) {
        worker.tap_column.set_frequencies(unit.frequency, 1);
        for (int64_t k = 0; k < count; ++k) {
          const Output<T> partner = out(1, k);
          worker.tap_column.spectra(weights + k * taps.count(), out(0, k), unit.count > 1 ? &partner : nullptr);
        }
      } else {
        for (int64_t i = 0; i < unit.count; ++i) {
          const int64_t f = alias_of(unit.frequency[i], alias);
          worker.tap_column.set_frequencies(&f, 1);
          for (int64_t k = 0; k < count; ++k)
            worker.tap_column.spectra(weights + k * taps.count(), out(i, alias * count + k), nullptr);
        }
      }
    }
  }
  void series_weights(Worker& worker, const Run& run, int64_t alias, const Vec<T>* weights, int64_t count,
                      const Output<T>* of_units) const {
    if (aliases > 1) return strided_weights(worker, run.unit[0], alias, weights, count, of_units[0]);
    worker.tap_column.set_run(run);
    if (to.lanes_are_batch)
      unstrided_weights<Output<T>::factors>(worker, run, weights, count, of_units);
    else
      unstrided_weights<Output<T>::values>(worker, run, weights, count, of_units);
  }
  template <int kForm>
  void unstrided_weights(const Worker& worker, const Run& run, const Vec<T>* weights, int64_t count,
                         const Output<T>* of_units) const {
    const TapColumn<T> column = worker.tap_column;  // a copy, which no spectrum that is stored can change
    for (int64_t k = 0; k < count; ++k) {
      const Output<T> out[Run::kMost] = {of_units[0].shifted(k), of_units[1].shifted(k)};
      column.template run_spectra<kForm>(weights + k * taps.count(), run, out);
    }
  }
  // Units of a strided series do not fold onto units, nor pairs onto pairs: partners are computed for nothing.
  void strided_weights(Worker& worker, const Unit& unit, int64_t alias, const Vec<T>* weights, int64_t count,
                       const Output<T>& first_member) const {
    constexpr int kPairs = TapColumn<T>::kPairs;
    for (int64_t first = 0; first < unit.count; first += kPairs) {
      int64_t f[kPairs];
      for (int64_t i = 0; i < kPairs; ++i)
        f[i] = alias_of(unit.frequency[smaller(first + i, unit.count - 1)], alias);
      worker.tap_column.set_frequencies(f, kPairs);
      for (int64_t k = 0; k < count; ++k) {
        Cx<T> spectrum[2 * kPairs];
        worker.tap_column.pair_spectra(weights + k * taps.count(), spectrum);
        const Output<T> out = first_member.shifted(first * first_member.stride + k);
        for (int64_t i = 0; i < smaller(unit.count - first, kPairs); ++i)
          put_in_form(out, height, i, spectrum[2 * i]);
      }
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
