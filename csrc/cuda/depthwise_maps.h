// SPDX-License-Identifier: BSD-3-Clause
// Forward and input gradient of a depthwise layer: every map is read once and written once, and what lies between stays
// in shared memory. Both multiply by a spectrum; the forward's is that of the taps mirrored.
#pragma once
#include "depthwise.h"

namespace dash {
namespace cuda {

// The spectrum of every channel's taps on the circle, in the order in which DepthwiseMaps meets its frequencies:
// (channels, place in a column, place in a row), scaled for a transform there and back.
template <class T>
struct DepthwiseSpectrum {
  using Scalar = T;
  static constexpr int kThreads = kDepthwiseThreads;
  static constexpr int kColumns = 16;  // of a block

  Circle circle;
  int channels, num_taps, tap_rows, tiles;  // rows of the circle that hold a tap; blocks of a channel
  Lines columns;
  // Per row that holds taps: where they begin in the entries, one more at the end; and where on the circle it lies.
  Global<const int> row_starts, row_places;
  Global<const int> entry_taps, entry_places;  // which tap, and where in its row
  Global<const Complex<T>> row_roots, column_roots;
  Global<const T> taps;  // (channels, num_taps)
  Global<Complex<T>> spectrum;

  DepthwiseSpectrum(const Circle& around, int64_t planes, int64_t taps_of_one, int64_t rows)
      : circle(around), channels(static_cast<int>(planes)), num_taps(static_cast<int>(taps_of_one)),
        tap_rows(static_cast<int>(rows)), tiles(static_cast<int>(blocks_for(around.rows_fft.length(), kColumns))),
        columns(kColumns) {}

  int64_t size() const { return int64_t{channels} * circle.columns_fft.length() * circle.rows_fft.length(); }
  int64_t grid() const { return int64_t{channels} * tiles; }
  int64_t shared() const { return shared_bytes<Complex<T>>(int64_t{kColumns} * circle.columns_fft.length()); }

  DASH_DEVICE void operator()(const Block& block) const {
    const int channel = block.x() / tiles, first = (block.x() - channel * tiles) * kColumns;
    const int length = circle.columns_fft.length(), across = circle.rows_fft.length();
    const SharedArray<Complex<T>> scratch = block.shared<Complex<T>>(kColumns * length);
    for (int i = block.thread(); i < kColumns * length; i += kThreads)
      scratch.store(i, {0, 0});
    block.barrier();
    for (int i = block.thread(); i < kColumns * tap_rows; i += kThreads) {
      const int row = i / kColumns, line = i % kColumns;
      if (first + line < across)
        scratch.store(row_places.load(row) * kColumns + line,
                      frequency_of_row(channel, row, circle.rows_fft.frequency_at(first + line)));
    }
    block.barrier();
    const auto put = [&](int line, int place, const Complex<T>& value) {
      const int64_t row = static_cast<int64_t>(channel) * length + place;
      if (first + line < across) spectrum.store(row * across + first + line, value);
    };
    transform<-1, T>(
        block, kThreads, circle.columns_fft, 0, circle.columns_fft.passes(), columns, column_roots,
        [&](int, int line, int place) { return scratch.load(place * kColumns + line); },
        [&](int pass, int line, int place, const Complex<T>& value) {
          if (pass + 1 < circle.columns_fft.passes())
            scratch.store(place * kColumns + line, value);
          else
            put(line, place, value);
        });
    if (length == 1 && block.thread() < kColumns) put(block.thread(), 0, scratch.load(block.thread()));
  }

 private:
  // A row holds few taps: their sum costs less than a transform of the row.
  DASH_DEVICE Complex<T> frequency_of_row(int channel, int row, int frequency) const {
    const int across = circle.rows_fft.length(), end = row_starts.load(row + 1);
    const T scale = T(1) / (static_cast<T>(across) * static_cast<T>(circle.columns_fft.length()));
    Complex<T> sum{0, 0};
    for (int i = row_starts.load(row); i < end; ++i) {
      const T tap = taps.load(static_cast<int64_t>(channel) * num_taps + entry_taps.load(i));
      sum = sum + root_of_product(row_roots, frequency, entry_places.load(i), across) * tap;
    }
    return sum * scale;
  }
};

// result = the circular convolution of source with what `spectrum` belongs to, plus bias if there is one.
template <class T>
struct DepthwiseMaps {
  using Scalar = T;
  static constexpr int kThreads = kDepthwiseThreads;

  Circle circle;
  Maps source, result;
  Pairs pairs;
  Window window;  // all of every row
  Lines source_lines, result_lines;
  int blocks_per_channel;
  bool has_bias = false;
  Global<const Complex<T>> row_roots, column_roots, spectrum;
  Global<const T> from, bias;
  Global<T> to;

  DepthwiseMaps(int64_t batch, int64_t channels, const Circle& around, const Maps& before, const Maps& after)
      : circle(around), source(before), result(after),
        pairs(batch, channels, int64_t{std::max(before.rows.size, after.rows.size)} * around.rows_fft.length()),
        window(around.rows_fft.length()) {
    // A pair's rows are overwritten by its results, which only lie where they did if they are as many.
    if (source.rows.size != result.rows.size) pairs.per_block = 1;
    source_lines = Lines(pairs.per_block * source.rows.size);
    result_lines = Lines(pairs.per_block * result.rows.size);
    blocks_per_channel = static_cast<int>(blocks_for(pairs.count, pairs.per_block));
  }

