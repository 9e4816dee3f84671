// SPDX-License-Identifier: BSD-3-Clause
// Mixed-radix complex transforms, kLanes of them at once, as Stockham passes: no bit reversal, natural order in and
// out. The first pass reads through the caller's load(i), the last writes through the caller's store(i, value), so that
// zero padding, cropping, conjugation and re-layout cost no pass of their own. Source of the maths: Van Loan,
// Computational Frameworks for the FFT, section 1.7.
#pragma once
#include "vec.h"

namespace dash {
namespace DASH_ISA {

template <class T>
DASH_INLINE Cx<T> operator+(Cx<T> a, Cx<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class T>
DASH_INLINE Cx<T> operator-(Cx<T> a, Cx<T> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class T>
DASH_INLINE Cx<T> scaled(Cx<T> a, T s) {
  return {a.re * s, a.im * s};
}
template <class T>
DASH_INLINE Cx<T> times_minus_i(Cx<T> a) {
  return {a.im, -a.re};
}
template <class T>
DASH_INLINE Cx<T> times(Cx<T> a, T re, T im) {
  return {a.re * re - a.im * im, a.re * im + a.im * re};
}
template <class T>
DASH_INLINE Cx<T> times(Cx<T> a, Cx<T> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class T>
DASH_INLINE Cx<T> times_conjugate(Cx<T> a, Cx<T> b) {
  return {a.re * b.re + a.im * b.im, a.im * b.re - a.re * b.im};
}
template <class T>
DASH_INLINE Cx<T> conjugate(Cx<T> a) {
  return {a.re, -a.im};
}
// Real and imaginary part exchanged before and after a forward transform make it an inverse one (unscaled).
template <class T>
DASH_INLINE Cx<T> swapped(Cx<T> a) {
  return {a.im, a.re};
}

// In place: a[k] becomes sum_j a[j] exp(-2 pi i j k / radix).
template <class T>
DASH_INLINE void butterfly2(Cx<T>* a) {
  const Cx<T> t = a[0] - a[1];
  a[0] = a[0] + a[1];
  a[1] = t;
}
template <class T>
DASH_INLINE void butterfly3(Cx<T>* a) {
  const T half_root3 = static_cast<T>(0.86602540378443864676);
  const Cx<T> sum = a[1] + a[2], turn = times_minus_i(scaled(a[1] - a[2], half_root3));
  const Cx<T> middle = a[0] - scaled(sum, static_cast<T>(0.5));
  a[0] = a[0] + sum;
  a[1] = middle + turn;
  a[2] = middle - turn;
}
template <class T>
DASH_INLINE void butterfly4(Cx<T>* a) {
  const Cx<T> even = a[0] + a[2], odd = a[1] + a[3];
  const Cx<T> even_difference = a[0] - a[2], turn = times_minus_i(a[1] - a[3]);
  a[0] = even + odd;
  a[1] = even_difference + turn;
  a[2] = even - odd;
  a[3] = even_difference - turn;
}
template <class T>
DASH_INLINE void butterfly5(Cx<T>* a) {
  const T c1 = static_cast<T>(0.30901699437494742410), c2 = static_cast<T>(-0.80901699437494742410);
  const T s1 = static_cast<T>(0.95105651629515357212), s2 = static_cast<T>(0.58778525229247312917);
  const Cx<T> outer = a[1] + a[4], inner = a[2] + a[3], outer_difference = a[1] - a[4], inner_difference = a[2] - a[3];
  const Cx<T> near = a[0] + scaled(outer, c1) + scaled(inner, c2), far = a[0] + scaled(outer, c2) + scaled(inner, c1);
  const Cx<T> near_turn = times_minus_i(scaled(outer_difference, s1) + scaled(inner_difference, s2));
  const Cx<T> far_turn = times_minus_i(scaled(outer_difference, s2) - scaled(inner_difference, s1));
  a[0] = a[0] + outer + inner;
  a[1] = near + near_turn;
  a[4] = near - near_turn;
  a[2] = far + far_turn;
  a[3] = far - far_turn;
}
// butterfly2 and butterfly4 where the upper half of the inputs is zero: what zero padding leaves of a first pass.
template <class T>
DASH_INLINE void half_butterfly2(Cx<T>* a) {
  a[1] = a[0];
}
template <class T>
DASH_INLINE void half_butterfly4(Cx<T>* a) {
  const Cx<T> first = a[0], second = a[1], turn = times_minus_i(a[1]);
  a[0] = first + second;
  a[1] = first + turn;
  a[2] = first - second;
  a[3] = first - turn;
}
template <class T, bool kHalf>
DASH_INLINE void butterfly8(Cx<T>* a) {
  const T root = static_cast<T>(0.70710678118654752440);
  Cx<T> even[4] = {a[0], a[2], a[4], a[6]}, odd[4] = {a[1], a[3], a[5], a[7]};
  if constexpr (kHalf) {
    half_butterfly4(even);
    half_butterfly4(odd);
  } else {
    butterfly4(even);
    butterfly4(odd);
  }
  // exp(-i pi / 4) = root (1 - i): the factor rides on the sums as fused multiply-adds.
  const Cx<T> turn1 = {odd[1].re + odd[1].im, odd[1].im - odd[1].re};
  const Cx<T> turn3 = {odd[3].im - odd[3].re, odd[3].re + odd[3].im};
  a[0] = even[0] + odd[0];
  a[4] = even[0] - odd[0];
  a[1] = {even[1].re + turn1.re * root, even[1].im + turn1.im * root};
  a[5] = {even[1].re - turn1.re * root, even[1].im - turn1.im * root};
  a[2] = {even[2].re + odd[2].im, even[2].im - odd[2].re};
  a[6] = {even[2].re - odd[2].im, even[2].im + odd[2].re};
  a[3] = {even[3].re + turn3.re * root, even[3].im - turn3.im * root};
  a[7] = {even[3].re - turn3.re * root, even[3].im + turn3.im * root};
}
template <class T, int kRadix, bool kHalf>
DASH_INLINE void butterfly(Cx<T>* a) {
  if constexpr (kRadix == 2 && kHalf) half_butterfly2(a);
  if constexpr (kRadix == 2 && !kHalf) butterfly2(a);
  if constexpr (kRadix == 3) butterfly3(a);
  if constexpr (kRadix == 4 && kHalf) half_butterfly4(a);
  if constexpr (kRadix == 4 && !kHalf) butterfly4(a);
  if constexpr (kRadix == 5) butterfly5(a);
  if constexpr (kRadix == 8) butterfly8<T, kHalf>(a);
}

// How much of a pass there is to do: all of it, the lower half of the inputs (the rest is zero, and not loaded), or the
// lower half of the outputs.
enum class Part { whole, half_in, half_out };

template <class T, int kRadix, Part kPart, class Load, class Store>
DASH_INLINE void fft_pass_radix(const FftPass<T>& pass, const Load& load, const Store& store) {
  constexpr int kHalf = (kRadix + 1) / 2;
  constexpr int kIn = kPart == Part::half_in ? kHalf : kRadix, kOut = kPart == Part::half_out ? kHalf : kRadix;
  const int64_t m = pass.m, s = pass.s;
  const T* twiddle = pass.twiddle;
  for (int64_t p = 0; p < m; ++p, twiddle += 2 * (kRadix - 1)) {
    for (int64_t q = 0; q < s; ++q) {
      Cx<T> a[kRadix];
#pragma GCC unroll 8
      for (int j = 0; j < kRadix; ++j)
        a[j] = j < kIn ? load(q + s * (p + j * m)) : Cx<T>{Vec<T>{}, Vec<T>{}};
      butterfly<T, kRadix, kPart == Part::half_in>(a);
      store(q + s * kRadix * p, a[0]);
      if (p == 0) {
#pragma GCC unroll 8
        for (int k = 1; k < kOut; ++k)
          store(q + s * k, a[k]);
      } else {
#pragma GCC unroll 8
        for (int k = 1; k < kOut; ++k)
          store(q + s * (kRadix * p + k), times(a[k], twiddle[2 * k - 2], twiddle[2 * k - 1]));
      }
    }
  }
}

template <Part kPart, class T, class Load, class Store>
inline void fft_pass(const FftPass<T>& pass, const Load& load, const Store& store) {
  switch (pass.radix) {
    case 2:
      return fft_pass_radix<T, 2, kPart>(pass, load, store);
    case 3:
      return fft_pass_radix<T, 3, kPart>(pass, load, store);
    case 4:
      return fft_pass_radix<T, 4, kPart>(pass, load, store);
    case 5:
      return fft_pass_radix<T, 5, kPart>(pass, load, store);
    default:
      return fft_pass_radix<T, 8, kPart>(pass, load, store);
  }
}

template <class T>
void fft_inner_pass(const FftPass<T>& pass, const Cx<T>* from, Cx<T>* to) {
  fft_pass<Part::whole>(pass, [from](int64_t i) { return from[i]; }, [to](int64_t i, Cx<T> v) { to[i] = v; });
}

// store(k, sum_j load(j) exp(-2 pi i j k / n)), in no particular order; `buffer` holds 2 n complex vectors. load(j)
// must be zero from `inputs` on, and is mostly not called there; store(k) may be left out from `outputs` on.
template <class T, class Load, class Store>
inline void fft(const FftPlan<T>& plan, int64_t inputs, int64_t outputs, const Load& load, const Store& store,
                Cx<T>* buffer) {
  if (plan.passes == 0) return store(0, load(0));
  if (plan.passes == 1) return fft_pass<Part::whole>(plan.pass[0], load, store);
  Cx<T>*from = buffer, *to = buffer + plan.n;
  const FftPass<T>&first = plan.pass[0], &last = plan.pass[plan.passes - 1];
  const auto keep = [from](int64_t i, Cx<T> v) { from[i] = v; };
  if (inputs <= (first.radix + 1) / 2 * first.m)
    fft_pass<Part::half_in>(first, load, keep);
  else
    fft_pass<Part::whole>(first, load, keep);
  for (int64_t i = 1; i + 1 < plan.passes; ++i) {
    fft_inner_pass(plan.pass[i], from, to);
    Cx<T>* const done = to;
    to = from;
    from = done;
  }
  const auto inner = [from](int64_t i) { return from[i]; };
  if (outputs <= (last.radix + 1) / 2 * last.s)
    fft_pass<Part::half_out>(last, inner, store);
  else
    fft_pass<Part::whole>(last, inner, store);
}

}  // namespace DASH_ISA
}  // namespace dash
