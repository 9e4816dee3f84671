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
  T* twiddle;                 // [count] pairs (cos, sin) of 2 pi f offset / length[1], for the current f
  int64_t* row_at;            // [length[0]]: the row of taps that enters the transform there, or -1
  Cx<T>* sums;                // [rows]
  Cx<T>* buffer;              // [2 length[0]]

  static TapColumn make(const TapList& taps, const LengthPlan<T>& rows, const LengthPlan<T>& cols, Arena& arena) {
    return {taps,
            &rows,
            &cols,
            arena.take<T>(2 * taps.count),
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
    for (int64_t t = 0; t < taps.count; ++t) {
      const T* root = cols->root + 2 * ((f * taps.col_pos[t]) % cols->n);
      twiddle[2 * t] = root[0];
      twiddle[2 * t + 1] = sign < 0 ? -root[1] : root[1];
    }
  }

  // store(y, spectrum of the column at row frequency y) from the transposed weights w[count].
  template <class Store>
  DASH_INLINE void spectrum(const Vec<T>* w, const Store& store) {
    for (int64_t r = 0; r < taps.rows; ++r) {
      Vec<T> re{}, im{};
      for (int64_t t = taps.row_start[r]; t < taps.row_start[r + 1]; ++t) {
        re += w[t] * twiddle[2 * t];
        im += w[t] * twiddle[2 * t + 1];
      }
      sums[r] = {re, im};
    }
    const int64_t* at = row_at;
    const Cx<T>* sum = sums;
    const auto entry = [=](int64_t y) { return at[y] >= 0 ? sum[at[y]] : Cx<T>{Vec<T>{}, Vec<T>{}}; };
    fft(rows->complex, rows->n, rows->n, entry, store, buffer);
  }

  // gradient[t] += weight * Re(sum_y load(y) exp(-2 pi i (y row_offset / length[0] + f col_offset / length[1]))): both
  // signs are minus.
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
      for (int64_t t = taps.row_start[r]; t < taps.row_start[r + 1]; ++t)
        gradient[t] += s.re * twiddle[2 * t] - s.im * twiddle[2 * t + 1];
    }
  }
};

// out[t] = scale * (tap t, in the order of `taps`) of every lane's weight row; `row` is scratch of num_taps vectors.
template <class T>
inline void load_taps(const TapList& taps, int64_t num_taps, const T* base, const Lanes<T>& lanes, T scale, Vec<T>* out,
                      Vec<T>* row) {
  load_lanes(base, lanes, num_taps, row);
  for (int64_t t = 0; t < taps.count; ++t)
    out[t] = row[taps.tap[t]] * scale;
}

// The adjoint: taps that reach no pixel have gradient zero.
template <class T>
inline void store_taps(const TapList& taps, int64_t num_taps, const Vec<T>* gradient, T scale, T* base,
                       const Lanes<T>& lanes, Vec<T>* row) {
  for (int64_t t = 0; t < num_taps; ++t)
    row[t] = Vec<T>{};
  for (int64_t t = 0; t < taps.count; ++t)
    row[taps.tap[t]] = gradient[t];
  store_lanes(base, lanes, num_taps, row, scale);
}

}  // namespace DASH_ISA
}  // namespace dash
