// SPDX-License-Identifier: BSD-3-Clause
// What the kernels of depthwise layers share: where the pixels of a map lie on the circle that is transformed, and how
// much of it is kept.
//
// Two images of a channel make one complex map, image 2i its real part and image 2i + 1 its imaginary part: the taps
// are real, so the two never mix. Rows are transformed first, and only those that hold pixels; then columns, some at a
// time, through a scratch that is as long as the circle; of their results again only the rows that are wanted are kept.
#pragma once
#include <algorithm>

#include "fft.h"

namespace dash {
namespace cuda {

constexpr int kDepthwiseThreads = 256;

// One axis of a map on its circle: pixel i lies at step * i.
struct Places {
  int size = 1, step = 1;
  Divider by_step, by_size;

  Places() = default;
  Places(int64_t pixels, int64_t between)
      : size(static_cast<int>(pixels)), step(static_cast<int>(between)), by_step(step), by_size(size) {}

  // The pixel at this place, or -1.
  DASH_DEVICE int pixel_at(int place) const {
    const int pixel = by_step.quotient(place);
    return pixel * step == place && pixel < size ? pixel : -1;
  }
};

// Maps of one kind, (batch, channels, rows, columns), lying side by side.
struct Maps {
  Places rows, columns;

  DASH_ANYWHERE int64_t pixels() const { return static_cast<int64_t>(rows.size) * columns.size; }
};

// Images two by two, some pairs to a block.
struct Pairs {
  int64_t batch, channels;
  int count, per_block;  // pairs of the batch, and of a block

  Pairs(int64_t images, int64_t planes, int64_t points_of_one)
      : batch(images), channels(planes), count(static_cast<int>((images + 1) / 2)), per_block(1) {
    constexpr int64_t kPoints = 2048;  // enough for all threads of a block
    per_block = static_cast<int>(std::clamp<int64_t>(kPoints / points_of_one, 1, count));
  }
};

// The circle: its two transforms, how long a row is in shared memory, and how many columns the scratch takes.
struct Circle {
  Fft rows_fft, columns_fft;  // along a row, along a column
  int pitch;                  // odd, so that threads in neighbouring rows meet different banks
  int columns_at_once;
  Lines column_lines;
  Divider by_row_length;

  Circle(int64_t rows, int64_t columns)
      : rows_fft(static_cast<int>(columns)), columns_fft(static_cast<int>(rows)), pitch(static_cast<int>(columns) | 1),
        columns_at_once(rows == 1 ? 0 : static_cast<int>(std::clamp<int64_t>(2048 / rows, 8, 32))),
        column_lines(std::max(columns_at_once, 1)), by_row_length(static_cast<int>(columns)) {}

  DASH_ANYWHERE int scratch() const { return columns_at_once * columns_fft.length(); }
};

// Bytes of a SharedArray of so many.
template <class T>
int64_t shared_bytes(int64_t count) {
  return (count * static_cast<int64_t>(sizeof(T)) + 15) / 16 * 16;
}

// Fills so many rows of `map` with pixels of a channel, zero between and behind: from row `first_line` on of those of a
// block's pairs, one pair's below the other's, the first being `first_pair`.
template <class T>
DASH_DEVICE void load_pairs(const Block& block, Global<const T> from, const Maps& maps, const Pairs& pairs,
                            const Circle& circle, int channel, int first_pair, int first_line, int lines,
                            const SharedArray<Complex<T>>& map) {
  const int length = circle.rows_fft.length(), total = lines * length;
  for (int i = block.thread(); i < total; i += kDepthwiseThreads) {
    const int line = circle.by_row_length.quotient(i), place = i - line * length;
    const int pair = maps.rows.by_size.quotient(first_line + line);
    const int row = first_line + line - pair * maps.rows.size;
    const int column = maps.columns.pixel_at(place);
    const int64_t image = 2 * static_cast<int64_t>(first_pair + pair);
    Complex<T> value{0, 0};
    if (column >= 0 && pair < pairs.per_block && image < pairs.batch) {
      const int64_t step = pairs.channels * maps.pixels();
      const int64_t at =
          image * step + channel * maps.pixels() + static_cast<int64_t>(row) * maps.columns.size + column;
      value.re = from.load(at);
      if (image + 1 < pairs.batch) value.im = from.load(at + step);
    }
    map.store(line * circle.pitch + place, value);
  }
}

// exp(-2 pi i a b / length), from the length's roots of unity.
template <class T>
DASH_DEVICE Complex<T> root_of_product(Global<const Complex<T>> roots, int a, int b, int length) {
  const auto turn = static_cast<uint32_t>(a) * static_cast<uint32_t>(b);  // both below 2^16
  return roots.load(static_cast<int>(turn % static_cast<uint32_t>(length)));
}

// Transforms so many rows of `map`.
template <int kSign, class T>
DASH_DEVICE void transform_rows(const Block& block, const Circle& circle, const Lines& lines,
                                Global<const Complex<T>> roots, const SharedArray<Complex<T>>& map) {
  transform<kSign, T>(
      block, kDepthwiseThreads, circle.rows_fft, 0, circle.rows_fft.passes(), lines, roots,
      [&](int, int line, int place) { return map.load(line * circle.pitch + place); },
      [&](int, int line, int place, const Complex<T>& value) { map.store(line * circle.pitch + place, value); });
}

// The part of every row's frequencies that a block keeps: so many places of each pair, side by side.
struct Window {
  int width, pitch;
  Divider by_width;

