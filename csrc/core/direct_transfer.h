// SPDX-License-Identifier: BSD-3-Clause
// The convolution and the gradient of its input, as direct sums: result maps from source maps and weights.
#pragma once
#include "direct_kernels.h"
#include "direct_maps.h"

namespace dash {
namespace DASH_ISA {

// Weights as the inner loops read them: [set][block][channel][tap][kJ], a block being kJ result vectors, the taps those
// of the table.
template <class T, Lane kLane, int kJ>
struct WeightPacker {
  using Unit = Units<T, kLane>;
  using Weight = typename Unit::Weight;
  const TapTable& table;
  const Unit& units;
  const bool forward;

  int64_t blocks() const { return ceil_div(units.vectors(), kJ); }
  int64_t channel_size() const { return table.taps * kJ; }
  int64_t block_size() const { return units.depth * channel_size(); }
  int64_t set_size() const { return blocks() * block_size(); }

  // Row of the weights as stored: (out, in / groups) of the convolution.
  int64_t row(int64_t group, int64_t result, int64_t channel) const {
    return forward ? (group * units.width + result) * units.depth + channel
                   : (group * units.depth + channel) * units.width + result;
  }
  // The rows of the lanes of one result vector. Lanes of Lane::units past the last unit hold some group too: nobody
  // reads their result.
  Lanes<T> lanes(int64_t set, int64_t vector, int64_t channel) const {
    Lanes<T> lanes;
    lanes.count = kLane == Lane::results ? smaller(kLanes<T>, units.width - vector * kLanes<T>) : kLanes<T>;
    lanes.pixel = 1;
    for (int l = 0; l < kLanes<T>; ++l)
      lanes.offset[l] =
          units.taps * (kLane == Lane::results ? row(set, vector * kLanes<T> + l, channel)
                                               : row((set * kLanes<T> + l) % units.groups, vector, channel));
    return lanes;
  }

  void pack(const T* weight, Weight* packed, Vec<T>* scratch, const Workers& workers) const {
    const int64_t depth = units.depth, padded = blocks() * kJ;
    parallel_pieces(workers, units.sets * padded * depth, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t set = i / (padded * depth), vector = i / depth % padded, channel = i % depth;
        Weight* const to =
            packed + set * set_size() + vector / kJ * block_size() + channel * channel_size() + vector % kJ;
        if (vector >= units.vectors()) {
          for (int64_t t = 0; t < table.taps; ++t)
            to[t * kJ] = Weight{};
        } else if constexpr (kLane == Lane::samples) {
          const T* const from = weight + row(set, vector, channel) * units.taps;
          for (int64_t t = 0; t < table.taps; ++t)
            to[t * kJ] = from[table.stored[t]];
        } else {
          Vec<T>* const in_lanes = scratch + worker * units.taps;
          load_lanes(weight, lanes(set, vector, channel), units.taps, in_lanes);
          for (int64_t t = 0; t < table.taps; ++t)
            to[t * kJ] = in_lanes[table.stored[t]];
        }
      }
    });
  }
};

template <class T, Lane kLane, int kJ>
struct DirectTransfer {
  using Unit = Units<T, kLane>;
  using Pixel = typename Unit::Pixel;
  using Weight = typename Unit::Weight;

  const TapTable& table;
  const Unit units;
  const WeightPacker<T, kLane, kJ> packer;
  const SourceLoader<T, Pixel> loader;
  const Bands bands;

  DirectTransfer(const TapTable& taps, const UnitShape& shape, bool forward)
      : table(taps), units(shape), packer{taps, units, forward}, loader{taps}, bands{taps} {}
  DirectTransfer(const DirectTransfer&) = delete;

  // Whole vectors, so that every worker's is aligned.
  int64_t source_size() const { return ceil_div(units.depth * loader.size(), kLanes<T>) * kLanes<T>; }

