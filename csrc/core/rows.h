// SPDX-License-Identifier: BSD-3-Clause
// Transforms along axis 1 of kLanes real planes: rows in, half spectra out, and back. A row of n reals is transformed
// as n / 2 complex numbers (even samples real, odd ones imaginary), then untangled, two frequencies at a time: f and
// n / 2 - f, which therefore stand side by side.
#pragma once
#include "fft.h"

namespace dash {
namespace DASH_ISA {

constexpr int64_t kChunk =
    64;  // elements of a plane that are transposed at once: whole rows of small maps, so that squares are full

// Odd distances keep what is strided from falling into one cache set.
inline int64_t odd_stride(int64_t n) {
  return n | 1;
}

// Where the columns of one half spectrum of n / 2 + 1 frequencies stand: pair g is the columns of g and of n / 2 - g,
// `side` apart; `per_block` pairs stand `pair` apart, the next ones a block further on.
struct Columns {
  int64_t per_block, pair, block, side;
  int64_t near(int64_t g) const { return g / per_block * block + g % per_block * pair; }
  int64_t at(int64_t f, int64_t half) const { return 2 * f <= half ? near(f) : near(half - f) + side; }
};

inline int64_t rows_per_chunk(int64_t rows, int64_t width) {
  return smaller(rows, larger(1, kChunk / width));
}

// Complex vectors of scratch that rows_forward and rows_inverse need.
inline int64_t rows_scratch(int64_t rows, int64_t width, int64_t length) {
  return ceil_div(rows_per_chunk(rows, width) * width, 2) + 2 + 3 * (length / 2 + 1);
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
    prefetch_lanes<false>(base + (y0 + count) * width, lanes, smaller(step, rows - y0 - count) * width);
    for (int64_t y = 0; y < count; ++y) {
      Vec<T>* const row = chunk + y * width;
      const Vec<T> next = row[width];  // a row of odd width ends with a zero, for as long as it is transformed
      if (width % 2) row[width] = Vec<T>{};
      fft(plan.half, reinterpret_cast<const Cx<T>*>(row), packed, Output<T>::to_values(z, half), buffer);
      row[width] = next;
      Cx<T>* out = spectrum + y0 + y;
      out[0] = {(z[0].re + z[0].im) * 2, Vec<T>{}};
      out[columns.side] = {(z[0].re - z[0].im) * 2, Vec<T>{}};
      for (int64_t k = 1; 2 * k <= half; ++k) {
        const Cx<T> a = z[k], b = conjugate(z[half - k]);
        const Cx<T> even = a + b, odd = times(times_minus_i(a - b), plan.root[2 * k], -plan.root[2 * k + 1]);
        Cx<T>* const to = out + columns.near(k);
        prefetch<true>(to + 1, 1);
        prefetch<true>(to + columns.side + 1, 1);
        to[0] = even + odd;
        if (2 * k < half) to[columns.side] = conjugate(even - odd);
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
    prefetch_lanes<true>(base + y0 * width, lanes, count * width);
    for (int64_t y = 0; y < count; ++y) {
      const Cx<T>* in = spectrum + y0 + y;
      const Vec<T> first = in[0].re, last = in[columns.side].re;  // the imaginary parts of both are rounding
      z[0] = {first + last, first - last};
      for (int64_t k = 1; 2 * k <= half; ++k) {
        const Cx<T>* const from = in + columns.near(k);
        prefetch<false>(from + 1, 1);
        prefetch<false>(from + columns.side + 1, 1);
        const Cx<T> a = from[0], b = conjugate(2 * k < half ? from[columns.side] : a);
        const Cx<T> even = a + b, odd = times(a - b, plan.root[2 * k], plan.root[2 * k + 1]);
        // Frequency k of an inverse transform stands at half - k.
        z[half - k] = {even.re - odd.im, even.im + odd.re};
        z[k] = {even.re + odd.im, odd.re - even.im};
      }
      // A row of odd width writes one number too many, into the next row, which comes later.
      fft(plan.half, z, half, Output<T>::to_values(reinterpret_cast<Cx<T>*>(chunk + y * width), packed), buffer);
    }
    store_lanes(base + y0 * width, lanes, count * width, chunk, scale);
  }
}

}  // namespace DASH_ISA
}  // namespace dash
