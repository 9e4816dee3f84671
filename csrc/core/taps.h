// SPDX-License-Identifier: BSD-3-Clause
// Spectra of weights that have few taps. Along a row the transform of one frequency is a short sum over the taps, which
// gives two frequencies at once: from f to n / 2 - f, cosines of even offsets and sines of odd ones stay, the others
// change sign; of many taps of a series eight at once (octets.h). The row offsets that remain (few, scattered) go
// through one transform along axis 1 of the column. The adjoint reads gradients at the taps alone.
#pragma once
#include "fft.h"
#include "octets.h"

namespace dash {
namespace DASH_ISA {

// a * b modulo n; short numbers divide several times faster.
inline int64_t modulo_of_product(int64_t a, int64_t b, int64_t n) {
  if (n > int64_t{1} << 16) return a * b % n;
  return static_cast<uint32_t>(a * b) % static_cast<uint32_t>(n);
}

// What one worker needs to transform columns of weights, at a pair of row frequencies of maps or a run of series at a
// time.
template <class T>
struct TapColumn {
  static constexpr int kPairs = Unit::kSeriesPairs;

  TapList taps;
  const LengthPlan<T>* rows;  // transform along a column, of length[0]
  const LengthPlan<T>* cols;  // transform along a row, of length[1]
  T* twiddle;        // [tap pair][frequency that stands for its pair or octet]: (cos, sin) of 2 pi f offset / length[1]
  int64_t* row_at;   // [row of taps]: where it enters the transform
  Sparse<T> sparse;  // rows of taps among those of a column
  Cx<T>* column[2];  // [row of taps] for f and n / 2 - f, with a zero behind them
  Cx<T>* result;     // [length[0]]: of the adjoint
  Cx<T>* buffer;     // [2 length[0]]

  static TapColumn make(const TapList& taps, const LengthPlan<T>& rows, const LengthPlan<T>& cols, Arena& arena) {
    TapColumn made{};
    made.taps = taps;
    made.rows = &rows;
    made.cols = &cols;
    made.twiddle = arena.take<T>(2 * taps.pairs * (rows.n == 1 ? kPairs : 1));
    made.row_at = arena.take<int64_t>(taps.rows);
    made.sparse = Sparse<T>::make(rows, taps.rows, arena);
    made.column[0] = arena.take<Cx<T>>(taps.rows + 1);
    made.column[1] = arena.take<Cx<T>>(taps.rows + 1);
    made.result = arena.take<Cx<T>>(rows.n);
    made.buffer = arena.take<Cx<T>>(2 * rows.n);
    return made;
  }

  // Sums along the column run over exp(sign 2 pi i f offset / length). Those along a row run over exp(+...): for the
  // other sign taps are loaded mirrored.
  void prepare(int sign) {
    column[0][taps.rows] = column[1][taps.rows] = {Vec<T>{}, Vec<T>{}};
    for (int64_t r = 0; r < taps.rows; ++r)
      row_at[r] = sign < 0 || taps.row_pos[r] == 0 ? taps.row_pos[r] : rows->n - taps.row_pos[r];
    sparse.fill(rows->complex, taps.rows, row_at);
  }
  // The frequencies f[0], ..., f[count - 1], each of which stands for its pair.
  void set_frequencies(const int64_t* f, int count) {
    for (int64_t t = 0; t < taps.pairs; ++t) {
      for (int i = 0; i < count; ++i) {
        const T* root = cols->root + 2 * modulo_of_product(f[i], taps.col_pos[t], cols->n);
        twiddle[2 * (t * count + i)] = root[0];
        twiddle[2 * (t * count + i) + 1] = root[1];
      }
    }
  }

  // Those of a run of series, which is one unit unless they are octets; any will do where a pair is missing.
  void set_run(const Run& run) {
    int64_t f[kPairs] = {};
    if (taps.in_octets()) {
      for (int64_t i = 0; i < run.count; ++i)
        f[i] = run.unit[i].frequency[0];
      return set_frequencies(f, static_cast<int>(run.count));
    }
    const Unit& unit = run.unit[0];
    for (int64_t i = 0; i < unit.count; i += 2)
      f[unit.place[i] / 2] = unit.frequency[i];
    set_frequencies(f, kPairs);
  }

