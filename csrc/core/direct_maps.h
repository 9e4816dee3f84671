// SPDX-License-Identifier: BSD-3-Clause
// What the lanes of direct sums hold, and how maps get into and out of them.
#pragma once
#include "direct_plan.h"
#include "vec.h"

namespace dash {
namespace DASH_ISA {

// A unit is one group of channels of one sample: `depth` source maps and `width` result maps that have nothing to do
// with other units'. Lanes hold kLanes results of one unit (results), the same result of kLanes samples (samples), or
// of kLanes neighbouring units, whose weights differ (units).
enum class Lane { results, samples, units };

constexpr int64_t kChunkPixels = 64;  // transposed at once, so that squares are full where rows are short

struct UnitShape {
  int64_t batch, groups, depth, width, taps;

  Lane cheapest_lanes(int lanes) const {
    const auto padded = [lanes](int64_t n) { return ceil_div(n, lanes) * lanes; };
    const int64_t results = batch * groups * padded(width);
    const int64_t samples = padded(batch) * groups * width, units = padded(batch * groups) * width;
    if (results <= samples && results <= units) return Lane::results;
    return samples <= units ? Lane::samples : Lane::units;
  }
};

template <class T, Lane kLane>
struct Units : UnitShape {
  using Pixel = std::conditional_t<kLane == Lane::results, T, Vec<T>>;    // of a source map
  using Weight = std::conditional_t<kLane == Lane::samples, T, Vec<T>>;
  static constexpr int64_t kWidthLanes = kLane == Lane::results ? kLanes<T> : 1;

  explicit Units(const UnitShape& shape) : UnitShape(shape) {}

  // Result vectors of a unit, and how many of them are computed together.
  int64_t vectors() const { return ceil_div(width, kWidthLanes); }
  // Items of work: kLanes units each, or one.
  int64_t items() const {
    if (kLane == Lane::results) return batch * groups;
    return kLane == Lane::samples ? ceil_div(batch, kLanes<T>) * groups : ceil_div(batch * groups, kLanes<T>);
  }
  // Weights that differ: after so many items of Lane::units the groups in the lanes repeat.
  int64_t weight_sets() const {
    if (kLane != Lane::units) return groups;
    int64_t a = groups, b = kLanes<T>;
    while (b) {
      const int64_t rest = a % b;
      a = b;
      b = rest;
    }
    return smaller(groups / a, items());
  }
  int64_t weight_set(int64_t item) const { return kLane == Lane::units ? item % weight_sets() : item % groups; }

  int64_t first_unit(int64_t item) const {
    if (kLane == Lane::results) return item;
    return kLane == Lane::samples ? item / groups * kLanes<T> * groups + item % groups : item * kLanes<T>;
  }
  // The source maps of an item, and its result maps, `area` pixels each.
  Lanes<T> unit_lanes(int64_t item, int64_t maps, int64_t area) const {
    return kLane == Lane::samples ? Lanes<T>::strided(groups * maps * area, batch - item / groups * kLanes<T>)
                                  : Lanes<T>::strided(maps * area, batch * groups - item * kLanes<T>);
  }
  int64_t source_map(int64_t item, int64_t channel) const { return first_unit(item) * depth + channel; }
  int64_t result_map(int64_t item, int64_t vector) const { return first_unit(item) * width + vector * kWidthLanes; }
  Lanes<T> result_lanes(int64_t item, int64_t vector, int64_t area) const {
    if constexpr (kLane == Lane::results) return Lanes<T>::strided(area, width - vector * kLanes<T>);
    return unit_lanes(item, width, area);
  }
};

// Fills the buffer that a TapTable describes. The pads stay as they are: zero.
template <class T, class Pixel>
struct SourceLoader {
  const TapTable& table;

  int64_t size() const { return table.source_rows * table.pitch; }
  // Rows that pass through scratch at once, and the scratch.
  int64_t chunk_rows() const { return smaller(table.source_rows, larger(1, kChunkPixels / table.source_width)); }
  int64_t scratch() const { return chunk_rows() * table.source_width; }

  void clear(Pixel* buffer, int64_t maps) const {
    for (int64_t i = 0; i < maps * size(); ++i)
      buffer[i] = Pixel{};
  }
  DASH_INLINE void put_row(const Pixel* row, Pixel* to) const {
    const int64_t stretch_pitch = table.length + 2 * table.pad, width = table.source_width;
    for (int64_t i = 0; i < table.stretches; ++i) {
      Pixel* const stretch = to + i * stretch_pitch + table.pad;
      if (table.step == 1 && !table.circular) {
        for (int64_t j = 0; j < width; ++j)
          stretch[j] = row[j];
        continue;
      }
      for (int64_t j = 0, column = table.first[i]; j < table.length; ++j, column += table.step) {
        if (column >= width) {
          if (!table.circular) break;
          column %= width;
        }
        stretch[j] = row[column];
      }
    }
  }
  void load(const T* map, const Lanes<T>& lanes, Vec<T>* buffer, Vec<T>* chunk) const {
    const int64_t step = chunk_rows(), width = table.source_width;
    for (int64_t y0 = 0; y0 < table.source_rows; y0 += step) {
      const int64_t rows = smaller(step, table.source_rows - y0);
      load_lanes(map + y0 * width, lanes, rows * width, chunk);
      for (int64_t y = 0; y < rows; ++y)
        put_row(chunk + y * width, buffer + (y0 + y) * table.pitch);
    }
  }
  void load(const T* map, const Lanes<T>&, T* buffer, Vec<T>*) const {
    for (int64_t y = 0; y < table.source_rows; ++y)
      put_row(map + y * table.source_width, buffer + y * table.pitch);
  }
};

// Rows of a result that are computed, then transposed, together.
inline int64_t band_rows(const TapTable& table) {
  return smaller(table.result_rows, ceil_div(kChunkPixels, table.result_width));
}

}  // namespace DASH_ISA
}  // namespace dash
