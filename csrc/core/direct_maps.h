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

struct UnitShape {
  int64_t batch, groups, depth, width;
  int64_t taps;  // as stored
  MapStrides source, result;

  // The lanes that are padded least. Units stand before samples, whose weights change with every item.
  Lane cheapest_lanes(int lanes) const {
    const auto padded = [lanes](int64_t n) { return ceil_div(n, lanes) * lanes; };
    const int64_t results = batch * groups * padded(width);
    const int64_t samples = padded(batch) * groups * width, units = padded(batch * groups) * width;
    if (results <= samples && results <= units) return Lane::results;
    return groups > 1 && units <= samples ? Lane::units : Lane::samples;
  }
};

// What is computed at once: kLanes units from `unit` on, or one. `set` tells its weights.
struct Item {
  int64_t set, unit, count;
};

template <class T, Lane kLane>
struct Units : UnitShape {
  using Pixel = std::conditional_t<kLane == Lane::results, T, Vec<T>>;  // of a source map
  using Weight = std::conditional_t<kLane == Lane::samples, T, Vec<T>>;
  static constexpr int64_t kWidthLanes = kLane == Lane::results ? kLanes<T> : 1;

  int64_t items, sets;

  explicit Units(const UnitShape& shape) : UnitShape(shape), items(batch * groups), sets(groups) {
    if (kLane == Lane::samples) items = ceil_div(batch, kLanes<T>) * groups;
    if (kLane == Lane::units) {
      int64_t a = groups, b = kLanes<T>;
      while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
      }
      items = ceil_div(batch * groups, kLanes<T>);
      sets = smaller(groups / a, items);  // then the groups in the lanes repeat
    }
  }

  // Result vectors of a unit.
  int64_t vectors() const { return ceil_div(width, kWidthLanes); }

  // Items with the same weights follow each other.
  Item item(int64_t i) const {
    const int64_t short_run = items / sets, longer = items % sets, split = longer * (short_run + 1);
    const int64_t set = i < split ? i / (short_run + 1) : longer + (i - split) / short_run;
    const int64_t of_set = i < split ? i % (short_run + 1) : (i - split) % short_run;
    if (kLane == Lane::results) return {set, of_set * groups + set, 1};
    if (kLane == Lane::samples) return {set, of_set * kLanes<T> * groups + set, batch - of_set * kLanes<T>};
    const int64_t unit = (of_set * sets + set) * kLanes<T>;
    return {set, unit, batch * groups - unit};
  }

  // Where pixel `pixel` of a source map of an item stands, or of the first map of one of its result vectors.
  int64_t source_at(const Item& item, int64_t channel, int64_t pixel) const {
    return map_at(source, item.unit, depth, channel) + pixel * source.pixel;
  }
  int64_t result_at(const Item& item, int64_t vector, int64_t pixel) const {
    return map_at(result, item.unit, width, vector * kWidthLanes) + pixel * result.pixel;
  }
  Lanes<T> source_lanes(const Item& item) const { return unit_lanes(source, item, depth); }
  Lanes<T> result_lanes(const Item& item, int64_t vector) const {
    if constexpr (kLane == Lane::results)
      return Lanes<T>::strided(result.map, width - vector * kLanes<T>, result.pixel);
    return unit_lanes(result, item, width);
  }

 private:
  // A unit has `each` maps.
  int64_t map_at(const MapStrides& maps, int64_t unit, int64_t each, int64_t map) const {
    return unit / groups * maps.sample + (unit % groups * each + map) * maps.map;
  }
  Lanes<T> unit_lanes(const MapStrides& maps, const Item& item, int64_t each) const {
    if (kLane == Lane::samples) return Lanes<T>::strided(maps.sample, item.count, maps.pixel);
    return Lanes<T>::across_samples(item.unit, groups, each * maps.map, maps.sample, item.count, maps.pixel);
  }
};

