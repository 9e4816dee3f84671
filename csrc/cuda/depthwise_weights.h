// SPDX-License-Identifier: BSD-3-Clause
// Weight gradient of a depthwise layer. With X and G the spectra of two images each, X conj(G) is that of the sum of
// both images' correlations in its real part; only the rows and then only the places that hold a tap are transformed
// back. A block adds up some images, in their order, and sums.h adds up the blocks.
#pragma once
#include "depthwise.h"

namespace dash {
namespace cuda {

template <class T>
struct DepthwiseWeights {
  using Scalar = T;
  static constexpr int kThreads = kDepthwiseThreads;
  static constexpr int kRounds = 8;                  // pairs that a block takes one after the other
  static constexpr int64_t kMostShared = 160 << 10;  // bytes of a block: what an A100 has

  Circle circle;
  Maps input, output;
  Pairs pairs;
  Window window;
  Lines row_lines;                // that are transformed at once
  int num_taps, tap_rows, parts;  // rows of the circle that hold a tap; blocks of a channel and window
  int windows;
  Global<const int> row_numbers;              // per row of the circle: its number among those that hold a tap, or -1
  Global<const int> tap_numbers, tap_places;  // per tap: the number of its row, or -1 if it reaches nothing; its place
  Global<const Complex<T>> row_roots, column_roots;
  Global<const T> x, grad;
  Global<T> sums;  // (parts * windows, channels, num_taps)

  DepthwiseWeights(int64_t batch, int64_t channels, const Circle& around, const Maps& of_x, const Maps& of_grad,
                   int64_t rows, int64_t taps_of_one)
      : circle(around), input(of_x), output(of_grad),
        pairs(batch, channels, int64_t{of_x.rows.size + of_grad.rows.size} * around.rows_fft.length()),
        window(around.rows_fft.length()),
        row_lines(static_cast<int>(
            std::clamp<int64_t>(2048 / around.rows_fft.length(), 1, int64_t{pairs.per_block} * of_x.rows.size))),
        num_taps(static_cast<int>(taps_of_one)), tap_rows(static_cast<int>(rows)),
        parts(static_cast<int>(blocks_for(pairs.count, int64_t{kRounds} * pairs.per_block))), windows(1) {
    // Large maps: blocks share the frequencies of a row. Each transforms all rows, but keeps its window alone.
    while (shared() > kMostShared && window.width > 1) {
      ++windows;
      window = Window(static_cast<int>(blocks_for(around.rows_fft.length(), windows)));
    }
  }

  int64_t grid() const { return pairs.channels * parts * windows; }
  int64_t shared() const {
    return shared_bytes<Complex<T>>(spectrum_size(input)) + shared_bytes<Complex<T>>(spectrum_size(output)) +
           shared_bytes<Complex<T>>(scratch_size()) + shared_bytes<Complex<T>>(kept_size());
  }
  DASH_ANYWHERE int spectrum_size(const Maps& maps) const { return pairs.per_block * maps.rows.size * window.pitch; }
  DASH_ANYWHERE int kept_size() const { return pairs.per_block * tap_rows * window.pitch; }
  // Of rows, and then of columns.
  DASH_ANYWHERE int scratch_size() const {
    const int rows = row_lines.count * circle.pitch, columns = 2 * circle.scratch();
    return rows > columns ? rows : columns;
  }

  DASH_DEVICE void operator()(const Block& block) const {
    const int share = block.x() / parts, part = block.x() - share * parts;
    const int channel = share / windows, number = share - channel * windows;
    // The last window may lie over the one before: what both keep, store_taps takes from the first.
    const int begin = smaller(number * window.width, circle.rows_fft.length() - window.width);
    const SharedArray<Complex<T>> of_x = block.shared<Complex<T>>(spectrum_size(input));
    const SharedArray<Complex<T>> of_grad = block.shared<Complex<T>>(spectrum_size(output));
    const SharedArray<Complex<T>> scratch = block.shared<Complex<T>>(scratch_size());
    const SharedArray<Complex<T>> kept = block.shared<Complex<T>>(kept_size());
    for (int i = block.thread(); i < kept_size(); i += kThreads)
      kept.store(i, {0, 0});
    for (int round = 0; round < kRounds; ++round) {
      const int first_pair = (part * kRounds + round) * pairs.per_block;
      if (first_pair >= pairs.count) break;
      load_rows(block, x, input, channel, first_pair, begin, scratch, of_x);
      load_rows(block, grad, output, channel, first_pair, begin, scratch, of_grad);
      block.barrier();
      if (circle.columns_fft.length() == 1)
        correlate_rows(block, of_x, of_grad, kept);
      else
        for (int first = 0; first < pairs.per_block * window.width; first += circle.columns_at_once)
          correlate_columns(block, {circle, window, input, pairs, first, of_x, scratch, 0},
                            {circle, window, output, pairs, first, of_grad, scratch, circle.scratch()}, kept);
      block.barrier();
    }
    store_taps(block, channel, number * parts + part, begin, number * window.width - begin, kept);
  }

