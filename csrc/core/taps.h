// SPDX-License-Identifier: BSD-3-Clause
// Spectra of weights that have few taps. Along a row the transform of one frequency is a short sum over the taps; the
// row offsets that remain (few, scattered) go through one transform along axis 1 of the column. The adjoint reads
// gradients at the taps alone.
#pragma once
#include "fft.h"

namespace dash {
namespace DASH_ISA {

// What one worker needs to transform columns of weights at one row frequency after the other.
template <class T>
struct TapColumn {
  TapList taps;
  const LengthPlan<T>* rows;  // transform along a column, of length[0]
  const LengthPlan<T>* cols;  // transform along a row, of length[1]
  T* twiddle;                 // [pairs] of (cos, sin) of 2 pi f offset / length[1], for the current f
  int64_t* row_at;            // [length[0]]: the row of taps that enters the transform there, or -1
  Cx<T>* sums;                // [rows]
  Cx<T>* buffer;              // [2 length[0]]

  static TapColumn make(const TapList& taps, const LengthPlan<T>& rows, const LengthPlan<T>& cols, Arena& arena) {
    return {taps,
            &rows,
            &cols,
            arena.take<T>(taps.count()),
            arena.take<int64_t>(rows.n),
            arena.take<Cx<T>>(taps.rows),
            arena.take<Cx<T>>(2 * rows.n)};
  }

  // Sums run over exp(sign 2 pi i f offset / length).
  void prepare(int sign) {
    for (int64_t y = 0; y < rows->n; ++y)
      row_at[y] = -1;
    for (int64_t r = 0; r < taps.rows; ++r)
      row_at[sign < 0 || taps.row_pos[r] == 0 ? taps.row_pos[r] : rows->n - taps.row_pos[r]] = r;
  }
  void set_frequency(int64_t f, int sign) {
    for (int64_t t = 0; t < taps.pairs; ++t) {
      const T* root = cols->root + 2 * ((f * taps.col_pos[t]) % cols->n);
      twiddle[2 * t] = root[0];
      twiddle[2 * t + 1] = sign < 0 ? -root[1] : root[1];
    }
  }

  // store(y, spectrum of the column at row frequency y) from even and odd parts w[count].
  template <class Store>
  DASH_INLINE void spectrum(const Vec<T>* w, const Store& store) {
    for (int64_t r = 0; r < taps.rows; ++r) {
      Vec<T> re{}, im{};
      for (int64_t t = 2 * taps.row_start[r]; t < 2 * taps.row_start[r + 1]; t += 2) {
        re += w[t] * twiddle[t];
        im += w[t + 1] * twiddle[t + 1];
      }
      sums[r] = {re, im};
    }
    const int64_t* at = row_at;
    const Cx<T>* sum = sums;
    const auto entry = [=](int64_t y) { return at[y] >= 0 ? sum[at[y]] : Cx<T>{Vec<T>{}, Vec<T>{}}; };
    fft(rows->complex, rows->n, rows->n, entry, store, buffer);
  }

  // Adds to the gradients of even and odd parts: gradient of tap t = weight * Re(sum_y load(y) exp(-2 pi i (y
  // row_offset / length[0] + f col_offset / length[1]))), so that both signs are minus.
  template <class Load>
  DASH_INLINE void accumulate(const Load& load, T weight, Vec<T>* gradient) {
    const int64_t* at = row_at;
    Cx<T>* sum = sums;
    const auto keep = [=](int64_t y, Cx<T> v) {
      if (at[y] >= 0) sum[at[y]] = v;
    };
    fft(rows->complex, rows->n, rows->n, load, keep, buffer);
    for (int64_t r = 0; r < taps.rows; ++r) {
      const Cx<T> s = scaled(sums[r], weight);
      for (int64_t t = 2 * taps.row_start[r]; t < 2 * taps.row_start[r + 1]; t += 2) {
        gradient[t] += s.re * twiddle[t];
        gradient[t + 1] -= s.im * twiddle[t + 1];
      }
    }
  }
};

// Terms after which a sum over `count` frequencies is carried over to a second one: rounding then grows with the fourth
// root of the count, not with its square root.
inline int64_t carry_after(int64_t count) {
  int64_t block = 1;
  while (block * block < count)
    ++block;
  return block;
}

template <class T>
inline void carry(Vec<T>* partial, int64_t count, Vec<T>* total) {
  for (int64_t t = 0; t < count; ++t) {
    total[t] += partial[t];
    partial[t] = Vec<T>{};
  }
}

// Even and odd parts of every lane's weight row, times scale; `row` is scratch of num_taps vectors.
template <class T>
inline void load_taps(const TapList& taps, int64_t num_taps, const T* base, const Lanes<T>& lanes, T scale,
                      Vec<T>* parts, Vec<T>* row) {
  load_lanes(base, lanes, num_taps, row);
  for (int64_t pair = 0; pair < taps.pairs; ++pair) {
    const Vec<T> plus = taps.plus[pair] < 0 ? Vec<T>{} : row[taps.plus[pair]] * scale;
    const Vec<T> minus = taps.minus[pair] < 0 ? Vec<T>{} : row[taps.minus[pair]] * scale;
    parts[2 * pair] = plus + minus;
    parts[2 * pair + 1] = plus - minus;
  }
}

// The adjoint of load_taps: taps that reach no pixel have gradient zero.
template <class T>
inline void store_taps(const TapList& taps, int64_t num_taps, const Vec<T>* parts, T scale, T* base,
                       const Lanes<T>& lanes, Vec<T>* row) {
  for (int64_t t = 0; t < num_taps; ++t)
    row[t] = Vec<T>{};
  for (int64_t pair = 0; pair < taps.pairs; ++pair) {
    if (taps.plus[pair] >= 0) row[taps.plus[pair]] = parts[2 * pair] + parts[2 * pair + 1];
    if (taps.minus[pair] >= 0) row[taps.minus[pair]] = parts[2 * pair] - parts[2 * pair + 1];
  }
  store_lanes(base, lanes, num_taps, row, scale);
}

// The same for one lane, added to what is there.
template <class T>
inline void add_taps(const TapList& taps, const Vec<T>* parts, int lane, T scale, T* row) {
  for (int64_t pair = 0; pair < taps.pairs; ++pair) {
    const T even = parts[2 * pair][lane], odd = parts[2 * pair + 1][lane];
    if (taps.plus[pair] >= 0) row[taps.plus[pair]] += scale * (even + odd);
    if (taps.minus[pair] >= 0) row[taps.minus[pair]] += scale * (even - odd);
  }
}

}  // namespace DASH_ISA
}  // namespace dash
