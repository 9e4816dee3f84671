// SPDX-License-Identifier: BSD-3-Clause
// The gradient of the weights as direct sums: every tap's products of pixels, summed over pixels and samples. Sums go
// through three stages (a run, some runs, the rest), so that their rounding hardly grows with their number.
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
  static constexpr int64_t kCarry = 64;  // runs that the middle stage sums

  // Source is the input, result the output, as in the forward direction: its order of weights serves for the sums.
  const DirectTransfer<T, kLane, kJ> transfer;
  const TapTable& table;
  const Unit& units;

  DirectWeightGrad(const TapTable& taps, const UnitShape& shape)
      : transfer(taps, shape, true), table(taps), units(transfer.units) {}

  int64_t set_size() const { return transfer.packer.set_size(); }

  struct Workspace {
    Vec<T>*partial, *total;  // of every worker: one set, all sets
    Vec<T>* rows;            // [workers][taps as stored]
    RowPair* pairs;          // [workers][rows of a band]
    Stream* streams;         // [taps]: of the first channel
    typename DirectTransfer<T, kLane, kJ>::Worker maps;
  };
  // What one worker adds up from.
  struct Buffers {
    typename DirectTransfer<T, kLane, kJ>::Worker maps;
    RowPair* pairs;
    const Stream* streams;
  };
  Workspace make_workspace(Arena& arena, int64_t count) const {
    Workspace w;
    w.partial = arena.take<Vec<T>>(count * set_size());
    w.total = arena.take<Vec<T>>(count * units.sets * set_size());
    w.rows = arena.take<Vec<T>>(count * units.taps);
    w.pairs = arena.take<RowPair>(count * transfer.bands.rows());
    w.streams = arena.take<Stream>(table.taps);
    w.maps = transfer.make_workers(arena, count);
    return w;
  }

  void load_gradient(const Item& item, int64_t vector, const Band& band, const T* gradient, Vec<T>* in_lanes) const {
    const int64_t first_pixel = band.y0 * table.result_width + band.first_column;
    if (vector < units.vectors())
      return load_lanes(gradient + units.result_at(item, vector, first_pixel), units.result_lanes(item, vector),
                        band.rows * band.columns, in_lanes);
    for (int64_t k = 0; k < band.rows * band.columns; ++k)
      in_lanes[k] = Vec<T>{};
  }

  // Where the rows of a band meet those that the taps of a group read.
  int64_t pair_rows(int64_t group, const Band& band, RowPair* pairs) const {
    int64_t count = 0;
    for (int64_t y = 0; y < band.rows; ++y) {
      const int64_t* const list = table.row + band.y0 + y;
      const RowTaps *const row = table.row_taps + list[0], *const end = table.row_taps + list[1];
      int64_t low = 0, high = end - row;  // a row lists its groups in order
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (row[middle].group < group)
          low = middle + 1;
        else
          high = middle;
      }
      if (row + low != end && row[low].group == group) pairs[count++] = {row[low].at, y * band.columns};
    }
    return count;
  }

  // Products of kJ vectors of gradients in a band with the input, for all channels and taps.
  void add_band(const Band& band, const Buffers& own, Vec<T>* sums) const {
    for (int64_t group = 0; group < table.groups; ++group) {
      const int64_t row_count = pair_rows(group, band, own.pairs);
      if (row_count == 0) continue;
      for (int64_t i = table.chunk[group]; i < table.chunk[group + 1]; ++i) {
        const int64_t end = table.chunks[i].first + table.chunks[i].count;
        for (int64_t tap = table.chunks[i].first; tap < end; tap += kMostStreams)
          add_taps(band, tap, smaller(kMostStreams, end - tap), row_count, own, sums);
      }
    }
  }
  // Where taps are few, several channels are walked at once.
  void add_taps(const Band& band, int64_t tap, int64_t count, int64_t row_count, const Buffers& own,
                Vec<T>* sums) const {
    const int64_t from = larger(band.from, -table.shift[tap + count - 1]);
    const int64_t to = smaller(band.to, table.length - table.shift[tap]);
    const int64_t together = smaller(units.depth, kMostStreams / count);
    Stream several[kMostStreams];
    const Stream* streams = own.streams + tap;
    if (together > 1) {
      for (int64_t i = 0; i < together * count; ++i)
        several[i] = {streams[i % count].at + i / count * transfer.loader.size(),
                      streams[i % count].sum + i / count * transfer.packer.channel_size()};
      streams = several;
    }
    for (int64_t c = 0; c < units.depth; c += together)
      for (int64_t k = from; k < to; k += kRun)
        correlate<T, kJ>(Walk<T, Pixel>{own.pairs, row_count, own.maps.source + c * transfer.loader.size() + k,
                                        own.maps.band + k - band.from, transfer.bands.largest(), smaller(kRun, to - k),
                                        sums + c * transfer.packer.channel_size()},
                         streams, smaller(together, units.depth - c) * count);
  }

  void carry(Vec<T>* partial, Vec<T>* total) const {
    for (int64_t i = 0; i < set_size(); ++i) {
      total[i] += partial[i];
      partial[i] = Vec<T>{};
    }
  }

  void run(const T* gradient, const T* x, T* result, void* buffer, const Workers& workers) const {
    Arena arena(buffer);
    const Workspace w = make_workspace(arena, workers.count);
    const int64_t bands = transfer.bands.count(), tasks = units.items * bands;
    for (int64_t t = 0; t < table.taps; ++t)
      w.streams[t] = {table.at[t], t * kJ};
    parallel_pieces(workers, tasks, [&](int64_t piece, int64_t begin, int64_t end) {
      const Buffers own{transfer.worker(w.maps, piece), w.pairs + piece * transfer.bands.rows(), w.streams};
      Vec<T>*const partial = w.partial + piece * set_size(), *const total = w.total + piece * units.sets * set_size();
      for (int64_t i = 0; i < set_size(); ++i)
        partial[i] = Vec<T>{};
      for (int64_t i = 0; i < units.sets * set_size(); ++i)
        total[i] = Vec<T>{};
      transfer.loader.clear(own.maps.source, units.depth);
      int64_t runs = 0;
      for (int64_t i = begin; i < end; ++i) {
        const Item item = units.item(i / bands);
        if (i == begin || i % bands == 0) transfer.load_item(item, x, own.maps);
        const Band band = transfer.bands.at(i % bands);
        for (int64_t block = 0; block < transfer.packer.blocks(); ++block) {
          for (int64_t j = 0; j < kJ; ++j)
            load_gradient(item, block * kJ + j, band, gradient, own.maps.band + j * transfer.bands.largest());
          add_band(band, own, partial + block * transfer.packer.block_size());
        }
        runs += ceil_div(band.to - band.from, kRun);
        const bool set_ends = i + 1 == end || units.item((i + 1) / bands).set != item.set;
        if (runs < kCarry && !set_ends) continue;
        carry(partial, total + item.set * set_size());
        runs = 0;
      }
    });
    finish(w, larger(1, smaller(workers.count, tasks)), result, workers);
  }

  // Adds up the workers, in order, and puts sums where the weights of their lanes are.
  void finish(const Workspace& w, int64_t pieces, T* result, const Workers& workers) const {
    const int64_t depth = units.depth, vectors = units.vectors(), rows = units.sets * vectors * depth;
    const auto finish_rows = [&](int64_t worker, int64_t begin, int64_t end) {
      Vec<T>* const sums = w.rows + worker * units.taps;
      for (int64_t t = 0; t < units.taps; ++t)
        sums[t] = Vec<T>{};  // taps that reach nothing stay so
      for (int64_t i = begin; i < end; ++i) {
        const int64_t set = i / (vectors * depth), vector = i / depth % vectors, channel = i % depth;
        const Vec<T>* from = w.total + set * set_size() + vector / kJ * transfer.packer.block_size() +
                             channel * transfer.packer.channel_size() + vector % kJ;
        for (int64_t t = 0; t < table.taps; ++t) {
          Vec<T> sum = from[t * kJ];
          for (int64_t piece = 1; piece < pieces; ++piece)
            sum += from[t * kJ + piece * units.sets * set_size()];
          sums[table.stored[t]] = sum;
        }
        put(set, vector, channel, sums, result);
      }
    };
    if (kLane != Lane::units) return parallel_pieces(workers, rows, finish_rows);
    for (int64_t i = 0; i < units.groups * units.width * depth * units.taps; ++i)
      result[i] = T(0);
    finish_rows(0, 0, rows);  // several vectors hold parts of one weight
  }
  void put(int64_t set, int64_t vector, int64_t channel, const Vec<T>* sums, T* result) const {
    const Lanes<T> lanes = transfer.packer.lanes(set, vector, channel);
    if constexpr (kLane == Lane::results) {
      store_lanes(result, lanes, units.taps, sums);
    } else if constexpr (kLane == Lane::samples) {
      for (int64_t t = 0; t < units.taps; ++t)
        result[transfer.packer.row(set, vector, channel) * units.taps + t] = lane_sum<T>(sums[t]);
    } else {
      for (int l = 0; l < kLanes<T>; ++l)
        for (int64_t t = 0; t < units.taps; ++t)
          result[lanes.offset[l] + t] += sums[t][l];
    }
  }
};

}  // namespace DASH_ISA
}  // namespace dash
