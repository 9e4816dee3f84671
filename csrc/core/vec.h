// SPDX-License-Identifier: BSD-3-Clause
// Vectors whose lanes are planes: lane l of every vector belongs to the l-th of kLanes (batch, channel) planes or (out,
// in) weight rows, so the code that follows reads as if for scalars and never shuffles. Only loads and stores
// transpose. Compiled once per instruction set: everything lives in namespace dash::DASH_ISA and uses no code that
// other objects share.
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>

#include "problem.h"

#define DASH_INLINE inline __attribute__((always_inline))

namespace dash {
namespace DASH_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vec = typename VectorOf<T>::type;
template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
struct Cx {
  Vec<T> re, im;
};

constexpr int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
constexpr int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
constexpr int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

template <class T>
DASH_INLINE Vec<T> load(const T* from) {
  Vec<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
DASH_INLINE void store(T* to, Vec<T> v) {
  std::memcpy(to, &v, sizeof v);
}

// Asks for what is needed next while the present is computed: maps and spectra are read and written once a step, in an
// order that the processor does not foresee.
template <bool kWrite, class U>
DASH_INLINE void prefetch(const U* first, int64_t count) {
  const char* const line = reinterpret_cast<const char*>(first);
  for (int64_t i = 0; i < count * static_cast<int64_t>(sizeof(U)); i += 64)
    __builtin_prefetch(line + i, kWrite, 2);
}

// Where the planes of one vector lie: element j of lane l at base + offset[l] + j * pixel; lanes from `count` on are
// padding, read as zero and never written.
template <class T>
struct Lanes {
  int64_t offset[kLanes<T>];
  int64_t count, pixel;

  static Lanes strided(int64_t stride, int64_t count, int64_t pixel = 1) {
    Lanes lanes;
    lanes.count = smaller(count, kLanes<T>);
    lanes.pixel = pixel;
    for (int l = 0; l < kLanes<T>; ++l)
      lanes.offset[l] = l * stride;
    return lanes;
  }
  // Planes from `first` on, of which each `period` belongs to another sample: neighbours are `stride` apart, samples
  // `sample`.
  static Lanes across_samples(int64_t first, int64_t period, int64_t stride, int64_t sample, int64_t count,
                              int64_t pixel) {
    Lanes lanes = strided(stride, count, pixel);
    const int64_t gap = sample - period * stride;
    for (int64_t next = period - first % period; gap > 0 && next < kLanes<T>; next += period)
      for (int64_t l = next; l < kLanes<T>; ++l)
        lanes.offset[l] += gap;
    return lanes;
  }
  // Whether an element of all lanes is a vector in memory, or part of one.
  bool are_adjacent() const {
    for (int l = 0; l < count; ++l)
      if (offset[l] != l) return false;
    return count > 0 && pixel > 1;
  }
};

// Element j of the merged halves: half `kUpper` of each pair of kHalf-wide blocks of a and b.
template <int kWidth, int kHalf, bool kUpper>
constexpr int merged_index(int j) {
  const bool from_b = (j & kHalf) != 0;
  const int block = j & ~(2 * kHalf - 1), inside = j & (kHalf - 1);
  return (from_b ? kWidth : 0) + block + (kUpper ? kHalf : 0) + inside;
}
template <class T, int kHalf, bool kUpper, int... kJ>
DASH_INLINE Vec<T> merge_halves(Vec<T> a, Vec<T> b, std::integer_sequence<int, kJ...>) {
  return __builtin_shufflevector(a, b, merged_index<kLanes<T>, kHalf, kUpper>(kJ)...);
}

template <class T, int kHalf>
DASH_INLINE void transpose_level(Vec<T>* rows) {
  constexpr auto lanes = std::make_integer_sequence<int, kLanes<T>>();
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<T>; ++i) {
    if (i & kHalf) continue;
    const Vec<T> a = rows[i], b = rows[i + kHalf];
    rows[i] = merge_halves<T, kHalf, false>(a, b, lanes);
    rows[i + kHalf] = merge_halves<T, kHalf, true>(a, b, lanes);
  }
}

// Transposes a square of kLanes vectors in registers.
template <class T, int kHalf = kLanes<T> / 2>
DASH_INLINE void transpose(Vec<T>* rows) {
  transpose_level<T, kHalf>(rows);
  if constexpr (kHalf > 1) transpose<T, kHalf / 2>(rows);
}

// Of planes whose elements stand apart, only where lanes are adjacent.
template <bool kWrite, class T>
DASH_INLINE void prefetch_lanes(const T* base, const Lanes<T>& lanes, int64_t n) {
  if (lanes.pixel == 1) {
    for (int64_t l = 0; l < lanes.count; ++l)
      prefetch<kWrite>(base + lanes.offset[l], n);
  } else if (lanes.are_adjacent()) {
    for (int64_t j = 0; j < n; ++j)
      prefetch<kWrite>(base + j * lanes.pixel, lanes.count);
  }
}

// The first `count` of fewer than kLanes numbers, in pieces whose sizes are known.
template <class T, int kHalf = kLanes<T> / 2>
DASH_INLINE void store_first(T* to, Vec<T> v, int64_t count, int64_t at = 0) {
  if (count & kHalf) std::memcpy(to + at, reinterpret_cast<const T*>(&v) + at, kHalf * sizeof(T));
  if constexpr (kHalf > 1) store_first<T, kHalf / 2>(to, v, count, at + (count & kHalf));
}

// load_lanes and store_lanes of adjacent lanes.
template <int kStep, class T>
inline void load_adjacent(const T* base, const Lanes<T>& lanes, int64_t n, Vec<T>* out) {
  Vec<T> lane;
  for (int l = 0; l < kLanes<T>; ++l)
    lane[l] = static_cast<T>(l);
  const auto is_plane = lane < Vec<T>{} + static_cast<T>(lanes.count);
  // Where it does not go beyond the end of these planes, a whole vector is read: behind them stand others' elements.
  const int64_t whole = larger(0, n - ceil_div(kLanes<T> - lanes.count, lanes.pixel));
  for (int64_t j = 0; j < whole; ++j)
    out[kStep * j] = is_plane ? load(base + j * lanes.pixel) : Vec<T>{};
  for (int64_t j = whole; j < n; ++j) {
    Vec<T> v{};
    for (int64_t l = 0; l < lanes.count; ++l)
      v[l] = base[l + j * lanes.pixel];
    out[kStep * j] = v;
  }
}
template <int kStep, class T>
inline void store_adjacent(T* base, const Lanes<T>& lanes, int64_t n, const Vec<T>* in, Vec<T> plus) {
  for (int64_t j = 0; j < n; ++j) {
    const Vec<T> v = in[kStep * j] + plus;
    if (lanes.count == kLanes<T>)
      store(base + j * lanes.pixel, v);
    else
      store_first<T>(base + j * lanes.pixel, v, lanes.count);
  }
}

// square[j] = element j of every lane's plane, for the first kLanes elements.
template <class T>
DASH_INLINE void load_square(const T* base, const Lanes<T>& lanes, Vec<T>* square) {
  if (lanes.count == kLanes<T>) {
#pragma GCC unroll 16
    for (int l = 0; l < kLanes<T>; ++l)
      square[l] = load(base + lanes.offset[l]);
  } else {
    for (int l = 0; l < kLanes<T>; ++l)
      square[l] = l < lanes.count ? load(base + lanes.offset[l]) : Vec<T>{};
  }
  transpose<T>(square);
}

// The inverse of load_square, which leaves the square transposed.
template <class T>
DASH_INLINE void store_square(T* base, const Lanes<T>& lanes, Vec<T>* square) {
  transpose<T>(square);
#pragma GCC unroll 16
  for (int l = 0; l < kLanes<T>; ++l)
    if (l < lanes.count) store(base + lanes.offset[l], square[l]);
}

// out[kStep * j] = element j of every lane's plane, for j in [0, n).
template <int kStep = 1, class T>
inline void load_lanes(const T* base, const Lanes<T>& lanes, int64_t n, Vec<T>* out) {
  if (lanes.are_adjacent()) return load_adjacent<kStep>(base, lanes, n, out);
  if (n < kLanes<T> || lanes.pixel > 1) {
    for (int64_t j = 0; j < n; ++j) {
      Vec<T> v{};
      for (int64_t l = 0; l < lanes.count; ++l)
        v[l] = base[lanes.offset[l] + j * lanes.pixel];
      out[kStep * j] = v;
    }
    return;
  }
  for (int64_t j = 0; j < n; j += kLanes<T>) {
    const int64_t from = smaller(j, n - kLanes<T>);  // the last square overlaps the one before
    Vec<T> rows[kLanes<T>];
    load_square(base + from, lanes, rows);
#pragma GCC unroll 16
    for (int l = 0; l < kLanes<T>; ++l)
      out[kStep * (from + l)] = rows[l];
  }
}

// The inverse of load_lanes: writes in[kStep * j] + plus to element j of every lane's plane.
template <int kStep = 1, class T>
inline void store_lanes(T* base, const Lanes<T>& lanes, int64_t n, const Vec<T>* in, Vec<T> plus = Vec<T>{}) {
  if (lanes.are_adjacent()) return store_adjacent<kStep>(base, lanes, n, in, plus);
  if (n < kLanes<T> || lanes.pixel > 1) {
    for (int64_t j = 0; j < n; ++j)
      for (int64_t l = 0; l < lanes.count; ++l)
        base[lanes.offset[l] + j * lanes.pixel] = in[kStep * j][l] + plus[l];
    return;
  }
  for (int64_t j = 0; j < n; j += kLanes<T>) {
    const int64_t to = smaller(j, n - kLanes<T>);
    Vec<T> rows[kLanes<T>];
#pragma GCC unroll 16
    for (int l = 0; l < kLanes<T>; ++l)
      rows[l] = in[kStep * (to + l)] + plus;
    store_square(base + to, lanes, rows);
  }
}

// kLanes<double> numbers in double precision.
template <class T>
DASH_INLINE Vec<double> load_wide(const T* from) {
  typedef T Narrow __attribute__((vector_size(kLanes<double> * sizeof(T))));
  Narrow v;
  std::memcpy(&v, from, sizeof v);
  return __builtin_convertvector(v, Vec<double>);
}

// Cuts one caller-owned buffer into 64-byte aligned pieces. With a null buffer it only measures.
class Arena {
 public:
  explicit Arena(void* buffer) : base_(static_cast<char*>(buffer)) {}
  template <class U>
  U* take(int64_t count) {
    char* piece = base_ ? base_ + used_ : nullptr;
    used_ += ceil_div(count * static_cast<int64_t>(sizeof(U)), 64) * 64;
    return reinterpret_cast<U*>(piece);
  }
  int64_t used() const { return used_; }

