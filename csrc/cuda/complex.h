// SPDX-License-Identifier: BSD-3-Clause
// Complex numbers, and the discrete Fourier transforms of a few of them that a thread holds in registers.
#pragma once
#include "dialect.h"

namespace dash {
namespace cuda {

template <class T>
struct alignas(2 * sizeof(T)) Complex {
  T re, im;

  DASH_DEVICE Complex operator+(Complex b) const { return {re + b.re, im + b.im}; }
  DASH_DEVICE Complex operator-(Complex b) const { return {re - b.re, im - b.im}; }
  DASH_DEVICE Complex operator*(Complex b) const { return {re * b.re - im * b.im, re * b.im + im * b.re}; }
  DASH_DEVICE Complex operator*(T b) const { return {re * b, im * b}; }
  DASH_DEVICE Complex conj() const { return {re, -im}; }
  // i times this where kSign is 1, -i times this where it is -1.
  template <int kSign>
  DASH_DEVICE Complex turned() const {
    return kSign > 0 ? Complex{-im, re} : Complex{im, -re};
  }
#if defined(__CUDACC__)
  // In one load, past the caches of what may change.
  static DASH_DEVICE Complex read_only(const Complex* from) {
    if constexpr (sizeof(T) == 4) {
      const float2 pair = __ldg(reinterpret_cast<const float2*>(from));
      return {pair.x, pair.y};
    } else {
      const double2 pair = __ldg(reinterpret_cast<const double2*>(from));
      return {pair.x, pair.y};
    }
  }
#endif
};

// In place, unscaled: v[k] = sum_q v[q] exp(kSign 2 pi i k q / R).
template <int R, int kSign, class T>
struct Dft;

template <int kSign, class T>
struct Dft<2, kSign, T> {
  static DASH_DEVICE void run(Complex<T>* v) {
    const Complex<T> sum = v[0] + v[1];
    v[1] = v[0] - v[1];
    v[0] = sum;
  }
};

template <int kSign, class T>
struct Dft<3, kSign, T> {
  static DASH_DEVICE void run(Complex<T>* v) {
    constexpr T kSine = T(0.86602540378443864676);  // of a third of a turn
    const Complex<T> sum = v[1] + v[2];
    const Complex<T> across = (v[1] - v[2]).template turned<kSign>() * kSine;
    const Complex<T> middle = v[0] - sum * T(0.5);
    v[0] = v[0] + sum;
    v[1] = middle + across;
    v[2] = middle - across;
  }
};

template <int kSign, class T>
struct Dft<4, kSign, T> {
  static DASH_DEVICE void run(Complex<T>* v) {
    const Complex<T> even = v[0] + v[2], even_less = v[0] - v[2];
    const Complex<T> odd = v[1] + v[3], odd_less = (v[1] - v[3]).template turned<kSign>();
    v[0] = even + odd;
    v[1] = even_less + odd_less;
    v[2] = even - odd;
    v[3] = even_less - odd_less;
  }
};

template <int kSign, class T>
struct Dft<5, kSign, T> {
  static DASH_DEVICE void run(Complex<T>* v) {
    // cosine and sine of one and of two fifths of a turn
    constexpr T kCos1 = T(0.30901699437494742410), kSin1 = T(0.95105651629515357212);
    constexpr T kCos2 = T(-0.80901699437494742410), kSin2 = T(0.58778525229247312917);
    const Complex<T> near = v[1] + v[4], near_less = (v[1] - v[4]).template turned<kSign>();
    const Complex<T> far = v[2] + v[3], far_less = (v[2] - v[3]).template turned<kSign>();
    const Complex<T> one = v[0] + near * kCos1 + far * kCos2, one_across = near_less * kSin1 + far_less * kSin2;
    const Complex<T> two = v[0] + near * kCos2 + far * kCos1, two_across = near_less * kSin2 - far_less * kSin1;
    v[0] = v[0] + near + far;
    v[1] = one + one_across;
    v[2] = two + two_across;
    v[3] = two - two_across;
    v[4] = one - one_across;
  }
};

template <int kSign, class T>
struct Dft<8, kSign, T> {
  static DASH_DEVICE void run(Complex<T>* v) {
    constexpr T kHalf = T(0.70710678118654752440);  // sine of an eighth of a turn
    Complex<T> even[4] = {v[0], v[2], v[4], v[6]}, odd[4] = {v[1], v[3], v[5], v[7]};
    Dft<4, kSign, T>::run(even);
    Dft<4, kSign, T>::run(odd);
    odd[1] = (odd[1] + odd[1].template turned<kSign>()) * kHalf;
    odd[2] = odd[2].template turned<kSign>();
    odd[3] = (odd[3].template turned<kSign>() - odd[3]) * kHalf;
    for (int k = 0; k < 4; ++k) {
      v[k] = even[k] + odd[k];
      v[k + 4] = even[k] - odd[k];
    }
  }
};

}  // namespace cuda
}  // namespace dash
