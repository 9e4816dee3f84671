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
  static constexpr int kRounds = 8;  // pairs that a block takes one after the other

  Circle circle;
  Maps input, output;
  Pairs pairs;
  Lines input_lines, output_lines;
  int num_taps, tap_rows, parts;              // rows of the circle that hold a tap; blocks of a channel
  Global<const int> row_numbers;              // per row of the circle: its number among those that hold a tap, or -1
  Global<const int> tap_numbers, tap_places;  // per tap: the number of its row, or -1 if it reaches nothing; its place
  Global<const Complex<T>> row_roots, column_roots;
  Global<const T> x, grad;
  Global<T> sums;  // (parts, channels, num_taps)

  DepthwiseWeights(int64_t batch, int64_t channels, const Circle& around, const Maps& of_x, const Maps& of_grad,
                   int64_t rows, int64_t taps_of_one)
      : circle(around), input(of_x), output(of_grad),
        pairs(batch, channels, int64_t{of_x.rows.size + of_grad.rows.size} * around.rows_fft.length()),
        input_lines(pairs.per_block * of_x.rows.size), output_lines(pairs.per_block * of_grad.rows.size),
        num_taps(static_cast<int>(taps_of_one)), tap_rows(static_cast<int>(rows)),
        parts(static_cast<int>(blocks_for(pairs.count, int64_t{kRounds} * pairs.per_block))) {}

  int64_t grid() const { return pairs.channels * parts; }
  int64_t shared() const {
    return shared_bytes<Complex<T>>(input_size()) + shared_bytes<Complex<T>>(output_size()) +
           2 * shared_bytes<Complex<T>>(circle.scratch()) + shared_bytes<Complex<T>>(kept_size());
  }
  DASH_ANYWHERE int input_size() const { return pairs.per_block * input.rows.size * circle.pitch; }
  DASH_ANYWHERE int output_size() const { return pairs.per_block * output.rows.size * circle.pitch; }
  DASH_ANYWHERE int kept_size() const { return pairs.per_block * tap_rows * circle.pitch; }

  DASH_DEVICE void operator()(const Block& block) const {
    const int channel = block.x() / parts, part = block.x() - channel * parts;
    const SharedArray<Complex<T>> of_x = block.shared<Complex<T>>(input_size());
    const SharedArray<Complex<T>> of_grad = block.shared<Complex<T>>(output_size());
    const SharedArray<Complex<T>> x_columns = block.shared<Complex<T>>(circle.scratch());
    const SharedArray<Complex<T>> grad_columns = block.shared<Complex<T>>(circle.scratch());
    const SharedArray<Complex<T>> kept = block.shared<Complex<T>>(kept_size());
    for (int i = block.thread(); i < kept_size(); i += kThreads)
      kept.store(i, {0, 0});
    for (int round = 0; round < kRounds; ++round) {
      const int first_pair = (part * kRounds + round) * pairs.per_block;
      if (first_pair >= pairs.count) break;
      load_pairs(block, x, input, pairs, circle, channel, first_pair, of_x);
      load_pairs(block, grad, output, pairs, circle, channel, first_pair, of_grad);
      block.barrier();
      transform_rows<-1, T>(block, circle, input_lines, row_roots, of_x);
      transform_rows<-1, T>(block, circle, output_lines, row_roots, of_grad);
      block.barrier();
      if (circle.columns_fft.length() == 1)
        correlate_rows(block, of_x, of_grad, kept);
      else
        for (int first = 0; first < pairs.per_block * circle.rows_fft.length(); first += circle.columns_at_once)
          correlate_columns(block, {circle, input, pairs, first, of_x, x_columns},
                            {circle, output, pairs, first, of_grad, grad_columns}, kept);
      block.barrier();
    }
    store_taps(block, channel, part, kept);
  }

 private:
  DASH_DEVICE void add(const SharedArray<Complex<T>>& kept, const Column& column, int row, Complex<T> value) const {
    const int at = (column.pair * tap_rows + row) * circle.pitch + column.place;
    kept.store(at, kept.load(at) + value);
  }

  DASH_DEVICE void correlate_rows(const Block& block, const SharedArray<Complex<T>>& of_x,
                                  const SharedArray<Complex<T>>& of_grad, const SharedArray<Complex<T>>& kept) const {
    if (tap_rows > 0)
      for (int i = block.thread(); i < pairs.per_block * circle.rows_fft.length(); i += kThreads) {
        const Column column(circle, pairs.per_block, i);
        const int at = column.pair * circle.pitch + column.place;
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
          const Column column(circle, pairs.per_block, x_columns.first + line);
          const int row = row_numbers.load(place);
          if (row >= 0 && column.inside) add(kept, column, row, value);
        });
  }

  // A warp per tap: the inverse transform along a row at the one place where the tap lies.
  DASH_DEVICE void store_taps(const Block& block, int channel, int part, const SharedArray<Complex<T>>& kept) const {
    const int lane = block.thread() % kWarp, across = circle.rows_fft.length();
    const T scale = T(1) / (static_cast<T>(across) * static_cast<T>(circle.columns_fft.length()));
    for (int tap = block.thread() / kWarp; tap < num_taps; tap += kThreads / kWarp) {
      const int row = tap_numbers.load(tap);
      T sum = 0;
      if (row >= 0)
        for (int place = lane; place < across; place += kWarp) {
          const int frequency = circle.rows_fft.frequency_at(place);
          const Complex<T> root = root_of_product(row_roots, frequency, tap_places.load(tap), across);
          for (int pair = 0; pair < pairs.per_block; ++pair) {
            const Complex<T> value = kept.load((pair * tap_rows + row) * circle.pitch + place);
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