  struct Worker {
    Pixel* source;
    Vec<T>*chunk, *band;  // band: kJ result vectors
  };
  struct Workspace {
    Weight* weights;
    Vec<T>* weight_scratch;
    Worker workers;  // the first one's: those of the others follow
  };
  Worker make_workers(Arena& arena, int64_t count) const {
    return {arena.take<Pixel>(count * source_size()), arena.take<Vec<T>>(count * loader.scratch()),
            arena.take<Vec<T>>(count * kJ * bands.largest())};
  }
  Worker worker(const Worker& first, int64_t i) const {
    return {first.source + i * source_size(), first.chunk + i * loader.scratch(),
            first.band + i * kJ * bands.largest()};
  }
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.weights = arena.take<Weight>(units.sets * packer.set_size());
    w.weight_scratch = arena.take<Vec<T>>(count * units.taps);
    w.workers = make_workers(arena, count);
    return w;
  }

  // kP pixels, or `left` of them, of kJ result vectors in one phase of a row; they go to `to`, phase_step apart.
  template <int kP>
  void compute_pixels(int64_t y, int64_t phase, int64_t k, int64_t left, const Pixel* source, const Weight* weights,
                      Vec<T>* to) const {
    const int64_t block = k / kStep, last = smaller(kP / kStep, table.blocks - block) - 1;
    const PixelSum<Pixel, Weight> from{table,
                                       table.row_taps + table.row[y],
                                       table.row_taps + table.row[y + 1],
                                       table.span + 2 * (phase * table.groups * table.blocks + block),
                                       2 * last,
                                       units.depth,
                                       source + k,
                                       loader.size(),
                                       weights};
    PixelBlock<T, kJ, kP> total;
    sum_pixels(from, total);
    if (left >= kP && table.phase_step == 1) {  // of constant size: the sums are stored straight from registers
#pragma GCC unroll 2
      for (int j = 0; j < kJ; ++j)
#pragma GCC unroll 16
        for (int i = 0; i < kP; ++i)
          to[j * bands.largest() + i] = total.sum[j][i];
      return;
    }
    for (int j = 0; j < kJ; ++j)
      for (int64_t i = 0; i < smaller(kP, left); ++i)
        to[j * bands.largest() + table.phase_step * i] = total.sum[j][i];
  }
  // One row of a band. The narrowest block that holds what is left of it: pixels beyond its end are summed for nothing.
  void compute_row(const Band& band, int64_t y, const Pixel* source, const Weight* weights, Vec<T>* row) const {
    constexpr int kMost = kMostPixels<kJ>;
    for (int64_t phase = 0; phase < table.phases; ++phase) {
      const int64_t end = smaller(band.to, table.phase_width[phase]);
      for (int64_t k = band.from; k < end; k += kMost) {
        const int64_t left = end - k;
        Vec<T>* const to = row + phase + table.phase_step * k - band.first_column;
        if (left > kMost / 2 || kMost == kStep)
          compute_pixels<kMost>(y, phase, k, left, source, weights, to);
        else if (left > kMost / 4 || kMost == 2 * kStep)
          compute_pixels<larger(kMost / 2, kStep)>(y, phase, k, left, source, weights, to);
        else
          compute_pixels<kStep>(y, phase, k, left, source, weights, to);
      }
    }
  }

  void load_item(const Item& item, const T* source, const Worker& worker) const {
    const Lanes<T> lanes = units.source_lanes(item);
    for (int64_t c = 0; c < units.depth; ++c)
      loader.load(source + units.source_at(item, c, 0), lanes, worker.source + c * loader.size(), worker.chunk);
  }

  void compute_band(const Item& item, const Band& band, const Weight* weights, const Worker& worker, T* result) const {
    const int64_t first_pixel = band.y0 * table.result_width + band.first_column;
    for (int64_t block = 0; block < packer.blocks(); ++block) {
      for (int64_t y = 0; y < band.rows; ++y)
        compute_row(band, band.y0 + y, worker.source, weights + block * packer.block_size(),
                    worker.band + y * band.columns);
      for (int64_t vector = block * kJ; vector < smaller(block * kJ + kJ, units.vectors()); ++vector)
        store_lanes(result + units.result_at(item, vector, first_pixel), units.result_lanes(item, vector),
                    band.rows * band.columns, worker.band + vector % kJ * bands.largest());
    }
  }

  void run(const T* source, const T* weight, T* result, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    packer.pack(weight, w.weights, w.weight_scratch, workers);
    parallel_pieces(workers, units.items * bands.count(), [&](int64_t piece, int64_t begin, int64_t end) {
      const Worker own = worker(w.workers, piece);
      loader.clear(own.source, units.depth);
      for (int64_t i = begin; i < end; ++i) {
        const Item item = units.item(i / bands.count());
        if (i == begin || i % bands.count() == 0) load_item(item, source, own);
        compute_band(item, bands.at(i % bands.count()), w.weights + item.set * packer.set_size(), own, result);
      }
    });
  }
};

}  // namespace DASH_ISA
}  // namespace dash
