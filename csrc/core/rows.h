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

// Two vectors of planes; without a second one, it counts as zero. Or several such pairs, `members`, whose planes stand
// together element by element.
template <class T, class Pointer>
struct PlanePair {
  Pointer first, second;  // null: there is none
  Lanes<T> first_lanes, second_lanes;
  int64_t members, pixel;  // pixel: elements from one to the next of a plane
};

// Where the frequencies of a row of two planes stand, from the first plane's columns on.
template <class T>
struct RowPlaces {
  int64_t n, second;  // from the first plane's columns to the second's; 0 if there is none
  int64_t member;     // from one member's columns to the next one's
  int64_t* place;     // [n]
  T* sign;            // [n]: of the imaginary part

  static RowPlaces make(int64_t n, Arena& arena) { return {n, 0, 0, arena.take<int64_t>(n), arena.take<T>(n)}; }

  // In the order of a transform's results or, if `inverse`, of what an inverse one takes: frequency f at n - f.
  void fill(const Columns& columns, int64_t from_first_to_second, int64_t from_member_to_member, bool inverse) {
    second = from_first_to_second;
    member = from_member_to_member;
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
inline int64_t rows_scratch(int64_t rows, int64_t width, int64_t members, int64_t length) {
  return rows_per_chunk(rows, width * members) * width * members + 2 * length;
}

// The sum of each lane's plane, in double precision and in blocks: rounding hardly grows with the count.
template <class T>
struct LaneSums {
  static constexpr int kParts = kLanes<T> / kLanes<double>;
  Vec<double> part[kParts];

  double operator[](int64_t lane) const { return part[lane / kLanes<double>][lane % kLanes<double>]; }

  // Adds from[step * j] for j in [0, n).
  void add(const Vec<T>* from, int64_t step, int64_t n) {
    constexpr int64_t kBlock = 128;
    for (int64_t j0 = 0; j0 < n; j0 += kBlock) {
      Vec<double> block[2][kParts] = {};  // of even and odd j
      for (int64_t j = j0; j < smaller(n, j0 + kBlock); ++j)
        for (int k = 0; k < kParts; ++k)
          block[j % 2][k] += load_wide(reinterpret_cast<const T*>(from + step * j) + k * kLanes<double>);
      for (int k = 0; k < kParts; ++k)
        part[k] += block[0][k] + block[1][k];
    }
  }
};

// Rows of planes, `width` elements each.
struct RowBand {
  int64_t begin, end, width;
};

// Asks for planes of `pixels` elements that are transformed next, if they are short: of longer ones the processor
// foresees nearly all.
template <class T>
inline void expect_rows(const PlanePair<T, const T*>& planes, int64_t pixels) {
  constexpr int64_t kShort = 256;
  if (pixels > kShort) return;
  prefetch_lanes<false>(planes.first, planes.first_lanes, pixels);
  if (planes.second) prefetch_lanes<false>(planes.second, planes.second_lanes, pixels);
}

// Column f of both half spectra, at y: sum_x plane[y, x] exp(-2 pi i f x / n), for f in [0, n / 2], times `scale`. Adds
// the elements of both vectors of planes to `sums`, if there are any: arrays of one per member.
template <class T>
inline void rows_forward(const LengthPlan<T>& plan, const PlanePair<T, const T*>& planes, const RowBand& band, T scale,
                         const RowPlaces<T>& places, Cx<T>* spectrum, Cx<T>* scratch, LaneSums<T>* const sums[2]) {
  const int64_t width = band.width, members = planes.members, line = width * members;
  const int64_t step = rows_per_chunk(band.end - band.begin, line);
  Cx<T>*buffer = scratch, *chunk = buffer + 2 * plan.n;
  for (int64_t j = 0; !planes.second && j < step * line; ++j)
    chunk[j].im = Vec<T>{};
  for (int64_t y0 = band.begin; y0 < band.end; y0 += step) {
    const int64_t height = smaller(step, band.end - y0), next = y0 + height, ahead = smaller(step, band.end - next);
    const int64_t here_at = y0 * width * planes.pixel, next_at = next * width * planes.pixel;
    load_lanes<2>(planes.first + here_at, planes.first_lanes, height * line, &chunk->re);
    prefetch_lanes<false>(planes.first + next_at, planes.first_lanes, ahead * line);
    if (planes.second) {
      load_lanes<2>(planes.second + here_at, planes.second_lanes, height * line, &chunk->im);
      prefetch_lanes<false>(planes.second + next_at, planes.second_lanes, ahead * line);
    }
    for (int64_t m = 0; sums && m < members; ++m) {
      sums[0][m].add(&chunk[m].re, 2 * members, height * width);
      if (planes.second) sums[1][m].add(&chunk[m].im, 2 * members, height * width);
    }
    for (int64_t j = 0; scale != T(1) && j < height * line; ++j)
      chunk[j] = scaled(chunk[j], scale);
    for (int64_t i = 0; i < height * members; ++i) {
      const int64_t y = i / members, m = i % members;
      Cx<T>* const column = spectrum + m * places.member + y0 + y;
      fft(plan.complex, Input<T>::of(chunk + y * line + m, width, members),
          Output<T>::to_places(column, plan.n, places), buffer);
      if (!places.second) continue;
      for (int64_t f : {int64_t(0), plan.n / 2})
        column[places.place[f] + places.second] = conjugate(column[places.place[f]]);
    }
  }
}

// plane[y, x] = sum over all n frequencies of spectrum exp(+2 pi i f x / n), the half spectrum standing for the whole,
// plus a number per lane, plus(m) for member m.
template <class T, class Plus>
inline void rows_inverse(const LengthPlan<T>& plan, const Cx<T>* spectrum, const RowPlaces<T>& places,
                         const RowBand& band, const Plus& plus, const PlanePair<T, T*>& planes, Cx<T>* scratch) {
  const int64_t width = band.width, members = planes.members, line = width * members;
  const int64_t step = rows_per_chunk(band.end - band.begin, line);
  Cx<T>*buffer = scratch, *chunk = buffer + 2 * plan.n;
  const Vec<T> of_all = members == 1 ? plus(0) : Vec<T>{};
  for (int64_t y0 = band.begin; y0 < band.end; y0 += step) {
    const int64_t at = y0 * width * planes.pixel, height = smaller(step, band.end - y0);
    prefetch_lanes<true>(planes.first + at, planes.first_lanes, height * line);
    if (planes.second) prefetch_lanes<true>(planes.second + at, planes.second_lanes, height * line);
    for (int64_t i = 0; i < height * members; ++i) {
      const int64_t y = i / members, m = i % members;
      Cx<T>* const row = chunk + y * line + m;
      fft(plan.complex, Input<T>::from_places(spectrum + m * places.member + y0 + y, plan.n, places),
          Output<T>::to_values(row, width, members), buffer);
      const Vec<T> of_member = members > 1 ? plus(m) : Vec<T>{};
      for (int64_t x = 0; members > 1 && x < width; ++x)
        row[x * members] = {row[x * members].re + of_member, row[x * members].im + of_member};
    }
    store_lanes<2>(planes.first + at, planes.first_lanes, height * line, &chunk->re, of_all);
    if (planes.second) store_lanes<2>(planes.second + at, planes.second_lanes, height * line, &chunk->im, of_all);
  }
}

}  // namespace DASH_ISA
}  // namespace dash