constexpr int64_t kBandPixels = 64;  // transposed at once, so that squares are full where rows are short
constexpr int64_t kSegment =
    1024;  // pixels of a phase: long rows are cut, so that threads share them and sums are short

// A part of a result map that is computed, then transposed, at once: whole rows, or a segment of one.
struct Band {
  int64_t y0, rows;
  int64_t from, to;               // pixels of each phase
  int64_t first_column, columns;  // of each row
};
struct Bands {
  const TapTable& table;

  int64_t segments() const { return ceil_div(table.phase_width[0], kSegment); }
  int64_t rows() const { return smaller(table.result_rows, ceil_div(kBandPixels, table.result_width)); }
  int64_t count() const { return ceil_div(table.result_rows, rows()) * segments(); }
  int64_t largest() const { return rows() * smaller(table.result_width, kSegment * table.phase_step); }
  Band at(int64_t i) const {
    const int64_t y0 = i / segments() * rows(), from = i % segments() * kSegment;
    const int64_t first = from * table.phase_step;
    return {y0,    smaller(rows(), table.result_rows - y0),
            from,  smaller(from + kSegment, table.phase_width[0]),
            first, smaller(table.result_width - first, kSegment * table.phase_step)};
  }
};

// Fills the buffer that a TapTable describes. The pads stay as they are: zero.
template <class T, class Pixel>
struct SourceLoader {
  const TapTable& table;

  int64_t size() const { return table.source_rows * table.pitch + table.pad; }
  bool is_plain() const { return table.step == 1 && !table.circular; }
  // Rows that pass through scratch at once, and the scratch.
  int64_t chunk_rows() const { return smaller(table.source_rows, larger(1, kBandPixels / table.source_width)); }
  int64_t scratch() const { return chunk_rows() * table.source_width; }

  void clear(Pixel* buffer, int64_t maps) const {
    for (int64_t i = 0; i < maps * size(); ++i)
      buffer[i] = Pixel{};
  }
  // Of pixels `apart` elements from each other.
  void put_row(const Pixel* row, int64_t apart, Pixel* to) const {
    const int64_t stretch_pitch = table.length + table.pad, width = table.source_width;
    for (int64_t i = 0; i < table.stretches; ++i) {
      Pixel* const stretch = to + i * stretch_pitch + table.pad;
      if (is_plain()) {
        for (int64_t j = 0; j < width; ++j)
          stretch[j] = row[j * apart];
        continue;
      }
      for (int64_t j = 0, column = table.first[i]; j < table.length; ++j, column += table.step) {
        if (column >= width) {
          if (!table.circular) break;
          column %= width;
        }
        stretch[j] = row[column * apart];
      }
    }
  }
  void load(const T* map, const Lanes<T>& lanes, Vec<T>* buffer, Vec<T>* chunk) const {
    const int64_t width = table.source_width;
    if (is_plain() && table.stretches == 1 && width >= kLanes<T>) {
      for (int64_t y = 0; y < table.source_rows; ++y)
        load_lanes(map + y * width * lanes.pixel, lanes, width, buffer + y * table.pitch + table.pad);
      return;
    }
    const int64_t step = chunk_rows();
    for (int64_t y0 = 0; y0 < table.source_rows; y0 += step) {
      const int64_t rows = smaller(step, table.source_rows - y0);
      load_lanes(map + y0 * width * lanes.pixel, lanes, rows * width, chunk);
      for (int64_t y = 0; y < rows; ++y)
        put_row(chunk + y * width, 1, buffer + (y0 + y) * table.pitch);
    }
  }
  void load(const T* map, const Lanes<T>& lanes, T* buffer, Vec<T>*) const {
    for (int64_t y = 0; y < table.source_rows; ++y)
      put_row(map + y * table.source_width * lanes.pixel, lanes.pixel, buffer + y * table.pitch);
  }
};

}  // namespace DASH_ISA
}  // namespace dash
