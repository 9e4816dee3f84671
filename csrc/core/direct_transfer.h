// SPDX-License-Identifier: BSD-3-Clause
// The convolution and the gradient of its input, as direct sums: result maps from source maps and weights.
#pragma once
#include "direct_kernels.h"
#include "direct_maps.h"

namespace dash {
namespace DASH_ISA {

// Weights as the inner loops read them: [set][block][channel][tap][kJ], a block being kJ result vectors.
template <class T, Lane kLane, int kJ>
struct WeightPacker {
  using Unit = Units<T, kLane>;
  using Weight = typename Unit::Weight;
  const Unit& units;
  const bool forward;

  int64_t blocks() const { return ceil_div(units.vectors(), kJ); }
  int64_t channel_size() const { return units.taps * kJ; }
  int64_t block_size() const { return units.depth * channel_size(); }
  int64_t size() const { return units.weight_sets() * blocks() * block_size(); }
  int64_t at(int64_t set, int64_t block) const { return (set * blocks() + block) * block_size(); }

  // Row of the weights as stored: (out, in / groups) of the convolution.
  int64_t row(int64_t group, int64_t result, int64_t channel) const {
    return forward ? (group * units.width + result) * units.depth + channel
                   : (group * units.depth + channel) * units.width + result;
  }
  // The rows of the lanes of one result vector. Lanes of Lane::units past the last unit hold some group too: nobody
  // reads their result.
  Lanes<T> lanes(int64_t set, int64_t vector, int64_t channel) const {
    const int64_t result = vector * Unit::kWidthLanes;
    if constexpr (kLane == Lane::results) {
      return Lanes<T>::strided((forward ? units.depth : 1) * units.taps, units.width - result);
    } else {
      Lanes<T> lanes;
      lanes.count = kLanes<T>;
      for (int l = 0; l < kLanes<T>; ++l)
        lanes.offset[l] = row((set * kLanes<T> + l) % units.groups, result, channel) * units.taps;
      return lanes;
    }
  }

  void pack(const T* weight, Weight* packed, Vec<T>* scratch, const Workers& workers) const {
    const int64_t depth = units.depth, taps = units.taps, padded = blocks() * kJ;
    parallel_pieces(workers, units.weight_sets() * padded * depth, [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t set = i / (padded * depth), vector = i / depth % padded, channel = i % depth;
        Weight* const to = packed + at(set, vector / kJ) + channel * channel_size() + vector % kJ;
        if (vector >= units.vectors()) {
          for (int64_t t = 0; t < taps; ++t)
            to[t * kJ] = Weight{};
        } else if constexpr (kLane == Lane::samples) {
          const T* const from = weight + row(set, vector, channel) * taps;
          for (int64_t t = 0; t < taps; ++t)
            to[t * kJ] = from[t];
        } else {
          const int64_t first = kLane == Lane::results ? row(set, vector * kLanes<T>, channel) * taps : 0;
          Vec<T>* const in_lanes = scratch + worker * taps;
          load_lanes(weight + first, lanes(set, vector, channel), taps, in_lanes);
          for (int64_t t = 0; t < taps; ++t)
            to[t * kJ] = in_lanes[t];
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
  static constexpr int64_t kBlock = kPixels<kJ>;

  const TapTable& table;
  const Unit units;
  const WeightPacker<T, kLane, kJ> packer;
  const SourceLoader<T, Pixel> loader;

  DirectTransfer(const TapTable& taps, const UnitShape& shape, bool forward)
      : table(taps), units(shape), packer{units, forward}, loader{taps} {}

  int64_t bands() const { return ceil_div(table.result_rows, band_rows(table)); }
  int64_t band_size() const { return band_rows(table) * table.result_width; }

  struct Worker {
    Pixel* source;
    Vec<T>*chunk, *band;
  };
  struct Workspace {
    Weight* weights;
    Vec<T>* weight_scratch;
    Pixel* sources;
    Vec<T>*chunks, *bands;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.weights = arena.take<Weight>(packer.size());
    w.weight_scratch = arena.take<Vec<T>>(count * units.taps);
    w.sources = arena.take<Pixel>(count * padded_source());
    w.chunks = arena.take<Vec<T>>(count * loader.scratch());
    w.bands = arena.take<Vec<T>>(count * kJ * band_size());
    return w;
  }
  // Whole vectors, so that every worker's is aligned.
  int64_t padded_source() const { return ceil_div(units.depth * loader.size(), kLanes<T>) * kLanes<T>; }

  // kJ result vectors of one row.
  void compute_row(int64_t y, const Pixel* source, const Weight* weights, Vec<T>* row) const {
    const int64_t blocks = table.blocks;
    for (int64_t phase = 0; phase < table.phases; ++phase) {
      const int64_t list = table.row_list[y] + phase, width = table.phase_width[phase];
      const TapEntry* const entries = table.entries + table.list[list];
      const int32_t* const span = table.span + 2 * blocks * list;
      for (int64_t k = 0; k < width; k += kBlock) {
        const int64_t block = k / kStep, last = smaller(block + kBlock / kStep, blocks) - 1;
        Vec<T> total[kJ][kBlock] = {};
        add_products<T, kJ>(entries + span[2 * last], entries + span[2 * block + 1], units.depth,
                            source + table.row_base[y] + k, loader.size(), weights, packer.channel_size(), total);
        for (int64_t i = 0; i < smaller(kBlock, width - k); ++i)
          for (int j = 0; j < kJ; ++j)
            row[j * band_size() + phase + table.phase_step * (k + i)] = total[j][i];
      }
    }
  }

  void load_item(int64_t item, const T* source, const Worker& worker) const {
    const int64_t area = table.source_rows * table.source_width;
    for (int64_t c = 0; c < units.depth; ++c)
      loader.load(source + units.source_map(item, c) * area, units.unit_lanes(item, units.depth, area),
                  worker.source + c * loader.size(), worker.chunk);
  }

  void compute_band(int64_t item, int64_t band, const Workspace& w, const Worker& worker, T* result) const {
    const int64_t width = table.result_width, area = table.result_rows * width;
    const int64_t y0 = band * band_rows(table), rows = smaller(band_rows(table), table.result_rows - y0);
    for (int64_t block = 0; block < packer.blocks(); ++block) {
      const Weight* const weights = w.weights + packer.at(units.weight_set(item), block);
      for (int64_t y = 0; y < rows; ++y)
        compute_row(y0 + y, worker.source, weights, worker.band + y * width);
      for (int64_t vector = block * kJ; vector < smaller(block * kJ + kJ, units.vectors()); ++vector)
        store_lanes(result + units.result_map(item, vector) * area + y0 * width,
                    units.result_lanes(item, vector, area), rows * width,
                    worker.band + vector % kJ * band_size(), T(1));
    }
  }

  void run(const T* source, const T* weight, T* result, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    packer.pack(weight, w.weights, w.weight_scratch, workers);
    parallel_pieces(workers, units.items() * bands(), [&](int64_t piece, int64_t begin, int64_t end) {
      const Worker worker{w.sources + piece * padded_source(), w.chunks + piece * loader.scratch(),
                          w.bands + piece * kJ * band_size()};
      loader.clear(worker.source, units.depth);
      for (int64_t i = begin; i < end; ++i) {
        if (i == begin || i % bands() == 0) load_item(i / bands(), source, worker);
        compute_band(i / bands(), i % bands(), w, worker, result);
      }
    });
  }
};

}  // namespace DASH_ISA
}  // namespace dash