  explicit Window(int places) : width(places), pitch(places | 1), by_width(places) {}
};

// A column of the windows of a block's pairs, all side by side.
struct Column {
  int pair, place;  // its place in the window
  bool inside;

  DASH_DEVICE Column(const Window& window, const Pairs& pairs, int number)
      : pair(window.by_width.quotient(number)), place(number - pair * window.width), inside(pair < pairs.per_block) {}
};

// Columns from number `first` on, as their passes forward read them: the first takes the rows of `map`, with zeros
// where it has none, the others the scratch, in which columns lie side by side behind `scratch_begin`.
template <class T>
struct ColumnSource {
  const Circle& circle;
  const Window& window;
  const Maps& maps;
  const Pairs& pairs;
  int first;
  const SharedArray<Complex<T>>&map, &scratch;
  int scratch_begin;

  DASH_DEVICE int in_scratch(int line, int place) const {
    return scratch_begin + place * circle.columns_at_once + line;
  }
  DASH_DEVICE Column column(int line) const { return Column(window, pairs, first + line); }
  DASH_DEVICE Complex<T> operator()(int pass, int line, int place) const {
    if (pass > 0) return scratch.load(in_scratch(line, place));
    const Column from = column(line);
    const int row = maps.rows.pixel_at(place);
    if (row < 0 || !from.inside) return {0, 0};
    return map.load((from.pair * maps.rows.size + row) * window.pitch + from.place);
  }
};

// All passes forward but the last, into the scratch.
template <class T>
DASH_DEVICE void transform_columns(const Block& block, const ColumnSource<T>& source, Global<const Complex<T>> roots) {
  const Circle& circle = source.circle;
  transform<-1, T>(block, kDepthwiseThreads, circle.columns_fft, 0, circle.columns_fft.passes() - 1,
                   circle.column_lines, roots, source, [&](int, int line, int place, const Complex<T>& value) {
                     source.scratch.store(source.in_scratch(line, place), value);
                   });
}

// The rest of the way: the product of frequencies, and all passes back. write(line, place, value) takes the results.
template <class T, class Product, class Write>
DASH_DEVICE void return_columns(const Block& block, const ColumnSource<T>& source, Global<const Complex<T>> roots,
                                const Product& product, const Write& write) {
  const Circle& circle = source.circle;
  const auto put = [&](int pass, int line, int place, const Complex<T>& value) {
    if (pass > 0)
      source.scratch.store(source.in_scratch(line, place), value);
    else
      write(line, place, value);
  };
  const Fft& fft = circle.columns_fft;
  if (fft.passes() > 1) block.barrier();
  turn_back<T>(block, kDepthwiseThreads, fft, circle.column_lines, source, product, put);
  if (fft.passes() > 1) block.barrier();
  transform<1, T>(
      block, kDepthwiseThreads, fft, 0, fft.passes() - 1, circle.column_lines, roots,
      [&](int, int line, int place) { return source.scratch.load(source.in_scratch(line, place)); }, put);
}

}  // namespace cuda
}  // namespace dash
