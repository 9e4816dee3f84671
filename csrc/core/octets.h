// SPDX-License-Identifier: BSD-3-Clause
// Sums over the taps of a series at eight frequencies at once: m e + u and m e - u, with e = n / 8. A turn by
// 2 pi (m e + u) offset / n is one by 2 pi u offset / n, which all of them share, and one by m offset eighths, which
// depends on the offset modulo 8 only. So taps are summed by that residue, once, and the sums make a transform of eight
// points. Source of the maths: Van Loan, Computational Frameworks for the FFT, section 1.3.
#pragma once
#include "order.h"

namespace dash {
namespace DASH_ISA {

// From the sums of residues 0 to 4, each of which stands for its opposite too, to those of turns m = 0 to 4, or back:
// out[m] = sum over q of cos(pi m q / 4) in[q].
template <class T>
DASH_INLINE void by_cosines(const Vec<T>* in, Vec<T>* out) {
  const Vec<T> ends = in[0] + in[4], apart = in[0] - in[4], sides = in[1] + in[3];
  const Vec<T> slope = (in[1] - in[3]) * T(0.70710678118654752440), middle = in[2];
  out[0] = ends + middle + sides;
  out[1] = apart + slope;
  out[2] = ends - middle;
  out[3] = apart - slope;
  out[4] = ends + middle - sides;
}
// The same with sines, of 1 to 3.
template <class T>
DASH_INLINE void by_sines(const Vec<T>* in, Vec<T>* out) {
  const Vec<T> sides = (in[1] + in[3]) * T(0.70710678118654752440), apart = in[1] - in[3], middle = in[2];
  out[1] = sides + middle;
  out[2] = apart;
  out[3] = sides - middle;
}

// Tap pairs come as even and odd part of opposite taps, frequencies in the order of a unit. What is read of the taps
// serves for kUnits.
template <class T, int kUnits>
struct TapOctets {
  static constexpr int kResidues = 5;

  const TapList& taps;
  const T* twiddle;  // [tap pair][unit] of (cos, sin) of 2 pi u offset / n

  // Where m e - u and m e + u stand; u, e - u, e + u and 2 e - u are the first ones of their pairs.
  static constexpr int below(int m) { return m <= 2 ? 2 * (2 * m - 1) : 2 * (8 - 2 * m) + 1; }
  static constexpr int above(int m) { return m < 2 ? 2 * (2 * m) : 2 * (7 - 2 * m) + 1; }

  // Of each residue, even and odd parts times cosines and sines.
  struct Sums {
    Vec<T> even_cos[kResidues], even_sin[kResidues], odd_cos[kResidues], odd_sin[kResidues];
  };
  // Residues 0 and 4 need neither sines of even parts nor cosines of odd ones: half turns have no sine.
  static constexpr bool has_both(int residue) { return residue % 4 != 0; }

  template <int kResidue>
  DASH_INLINE void sum(const Vec<T>* w, Sums* sums) const {
    Vec<T> even_cos[kUnits] = {}, even_sin[kUnits] = {}, odd_cos[kUnits] = {}, odd_sin[kUnits] = {};
    for (int64_t t = taps.residue_start[kResidue]; t < taps.residue_end[kResidue]; ++t) {
      const Vec<T> even = w[2 * t], odd = w[2 * t + 1];
#pragma GCC unroll 2
      for (int u = 0; u < kUnits; ++u) {
        const T cos = twiddle[2 * (kUnits * t + u)], sin = twiddle[2 * (kUnits * t + u) + 1];
        even_cos[u] += even * cos;
        odd_sin[u] += odd * sin;
        if constexpr (has_both(kResidue)) {
          even_sin[u] += even * sin;
          odd_cos[u] += odd * cos;
        }
      }
    }
#pragma GCC unroll 2
    for (int u = 0; u < kUnits; ++u) {
      sums[u].even_cos[kResidue] = even_cos[u];
      sums[u].even_sin[kResidue] = even_sin[u];
      sums[u].odd_cos[kResidue] = odd_cos[u];
      sums[u].odd_sin[kResidue] = odd_sin[u];
    }
  }

