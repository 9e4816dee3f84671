// SPDX-License-Identifier: BSD-3-Clause
// Transforms along axis 1 of kLanes real planes: rows in, half spectra out, and back. A row of n reals is transformed
// as n / 2 complex numbers (even samples real, odd ones imaginary), then untangled.
#pragma once
#include "fft.h"

namespace dash {
namespace DASH_ISA {

constexpr int64_t kChunk =
    64;  // elements of a plane that are transposed at once: whole rows of small maps, so that squares are full

// Rows stand one behind the other in a frequency's column; an odd distance keeps columns from falling into one cache
// set.
inline int64_t column_stride(int64_t rows) {
  return rows | 1;
}

// Where the columns of one half spectrum stand: kNear frequencies side by side, the next kNear a block further on.
struct Columns {
  static constexpr int64_t kNear = 8;
  int64_t column, block;
  int64_t at(int64_t f) const { return f / kNear * block + f % kNear * column; }
};

inline int64_t rows_per_chunk(int64_t rows, int64_t width) {
  return smaller(rows, larger(1, kChunk / width));
}

// Complex vectors of scratch that rows_forward and rows_inverse need.
inline int64_t rows_scratch(int64_t rows, int64_t width, int64_t length) {
  return ceil_div(rows_per_chunk(rows, width) * width, 2) + 1 + 3 * (length / 2 + 1);
}

// spectrum[columns.at(f) + y] = 2 * sum_x plane[y, x] exp(-2 pi i f x / n), for f in [0, n / 2]: doubled, which spares
// a product here.
template <class T>
inline void rows_forward(const LengthPlan<T>& plan, const T* base, const Lanes<T>& lanes, int64_t rows, int64_t width,
                         Cx<T>* spectrum, Columns columns, Cx<T>* scratch) {
  const int64_t half = plan.n / 2, step = rows_per_chunk(rows, width), packed = ceil_div(width, 2);
  Cx<T>*z = scratch, *buffer = z + half + 1;
  Vec<T>* const chunk = &(buffer + 2 * half + 2)->re;
  for (int64_t y0 = 0; y0 < rows; y0 += step) {
    const int64_t count = smaller(step, rows - y0);
    load_lanes(base + y0 * width, lanes, count * width, chunk);
    for (int64_t y = 0; y < count; ++y) {
      const Vec<T>* row = chunk + y * width;
      const auto sample = [=](int64_t j) {
        return j < packed ? Cx<T>{row[2 * j], 2 * j + 1 < width ? row[2 * j + 1] : Vec<T>{}}
                          : Cx<T>{Vec<T>{}, Vec<T>{}};
      };
      fft(plan.half, packed, half, sample, [z](int64_t k, Cx<T> v) { z[k] = v; }, buffer);
      Cx<T>* out = spectrum + y0 + y;
      out[0] = {(z[0].re + z[0].im) * 2, Vec<T>{}};
      out[columns.at(half)] = {(z[0].re - z[0].im) * 2, Vec<T>{}};
      for (int64_t k = 1; 2 * k <= half; ++k) {
        const Cx<T> a = z[k], b = conjugate(z[half - k]);
        const Cx<T> even = a + b, odd = times(times_minus_i(a - b), plan.root[2 * k], -plan.root[2 * k + 1]);
        out[columns.at(k)] = even + odd;
        out[columns.at(half - k)] = conjugate(even - odd);
      }
    }
  }
}

// plane[y, x] = scale * (sum over all n frequencies of spectrum exp(+2 pi i f x / n)), the half spectrum standing for
// the whole.
template <class T>
inline void rows_inverse(const LengthPlan<T>& plan, const Cx<T>* spectrum, Columns columns, T* base,
                         const Lanes<T>& lanes, int64_t rows, int64_t width, T scale, Cx<T>* scratch) {
  const int64_t half = plan.n / 2, step = rows_per_chunk(rows, width), packed = ceil_div(width, 2);
  Cx<T>*z = scratch, *buffer = z + half + 1;
  Vec<T>* const chunk = &(buffer + 2 * half + 2)->re;
  for (int64_t y0 = 0; y0 < rows; y0 += step) {
    const int64_t count = smaller(step, rows - y0);
    for (int64_t y = 0; y < count; ++y) {
      const Cx<T>* in = spectrum + y0 + y;
      const Vec<T> first = in[0].re, last = in[columns.at(half)].re;  // the imaginary parts of both are rounding
      z[0] = {first + last, first - last};
      for (int64_t k = 1; 2 * k <= half; ++k) {
        const Cx<T> a = in[columns.at(k)], b = conjugate(in[columns.at(half - k)]);
        const Cx<T> even = a + b, odd = times(a - b, plan.root[2 * k], plan.root[2 * k + 1]);
        z[k] = {even.re - odd.im, even.im + odd.re};
        z[half - k] = {even.re + odd.im, odd.re - even.im};
      }
      Vec<T>* row = chunk + y * width;
      const auto sample = [=](int64_t j, Cx<T> v) {
        if (j >= packed) return;
        row[2 * j] = v.im;
        if (2 * j + 1 < width) row[2 * j + 1] = v.re;
      };
      fft(plan.half, half, packed, [z](int64_t k) { return swapped(z[k]); }, sample, buffer);
    }
    store_lanes(base + y0 * width, lanes, count * width, chunk, scale);
  }
}

}  // namespace DASH_ISA
}  // namespace dash
