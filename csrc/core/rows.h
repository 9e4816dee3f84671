// SPDX-License-Identifier: BSD-3-Clause
// Transforms along axis 1 of real planes, two vectors of them at a time: of a + i b, Z(f) for f <= n / 2 takes the
// place of a's half spectrum, and the conjugate of Z(n - f) that of b's. Convolution with real weights treats both as
// if they were those half spectra, and the inverse transform returns a and b, so nothing ever untangles them.
#pragma once
#include "fft.h"
#include "order.h"

namespace dash {
namespace DASH_ISA {

constexpr int64_t kChunk =
    64;  // elements of a plane that are transposed at once: whole rows of small maps, so that squares are full

// Odd distances keep what is strided from falling into one cache set.
inline int64_t odd_stride(int64_t n) {
  return n | 1;
}

// Where the columns of one half spectrum of n / 2 + 1 frequencies stand: those of a pair g and n / 2 - g `side` apart,
// pairs of a unit `pair` apart, units a block apart.
struct Columns {
  PairOrder order;
  int64_t pair, block, side;
  int64_t near(int64_t g) const { return order.unit_of(g) * block + order.slot_of(g) * pair; }
  int64_t at(int64_t f, int64_t half) const { return 2 * f <= half ? near(f) : near(half - f) + side; }
};

// Two vectors of planes; without a second one, it counts as zero.
template <class T, class Pointer>
struct PlanePair {
  Pointer first, second;  // null: there is none
  Lanes<T> first_lanes, second_lanes;
};

// Where the frequencies of a row of two planes stand, from the first plane's columns on.
template <class T>
struct RowPlaces {
  int64_t n, second;  // from the first plane's columns to the second's; 0 if there is none
  int64_t* place;     // [n]
  T* sign;            // [n]: of the imaginary part

  static RowPlaces make(int64_t n, Arena& arena) { return {n, 0, arena.take<int64_t>(n), arena.take<T>(n)}; }

  // In the order of a transform's results or, if `inverse`, of what an inverse one takes: frequency f at n - f.
  void fill(const Columns& columns, int64_t from_first_to_second, bool inverse) {
    second = from_first_to_second;
    for (int64_t f = 0; f < n; ++f) {
      const bool lower = 2 * f <= n;
      const int64_t at = inverse && f > 0 ? n - f : f;
      place[at] = columns.at(lower ? f : n - f, n / 2) + (lower ? 0 : second);
      sign[at] = lower ? T(1) : T(-1);
    }
  }
};

inline int64_t rows_per_chunk(int64_t rows, int64_t width) {
  return smaller(rows, larger(1, kChunk / width));
}

// Complex vectors of scratch that rows_forward and rows_inverse need.
inline int64_t rows_scratch(int64_t rows, int64_t width, int64_t length) {
  return rows_per_chunk(rows, width) * width + 2 * length;
}

// The sum of each lane's plane, in double precision and in blocks: rounding hardly grows with the count.
template <class T>
struct LaneSums {
  static constexpr int kParts = kLanes<T> / kLanes<double>;
  Vec<double> part[kParts];

  double operator[](int64_t lane) const { return part[lane / kLanes<double>][lane % kLanes<double>]; }

  // Adds from[kStep * j] for j in [0, n).
  template <int kStep>
  void add(const Vec<T>* from, int64_t n) {
    constexpr int64_t kBlock = 128;
    for (int64_t j0 = 0; j0 < n; j0 += kBlock) {
      Vec<double> block[2][kParts] = {};  // of even and odd j
      for (int64_t j = j0; j < smaller(n, j0 + kBlock); ++j)
        for (int k = 0; k < kParts; ++k)
          block[j % 2][k] += load_wide(reinterpret_cast<const T*>(from + kStep * j) + k * kLanes<double>);
      for (int k = 0; k < kParts; ++k)
        part[k] += block[0][k] + block[1][k];
    }
  }
};

// Column f of both half spectra, at y: sum_x plane[y, x] exp(-2 pi i f x / n), for f in [0, n / 2], times `scale`. Adds
// the elements of both vectors of planes to `sums`, if there are any.
template <class T>
inline void rows_forward(const LengthPlan<T>& plan, const PlanePair<T, const T*>& planes, int64_t rows, int64_t width,
                         T scale, const RowPlaces<T>& places, Cx<T>* spectrum, Cx<T>* scratch,
                         LaneSums<T>* const sums[2]) {
  const int64_t step = rows_per_chunk(rows, width);
  Cx<T>*buffer = scratch, *chunk = buffer + 2 * plan.n;
  for (int64_t j = 0; !planes.second && j < step * width; ++j)
    chunk[j].im = Vec<T>{};
  for (int64_t y0 = 0; y0 < rows; y0 += step) {
    const int64_t at = y0 * width, count = smaller(step, rows - y0) * width;
    const int64_t ahead = smaller(step * width, rows * width - at - count);
    load_lanes<2>(planes.first + at, planes.first_lanes, count, &chunk->re);
    prefetch_lanes<false>(planes.first + at + count, planes.first_lanes, ahead);
    if (planes.second) {
      load_lanes<2>(planes.second + at, planes.second_lanes, count, &chunk->im);
      prefetch_lanes<false>(planes.second + at + count, planes.second_lanes, ahead);
    }
    if (sums) sums[0]->template add<2>(&chunk->re, count);
    if (sums && planes.second) sums[1]->template add<2>(&chunk->im, count);
    for (int64_t j = 0; scale != T(1) && j < count; ++j)
      chunk[j] = scaled(chunk[j], scale);
    for (int64_t y = 0; y < count / width; ++y) {
      Cx<T>* const first = spectrum + y0 + y;
      fft(plan.complex, Input<T>::of(chunk + y * width, width), Output<T>::to_places(first, plan.n, places), buffer);
      if (!places.second) continue;
      for (int64_t f : {int64_t(0), plan.n / 2})
        first[places.place[f] + places.second] = conjugate(first[places.place[f]]);
    }
  }
}

// plane[y, x] = sum over all n frequencies of spectrum exp(+2 pi i f x / n), the half spectrum standing for the whole,
// plus a number per lane.
template <class T>
inline void rows_inverse(const LengthPlan<T>& plan, const Cx<T>* spectrum, const RowPlaces<T>& places, int64_t rows,
                         int64_t width, Vec<T> plus, const PlanePair<T, T*>& planes, Cx<T>* scratch) {
  const int64_t step = rows_per_chunk(rows, width);
  Cx<T>*buffer = scratch, *chunk = buffer + 2 * plan.n;
  for (int64_t y0 = 0; y0 < rows; y0 += step) {
    const int64_t at = y0 * width, count = smaller(step, rows - y0) * width;
    prefetch_lanes<true>(planes.first + at, planes.first_lanes, count);
    if (planes.second) prefetch_lanes<true>(planes.second + at, planes.second_lanes, count);
    for (int64_t y = 0; y < count / width; ++y)
      fft(plan.complex, Input<T>::from_places(spectrum + y0 + y, plan.n, places),
          Output<T>::to_values(chunk + y * width, width), buffer);
    store_lanes<2>(planes.first + at, planes.first_lanes, count, &chunk->re, plus);
    if (planes.second) store_lanes<2>(planes.second + at, planes.second_lanes, count, &chunk->im, plus);
  }
}

}  // namespace DASH_ISA
}  // namespace dash
