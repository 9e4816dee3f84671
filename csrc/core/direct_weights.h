// SPDX-License-Identifier: BSD-3-Clause
// The gradient of the weights as direct sums: every tap's products of pixels, summed over pixels and samples.
#pragma once
#include "direct_transfer.h"

namespace dash {
namespace DASH_ISA {

template <class T>
inline T lane_sum(Vec<T> v) {
  for (int half = kLanes<T> / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l)
      v[l] += v[l + half];
  return v[0];
}

template <class T, Lane kLane, int kJ>
struct DirectWeightGrad {
  using Unit = Units<T, kLane>;
  using Pixel = typename Unit::Pixel;

  // Source is the input, result the output, as in the forward direction: its tables and its order of weights serve.
  const DirectTransfer<T, kLane, kJ> transfer;
  const TapTable& table;
  const Unit& units;

  // Sums of so many runs are carried over to a second sum.
  static constexpr int64_t kCarry = 64;

  DirectWeightGrad(const TapTable& taps, const UnitShape& shape)
      : transfer(taps, shape, true), table(taps), units(transfer.units) {}

  struct Workspace {
    Vec<T>*partial, *total;  // per worker, in the order of packed weights
    Pixel* sources;
    Vec<T>*chunks, *bands, *rows;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.partial = arena.take<Vec<T>>(count * transfer.packer.size());
    w.total = arena.take<Vec<T>>(count * transfer.packer.size());
    w.sources = arena.take<Pixel>(count * transfer.padded_source());
    w.chunks = arena.take<Vec<T>>(count * transfer.loader.scratch());
    w.bands = arena.take<Vec<T>>(count * kJ * transfer.band_size());
    w.rows = arena.take<Vec<T>>(count * units.taps);
    return w;
  }

  // Products of kJ vectors of gradients along row y with the input, for all channels and taps.
  void add_row(int64_t y, const Pixel* source, const Vec<T>* gradient, Vec<T>* sums) const {
    const int64_t list = table.row_list[y];
    const TapEntry* e = table.entries + table.list[list];
    const TapEntry* const end = table.entries + table.list[list + 1];
    while (e < end) {
      int64_t count = 1;  // neighbouring taps read nearly the same pixels: their common range wastes little
      while (count < kTaps && e + count < end && e[count].shift - e->shift <= table.pad)
        ++count;
      const int64_t from = larger(0, -e[count - 1].shift), to = smaller(table.result_width, table.length - e->shift);
      for (int64_t c = 0; c < units.depth; ++c)
        for (int64_t k = from; k < to; k += kRun)
          correlate<T, kJ>(count, e, source + c * transfer.loader.size() + table.row_base[y], gradient,
                           transfer.band_size(), k, smaller(k + kRun, to), sums + c * transfer.packer.channel_size());
      e += count;
    }
  }

  void add_band(int64_t item, int64_t band, const T* gradient, const Pixel* source, Vec<T>* in_lanes,
                Vec<T>* sums) const {
    const int64_t width = table.result_width, area = table.result_rows * width, band_size = transfer.band_size();
    const int64_t y0 = band * band_rows(table), rows = smaller(band_rows(table), table.result_rows - y0);
    for (int64_t block = 0; block < transfer.packer.blocks(); ++block) {
      for (int64_t j = 0; j < kJ; ++j) {
        const int64_t vector = block * kJ + j;
        if (vector < units.vectors())
          load_lanes(gradient + units.result_map(item, vector) * area + y0 * width,
                     units.result_lanes(item, vector, area), rows * width, in_lanes + j * band_size);
        else
          for (int64_t k = 0; k < rows * width; ++k)
            in_lanes[j * band_size + k] = Vec<T>{};
      }
      for (int64_t y = 0; y < rows; ++y)
        add_row(y0 + y, source, in_lanes + y * width, sums + transfer.packer.at(units.weight_set(item), block));
    }
  }