  // The sums along row r of taps at kCount pairs of frequencies, from even and odd parts w[count]; results stand kStep
  // apart.
  template <int kCount, int kStep>
  DASH_INLINE void sum_row(const Vec<T>* w, int64_t r, Cx<T>* near, Cx<T>* far) const {
    Vec<T> re[2][kCount] = {}, im[2][kCount] = {};  // of even and of odd offsets
    const int64_t bounds[3] = {taps.row_start[r], taps.row_middle[r], taps.row_start[r + 1]};
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; ++odd) {
      for (int64_t t = bounds[odd]; t < bounds[odd + 1]; ++t) {
        const Vec<T> even_part = w[2 * t], odd_part = w[2 * t + 1];
        const T* const turn = twiddle + 2 * kCount * t;
#pragma GCC unroll 4
        for (int i = 0; i < kCount; ++i) {
          re[odd][i] += even_part * turn[2 * i];
          im[odd][i] += odd_part * turn[2 * i + 1];
        }
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      near[kStep * i] = {re[0][i] + re[1][i], im[0][i] + im[1][i]};
      far[kStep * i] = {re[0][i] - re[1][i], im[1][i] - im[0][i]};
    }
  }

  // Spectra of a map's columns at the frequency set, and at its partner if `partner`.
  void spectra(const Vec<T>* w, const Output<T>& near, const Output<T>* partner) {
    for (int64_t r = 0; r < taps.rows; ++r)
      sum_row<1, 1>(w, r, column[0] + r, column[1] + r);
    fft(rows->complex, Input<T>::of_sparse(column[0], rows->n, sparse), near, buffer);
    if (partner) fft(rows->complex, Input<T>::of_sparse(column[1], rows->n, sparse), *partner, buffer);
  }

  // Spectra of a series at the run set, in a form of output: result i of out[u] is that of frequency i of unit u.
  template <int kForm>
  DASH_INLINE void run_spectra(const Vec<T>* w, const Run& run, const Output<T>* out) const {
    Cx<T> all[Run::kMost][2 * kPairs];
    if (!taps.in_octets())
      pair_spectra(w, all[0]);
    else if (run.count == 1)
      TapOctets<T, 1>{taps, twiddle}.spectra(w, all);
    else
      TapOctets<T, 2>{taps, twiddle}.spectra(w, all);
    for (int64_t u = 0; u < run.count; ++u) {
      const Unit& unit = run.unit[u];
      if (unit.count == 2 * kPairs) {
#pragma GCC unroll 8
        for (int i = 0; i < 2 * kPairs; ++i)
          put<T, kForm>(out[u], 2 * kPairs, i, all[u][i]);
      } else {
        for (int64_t i = 0; i < unit.count; ++i)
          put<T, kForm>(out[u], unit.count, i, all[u][unit.place[i]]);
      }
    }
  }
  // Spectra of a series at the kPairs frequencies set and their partners, in turns: out[0], out[1], ... [2 kPairs].
  DASH_INLINE void pair_spectra(const Vec<T>* w, Cx<T>* out) const {
    if (taps.rows) return sum_row<kPairs, 2>(w, 0, out, out + 1);
    for (int i = 0; i < 2 * kPairs; ++i)
      out[i] = {Vec<T>{}, Vec<T>{}};
  }

  // The adjoint of sum_row: adds to the gradients of even and odd parts.
  template <int kCount, int kStep>
  DASH_INLINE void add_row(int64_t r, const Cx<T>* near, const Cx<T>* far, Vec<T>* gradient) const {
    const int64_t bounds[3] = {taps.row_start[r], taps.row_middle[r], taps.row_start[r + 1]};
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; ++odd) {
      Vec<T> re[kCount], im[kCount];
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) {
        const Cx<T> above = near[kStep * i], below = far[kStep * i];
        re[i] = odd ? above.re - below.re : above.re + below.re;
        im[i] = odd ? above.im + below.im : above.im - below.im;
      }
      for (int64_t t = bounds[odd]; t < bounds[odd + 1]; ++t) {
        const T* const turn = twiddle + 2 * kCount * t;
        Vec<T> even_part = gradient[2 * t], odd_part = gradient[2 * t + 1];
#pragma GCC unroll 4
        for (int i = 0; i < kCount; ++i) {
          even_part += re[i] * turn[2 * i];
          odd_part += im[i] * turn[2 * i + 1];
        }
        gradient[2 * t] = even_part;
        gradient[2 * t + 1] = odd_part;
      }
    }
  }