 private:
  static DASH_DEVICE int smaller(int a, int b) { return a < b ? a : b; }

  // The window of the spectra of all rows of the pairs, some rows at a time. A thread takes from `rows` what it puts
  // there next, so that no barrier is needed between.
  DASH_DEVICE void load_rows(const Block& block, Global<const T> from, const Maps& maps, int channel, int first_pair,
                             int begin, const SharedArray<Complex<T>>& rows,
                             const SharedArray<Complex<T>>& spectra) const {
    const int lines = pairs.per_block * maps.rows.size, across = circle.rows_fft.length();
    for (int first = 0; first < lines; first += row_lines.count) {
      load_pairs(block, from, maps, pairs, circle, channel, first_pair, first, row_lines.count, rows);
      block.barrier();
      transform_rows<-1, T>(block, circle, row_lines, row_roots, rows);
      block.barrier();
      for (int i = block.thread(); i < row_lines.count * across; i += kThreads) {
        const int line = circle.by_row_length.quotient(i), place = i - line * across;
        if (first + line < lines && place >= begin && place < begin + window.width)
          spectra.store((first + line) * window.pitch + place - begin, rows.load(line * circle.pitch + place));
      }
    }
  }

  DASH_DEVICE void add(const SharedArray<Complex<T>>& kept, const Column& column, int row, Complex<T> value) const {
    const int at = (column.pair * tap_rows + row) * window.pitch + column.place;
    kept.store(at, kept.load(at) + value);
  }

  DASH_DEVICE void correlate_rows(const Block& block, const SharedArray<Complex<T>>& of_x,
                                  const SharedArray<Complex<T>>& of_grad, const SharedArray<Complex<T>>& kept) const {
    if (tap_rows == 0) return;
    for (int i = block.thread(); i < pairs.per_block * window.width; i += kThreads) {
      const Column column(window, pairs, i);
      const int at = column.pair * window.pitch + column.place;
      add(kept, column, 0, of_x.load(at) * of_grad.load(at).conj());
    }
  }

  DASH_DEVICE void correlate_columns(const Block& block, const ColumnSource<T>& x_columns,
                                     const ColumnSource<T>& grad_columns, const SharedArray<Complex<T>>& kept) const {
    transform_columns(block, x_columns, column_roots);
    transform_columns(block, grad_columns, column_roots);
    return_columns(
        block, x_columns, column_roots,
        [&](auto& values, int line, int place) {
          constexpr int R = static_cast<int>(sizeof(values) / sizeof(values[0]));
          Complex<T> others[R];
          for (int q = 0; q < R; ++q)
            others[q] = grad_columns(circle.columns_fft.passes() - 1, line, place + q);
          Dft<R, -1, T>::run(others);
          for (int q = 0; q < R; ++q)
            values[q] = values[q] * others[q].conj();
        },
        [&](int line, int place, const Complex<T>& value) {
          const Column column = x_columns.column(line);
          const int row = row_numbers.load(place);
          if (row >= 0 && column.inside) add(kept, column, row, value);
        });
  }

  // A warp per tap: the inverse transform along a row at the one place where the tap lies.
  DASH_DEVICE void store_taps(const Block& block, int channel, int part, int begin, int skipped,
                              const SharedArray<Complex<T>>& kept) const {
    const int lane = block.thread() % kWarp, across = circle.rows_fft.length();
    const T scale = T(1) / (static_cast<T>(across) * static_cast<T>(circle.columns_fft.length()));
    for (int tap = block.thread() / kWarp; tap < num_taps; tap += kThreads / kWarp) {
      const int row = tap_numbers.load(tap);
      T sum = 0;
      if (row >= 0)
        for (int place = skipped + lane; place < window.width; place += kWarp) {
          const int frequency = circle.rows_fft.frequency_at(begin + place);
          const Complex<T> root = root_of_product(row_roots, frequency, tap_places.load(tap), across);
          for (int pair = 0; pair < pairs.per_block; ++pair) {
            const Complex<T> value = kept.load((pair * tap_rows + row) * window.pitch + place);
            sum += value.re * root.re + value.im * root.im;
          }
        }
      sum = warp_sum(block, sum) * scale;
      if (lane == 0) sums.store((static_cast<int64_t>(part) * pairs.channels + channel) * num_taps + tap, sum);
    }
  }
};

}  // namespace cuda
}  // namespace dash