  void carry(Vec<T>* partial, Vec<T>* total) const {
    for (int64_t i = 0; i < transfer.packer.size(); ++i) {
      total[i] += partial[i];
      partial[i] = Vec<T>{};
    }
  }

  void run(const T* gradient, const T* x, T* result, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    const int64_t size = transfer.packer.size(), bands = transfer.bands(), tasks = units.items() * bands;
    const int64_t pieces = larger(1, smaller(workers.count, tasks));
    const int64_t runs_per_band = band_rows(table) * ceil_div(table.result_width, kRun);
    parallel_pieces(workers, tasks, [&](int64_t piece, int64_t begin, int64_t end) {
      const typename DirectTransfer<T, kLane, kJ>::Worker worker{
          w.sources + piece * transfer.padded_source(), w.chunks + piece * transfer.loader.scratch(),
          w.bands + piece * kJ * transfer.band_size()};
      Vec<T>*const partial = w.partial + piece * size, *const total = w.total + piece * size;
      for (int64_t i = 0; i < size; ++i)
        partial[i] = total[i] = Vec<T>{};
      transfer.loader.clear(worker.source, units.depth);
      int64_t runs = 0;
      for (int64_t i = begin; i < end; ++i) {
        if (i == begin || i % bands == 0) transfer.load_item(i / bands, x, worker);
        add_band(i / bands, i % bands, gradient, worker.source, worker.band, partial);
        runs += runs_per_band;
        if (runs < kCarry && i + 1 < end) continue;
        carry(partial, total);
        runs = 0;
      }
    });
    finish(w, pieces, result, workers);
  }

  // Adds up the workers, in order, and puts sums where the weights of their lanes are.
  void finish(const Workspace& w, int64_t pieces, T* result, const Workers& workers) const {
    const auto& packer = transfer.packer;
    const int64_t size = packer.size(), padded = packer.blocks() * kJ, depth = units.depth, taps = units.taps;
    const int64_t rows = units.weight_sets() * padded * depth;
    if (kLane == Lane::units)
      for (int64_t i = 0; i < units.groups * units.width * depth * taps; ++i)
        result[i] = T(0);
    const auto finish_rows = [&](int64_t worker, int64_t begin, int64_t end) {
      Vec<T>* const sums = w.rows + worker * taps;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t set = i / (padded * depth), vector = i / depth % padded, channel = i % depth;
        if (vector >= units.vectors()) continue;
        const Vec<T>* from = w.total + packer.at(set, vector / kJ) + channel * packer.channel_size() + vector % kJ;
        for (int64_t t = 0; t < taps; ++t) {
          sums[t] = from[t * kJ];
          for (int64_t piece = 1; piece < pieces; ++piece)
            sums[t] += from[t * kJ + piece * size];
        }
        put(set, vector, channel, sums, result);
      }
    };
    if (kLane == Lane::units)
      finish_rows(0, 0, rows);  // several vectors hold parts of one weight
    else
      parallel_pieces(workers, rows, finish_rows);
  }
  void put(int64_t set, int64_t vector, int64_t channel, const Vec<T>* sums, T* result) const {
    const auto& packer = transfer.packer;
    if constexpr (kLane == Lane::results) {
      store_lanes(result + packer.row(set, vector * kLanes<T>, channel) * units.taps,
                  packer.lanes(set, vector, channel), units.taps, sums, T(1));
    } else if constexpr (kLane == Lane::samples) {
      T* const row = result + packer.row(set, vector, channel) * units.taps;
      for (int64_t t = 0; t < units.taps; ++t)
        row[t] = lane_sum<T>(sums[t]);
    } else {
      const Lanes<T> lanes = packer.lanes(set, vector, channel);
      for (int l = 0; l < kLanes<T>; ++l)
        for (int64_t t = 0; t < units.taps; ++t)
          result[lanes.offset[l] + t] += sums[t][l];
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