  // out[u][i]: of unit u the sum over taps of exp(+2 pi i f offset / n) at its i-th frequency f.
  DASH_INLINE void spectra(const Vec<T>* w, Cx<T> (*out)[2 * Unit::kSeriesPairs]) const {
    Sums sums[kUnits];
    // In the order in which taps stand (SortedTaps), for whoever fetches them ahead.
    sum<0>(w, sums);
    sum<2>(w, sums);
    sum<4>(w, sums);
    sum<1>(w, sums);
    sum<3>(w, sums);
#pragma GCC unroll 2
    for (int u = 0; u < kUnits; ++u)
      combine(sums[u], out[u]);
  }
  DASH_INLINE static void combine(const Sums& sums, Cx<T>* out) {
    // What m e + u and m e - u have in common, and what changes its sign between them.
    Vec<T> alike[kResidues], opposed[kResidues];
    opposed[0] = opposed[4] = Vec<T>{};
    by_cosines<T>(sums.even_cos, alike);
    by_sines<T>(sums.even_sin, opposed);
#pragma GCC unroll 5
    for (int m = 0; m < kResidues; ++m) {
      if (m > 0) out[below(m)].re = alike[m] + opposed[m];
      if (m < 4) out[above(m)].re = alike[m] - opposed[m];
    }
    alike[0] = alike[4] = Vec<T>{};
    by_sines<T>(sums.odd_cos, alike);
    by_cosines<T>(sums.odd_sin, opposed);
#pragma GCC unroll 5
    for (int m = 0; m < kResidues; ++m) {
      if (m > 0) out[below(m)].im = alike[m] - opposed[m];
      if (m < 4) out[above(m)].im = alike[m] + opposed[m];
    }
  }

  template <int kResidue>
  DASH_INLINE void add(const Sums* sums, Vec<T>* gradient) const {
    for (int64_t t = taps.residue_start[kResidue]; t < taps.residue_end[kResidue]; ++t) {
      Vec<T> even = gradient[2 * t], odd = gradient[2 * t + 1];
#pragma GCC unroll 2
      for (int u = 0; u < kUnits; ++u) {
        const T cos = twiddle[2 * (kUnits * t + u)], sin = twiddle[2 * (kUnits * t + u) + 1];
        even += sums[u].even_cos[kResidue] * cos;
        odd += sums[u].odd_sin[kResidue] * sin;
        if constexpr (has_both(kResidue)) {
          even += sums[u].even_sin[kResidue] * sin;
          odd += sums[u].odd_cos[kResidue] * cos;
        }
      }
      gradient[2 * t] = even;
      gradient[2 * t + 1] = odd;
    }
  }

  // The adjoint of spectra: adds to the gradients of even and odd parts; in[u] as out[u] there.
  DASH_INLINE void add_spectra(const Cx<T>* const* in, Vec<T>* gradient) const {
    Sums sums[kUnits];
#pragma GCC unroll 2
    for (int u = 0; u < kUnits; ++u)
      sums[u] = separate(in[u]);
    add<0>(sums, gradient);
    add<2>(sums, gradient);
    add<4>(sums, gradient);
    add<1>(sums, gradient);
    add<3>(sums, gradient);
  }
  DASH_INLINE static Sums separate(const Cx<T>* in) {
    Sums sums;
    Vec<T> alike[kResidues], opposed[kResidues];
    alike[0] = in[above(0)].re;
    alike[4] = in[below(4)].re;
#pragma GCC unroll 3
    for (int m = 1; m < 4; ++m) {
      alike[m] = in[below(m)].re + in[above(m)].re;
      opposed[m] = in[below(m)].re - in[above(m)].re;
    }
    by_cosines<T>(alike, sums.even_cos);
    by_sines<T>(opposed, sums.even_sin);
    opposed[0] = in[above(0)].im;
    opposed[4] = -in[below(4)].im;
#pragma GCC unroll 3
    for (int m = 1; m < 4; ++m) {
      alike[m] = in[above(m)].im + in[below(m)].im;
      opposed[m] = in[above(m)].im - in[below(m)].im;
    }
    by_sines<T>(alike, sums.odd_cos);
    by_cosines<T>(opposed, sums.odd_sin);
    return sums;
  }
};

}  // namespace DASH_ISA
}  // namespace dash