  int64_t grid() const { return pairs.channels * blocks_per_channel; }
  int64_t shared() const { return shared_bytes<Complex<T>>(map_size()) + shared_bytes<Complex<T>>(circle.scratch()); }
  DASH_ANYWHERE int map_size() const {
    const int rows = source.rows.size > result.rows.size ? source.rows.size : result.rows.size;
    return pairs.per_block * rows * circle.pitch;
  }

  DASH_DEVICE void operator()(const Block& block) const {
    const int channel = block.x() / blocks_per_channel;
    const int first_pair = (block.x() - channel * blocks_per_channel) * pairs.per_block;
    const SharedArray<Complex<T>> map = block.shared<Complex<T>>(map_size());
    const SharedArray<Complex<T>> scratch = block.shared<Complex<T>>(circle.scratch());
    load_pairs(block, from, source, pairs, circle, channel, first_pair, 0, source_lines.count, map);
    block.barrier();
    if (circle.columns_fft.length() == 1)
      convolve_rows(block, channel, map);
    else
      convolve_maps(block, channel, map, scratch);
    block.barrier();
    store_pairs(block, channel, first_pair, map);
  }

 private:
  // Of one-dimensional maps a row is all there is.
  DASH_DEVICE void convolve_rows(const Block& block, int channel, const SharedArray<Complex<T>>& map) const {
    const Fft& fft = circle.rows_fft;
    const auto read = [&](int, int line, int place) { return map.load(line * circle.pitch + place); };
    const auto write = [&](int, int line, int place, const Complex<T>& v) {
      map.store(line * circle.pitch + place, v);
    };
    const auto product = [&](auto& values, int, int place) {
      for (auto& value : values)
        value = value * spectrum.load(static_cast<int64_t>(channel) * fft.length() + place++);
    };
    if (fft.passes() == 0) return multiply_points(block, channel, map);
    transform<-1, T>(block, kThreads, fft, 0, fft.passes() - 1, source_lines, row_roots, read, write);
    if (fft.passes() > 1) block.barrier();
    turn_back<T>(block, kThreads, fft, source_lines, read, product, write);
    if (fft.passes() > 1) block.barrier();
    transform<1, T>(block, kThreads, fft, 0, fft.passes() - 1, result_lines, row_roots, read, write);
  }

  // A circle of one point: there is nothing to transform.
  DASH_DEVICE void multiply_points(const Block& block, int channel, const SharedArray<Complex<T>>& map) const {
    for (int line = block.thread(); line < source_lines.count; line += kThreads)
      map.store(line * circle.pitch, map.load(line * circle.pitch) * spectrum.load(channel));
  }

  // Between two turns at the scratch no barrier is needed: a thread's last numbers of one are its first of the next.
  DASH_DEVICE void convolve_maps(const Block& block, int channel, const SharedArray<Complex<T>>& map,
                                 const SharedArray<Complex<T>>& scratch) const {
    transform_rows<-1, T>(block, circle, source_lines, row_roots, map);
    if (circle.rows_fft.passes() > 0) block.barrier();
    for (int first = 0; first < pairs.per_block * circle.rows_fft.length(); first += circle.columns_at_once) {
      const ColumnSource<T> columns{circle, window, source, pairs, first, map, scratch, 0};
      transform_columns(block, columns, column_roots);
      return_columns(
          block, columns, column_roots,
          [&](auto& values, int line, int place) {
            const Column column = columns.column(line);
            if (!column.inside) return;
            int64_t row = static_cast<int64_t>(channel) * circle.columns_fft.length() + place;
            for (auto& value : values)
              value = value * spectrum.load(row++ * circle.rows_fft.length() + column.place);
          },
          [&](int line, int place, const Complex<T>& value) {
            const Column column = columns.column(line);
            const int row = result.rows.pixel_at(place);
            if (row >= 0 && column.inside)
              map.store((column.pair * result.rows.size + row) * circle.pitch + column.place, value);
          });
    }
    if (circle.rows_fft.passes() > 0) block.barrier();
    transform_rows<1, T>(block, circle, result_lines, row_roots, map);
  }

  DASH_DEVICE void store_pairs(const Block& block, int channel, int first_pair,
                               const SharedArray<Complex<T>>& map) const {
    const int total = pairs.per_block * result.rows.size * result.columns.size;
    for (int i = block.thread(); i < total; i += kThreads) {
      const int line = result.columns.by_size.quotient(i), column = i - line * result.columns.size;
      const int pair = result.rows.by_size.quotient(line), row = line - pair * result.rows.size;
      const int64_t image = 2 * static_cast<int64_t>(first_pair + pair);
      if (image >= pairs.batch) continue;
      const Complex<T> value = map.load(line * circle.pitch + column * result.columns.step);
      const T shift = has_bias ? bias.load(channel) : T(0);
      const int64_t step = pairs.channels * result.pixels();
      const int64_t at =
          image * step + channel * result.pixels() + static_cast<int64_t>(row) * result.columns.size + column;
      to.store(at, value.re + shift);
      if (image + 1 < pairs.batch) to.store(at + step, value.im + shift);
    }
  }
};

}  // namespace cuda
}  // namespace dash