  // What a frequency of the half spectrum counts in sums over all: the first and the last one have no mirror image.
  T share_of(int64_t f) const { return f == 0 || 2 * f == cols->n ? T(0.5) : T(1); }

  // The adjoint of run_spectra, from products[u][i] of frequency i of unit u.
  DASH_INLINE void add_run(const Run& run, const Cx<T>* const* products, Vec<T>* gradient) const {
    Cx<T> whole[Run::kMost][2 * kPairs];
    const Cx<T>* all[Run::kMost];
    for (int64_t u = 0; u < run.count; ++u) {
      const Unit& unit = run.unit[u];
      all[u] = products[u];
      if (unit.count == 2 * kPairs && unit.frequency[0] > 0) continue;
      all[u] = whole[u];
      for (int64_t i = 0; i < 2 * kPairs; ++i)
        whole[u][i] = {Vec<T>{}, Vec<T>{}};
      for (int64_t i = 0; i < unit.count; ++i)
        whole[u][unit.place[i]] = scaled(products[u][i], share_of(unit.frequency[i]));
    }
    if (taps.in_octets() && run.count == 1)
      TapOctets<T, 1>{taps, twiddle}.add_spectra(all, gradient);
    else if (taps.in_octets())
      TapOctets<T, 2>{taps, twiddle}.add_spectra(all, gradient);
    else if (taps.rows)
      add_row<kPairs, 2>(0, all[0], all[0] + 1, gradient);
  }

  // The inverse transform of one column of products, times `share`, at the rows of taps alone: kept[r].
  void rows_of(const Cx<T>* products, T share, Cx<T>* kept) {
    fft(rows->complex, Input<T>::of(products, rows->n), Output<T>::to_values(result, rows->n), buffer);
    for (int64_t r = 0; r < taps.rows; ++r)
      kept[r] = scaled(result[row_at[r]], share);
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

// Even and odd parts of every lane's weight row, times scale, or of its mirror image along the row: the conjugates of
// spectra. `row` is scratch of num_taps vectors.
template <class T>
inline void load_taps(const TapList& taps, int64_t num_taps, const T* base, const Lanes<T>& lanes, T scale,
                      bool mirrored, Vec<T>* parts, Vec<T>* row) {
  load_lanes(base, lanes, num_taps, row);
  for (int64_t pair = 0; pair < taps.pairs; ++pair) {
    const Vec<T> plus = taps.plus[pair] < 0 ? Vec<T>{} : row[taps.plus[pair]] * scale;
    const Vec<T> minus = taps.minus[pair] < 0 ? Vec<T>{} : row[taps.minus[pair]] * scale;
    parts[2 * pair] = plus + minus;
    parts[2 * pair + 1] = mirrored ? minus - plus : plus - minus;
  }
}

// The adjoint of load_taps, added to what is there if `add`: taps that reach no pixel have gradient zero.
template <class T>
inline void store_taps(const TapList& taps, int64_t num_taps, const Vec<T>* parts, T scale, bool mirrored, T* base,
                       const Lanes<T>& lanes, Vec<T>* row, bool add) {
  if (add) {
    load_lanes<1>(static_cast<const T*>(base), lanes, num_taps, row);
  } else {
    for (int64_t t = 0; t < num_taps; ++t)
      row[t] = Vec<T>{};
  }
  for (int64_t pair = 0; pair < taps.pairs; ++pair) {
    const Vec<T> even = parts[2 * pair], odd = mirrored ? -parts[2 * pair + 1] : parts[2 * pair + 1];
    if (taps.plus[pair] >= 0) row[taps.plus[pair]] += (even + odd) * scale;
    if (taps.minus[pair] >= 0) row[taps.minus[pair]] += (even - odd) * scale;
  }
  store_lanes(base, lanes, num_taps, row);
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