 private:
  char* base_;
  int64_t used_ = 0;
};

// body(worker, i) for every i in [0, n), spread over the workers.
template <class Body>
inline void parallel(const Workers& workers, int64_t n, const Body& body) {
  workers.run(
      workers.team, n, [](void* arg, int64_t worker, int64_t i) { (*static_cast<const Body*>(arg))(worker, i); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// body(piece, begin, end): [0, n) cut into one contiguous piece per worker, whoever works on it. Sums that are kept by
// piece come out the same every time.
template <class Body>
inline void parallel_pieces(const Workers& workers, int64_t n, const Body& body) {
  const int64_t pieces = larger(1, smaller(workers.count, n));
  parallel(workers, pieces, [&](int64_t, int64_t i) { body(i, i * n / pieces, (i + 1) * n / pieces); });
}

// body(worker, begin, end): [0, n) cut into some contiguous shares per worker, for whoever is free.
template <class Body>
inline void parallel_shares(const Workers& workers, int64_t n, const Body& body) {
  constexpr int64_t kShares = 8;
  const int64_t shares = workers.count == 1 ? 1 : smaller(n, smaller(kShares * workers.count, kMostIterations));
  parallel(workers, shares, [&](int64_t worker, int64_t i) { body(worker, i * n / shares, (i + 1) * n / shares); });
}

}  // namespace DASH_ISA
}  // namespace dash
