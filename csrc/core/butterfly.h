// SPDX-License-Identifier: BSD-3-Clause
// Small transforms in registers. What zero padding makes zero is known while compiling and costs nothing; outputs that
// nobody stores are dropped by the compiler. Sources of the maths: Winograd's short transforms; Good and Thomas for the
// radices with coprime factors (Blahut, Fast Algorithms for Signal Processing, chapters 3 and 12).
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
DASH_INLINE Cx<T> times_conjugate(Cx<T> a, T re, T im) {
  return {a.re * re + a.im * im, a.im * re - a.re * im};
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

// An operand that may be zero for all data.
template <class T>
struct Term {
  Vec<T> re, im;
  bool zero;

  DASH_INLINE static Term of(Cx<T> v) { return {v.re, v.im, false}; }
  DASH_INLINE static Term nothing() { return {Vec<T>{}, Vec<T>{}, true}; }
  DASH_INLINE Cx<T> value() const { return {re, im}; }
  DASH_INLINE Term turned() const { return {im, -re, zero}; }  // times -i
};

// Some processors add and multiply-add in different units. Of which sums the imaginary part is computed as 1 * a + b,
// the same to the last bit, so that the multipliers take part.
enum class Balance {
  none,         // twiddles keep the multipliers busy
  differences,  // twiddles leave them some time
  all,          // no twiddles
};

// Sums of terms.
template <class T, Balance kBalance>
struct Sums {
#if defined(__FMA__)
  Vec<T> one;
  DASH_INLINE Sums() : one(Vec<T>{} + T(1)) {
    if constexpr (kBalance != Balance::none) asm("" : "+x"(one));  // or the compiler sees through it
  }
  DASH_INLINE Vec<T> other_plus(Vec<T> a, Vec<T> b) const { return kBalance == Balance::all ? a * one + b : a + b; }
  DASH_INLINE Vec<T> other_minus(Vec<T> a, Vec<T> b) const { return kBalance != Balance::none ? a * one - b : a - b; }
#else
  DASH_INLINE Vec<T> other_plus(Vec<T> a, Vec<T> b) const { return a + b; }
  DASH_INLINE Vec<T> other_minus(Vec<T> a, Vec<T> b) const { return a - b; }
#endif

  DASH_INLINE Term<T> plus(Term<T> a, Term<T> b) const {
    if (a.zero) return b;
    if (b.zero) return a;
    return {a.re + b.re, other_plus(a.im, b.im), false};
  }
  DASH_INLINE Term<T> minus(Term<T> a, Term<T> b) const {
    if (b.zero) return a;
    if (a.zero) return {-b.re, -b.im, false};
    return {a.re - b.re, other_minus(a.im, b.im), false};
  }
  // a + s * b
  DASH_INLINE Term<T> plus_scaled(Term<T> a, Term<T> b, T s) const {
    if (b.zero) return a;
    if (a.zero) return {b.re * s, b.im * s, false};
    return {a.re + b.re * s, a.im + b.im * s, false};
  }
};

// Butterfly<T, n>::run: a[k] becomes sum_j a[j] exp(-2 pi i j k / n), in place.
template <class T, int kRadix>
struct Butterfly;

template <class T>
struct Butterfly<T, 2> {
  template <class S>
  DASH_INLINE static void run(const S& s, Term<T>* a) {
    const Term<T> difference = s.minus(a[0], a[1]);
    a[0] = s.plus(a[0], a[1]);
    a[1] = difference;
  }
};

template <class T>
struct Butterfly<T, 3> {
  template <class S>
  DASH_INLINE static void run(const S& s, Term<T>* a) {
    const T half_root3 = static_cast<T>(0.86602540378443864676);
    const Term<T> sum = s.plus(a[1], a[2]), turn = s.minus(a[1], a[2]).turned();
    const Term<T> middle = s.plus_scaled(a[0], sum, static_cast<T>(-0.5));
    a[0] = s.plus(a[0], sum);
    a[1] = s.plus_scaled(middle, turn, half_root3);
    a[2] = s.plus_scaled(middle, turn, -half_root3);
  }
};

template <class T>
struct Butterfly<T, 4> {
  template <class S>
  DASH_INLINE static void run(const S& s, Term<T>* a) {
    const Term<T> even = s.plus(a[0], a[2]), odd = s.plus(a[1], a[3]);
    const Term<T> even_difference = s.minus(a[0], a[2]), turn = s.minus(a[1], a[3]).turned();
    a[0] = s.plus(even, odd);
    a[1] = s.plus(even_difference, turn);
    a[2] = s.minus(even, odd);
    a[3] = s.minus(even_difference, turn);
  }
};

template <class T>
struct Butterfly<T, 5> {
  template <class S>
  DASH_INLINE static void run(const S& s, Term<T>* a) {
    const T c1 = static_cast<T>(0.30901699437494742410), c2 = static_cast<T>(-0.80901699437494742410);
    const T s1 = static_cast<T>(0.95105651629515357212), s2 = static_cast<T>(0.58778525229247312917);
    const Term<T> outer = s.plus(a[1], a[4]), inner = s.plus(a[2], a[3]);
    const Term<T> outer_turn = s.minus(a[1], a[4]).turned(), inner_turn = s.minus(a[2], a[3]).turned();
    const Term<T> near = s.plus_scaled(s.plus_scaled(a[0], outer, c1), inner, c2);
    const Term<T> far = s.plus_scaled(s.plus_scaled(a[0], outer, c2), inner, c1);
    a[0] = s.plus(s.plus(a[0], outer), inner);
    a[1] = s.plus_scaled(s.plus_scaled(near, outer_turn, s1), inner_turn, s2);
    a[4] = s.plus_scaled(s.plus_scaled(near, outer_turn, -s1), inner_turn, -s2);
    a[2] = s.plus_scaled(s.plus_scaled(far, outer_turn, s2), inner_turn, -s1);
    a[3] = s.plus_scaled(s.plus_scaled(far, outer_turn, -s2), inner_turn, s1);
  }
};

template <class T>
struct Butterfly<T, 8> {
  template <class S>
  DASH_INLINE static void run(const S& s, Term<T>* a) {
    const T root = static_cast<T>(0.70710678118654752440);
    Term<T> even[4] = {a[0], a[2], a[4], a[6]}, odd[4] = {a[1], a[3], a[5], a[7]};
    Butterfly<T, 4>::run(s, even);
    Butterfly<T, 4>::run(s, odd);
    // exp(-i pi / 4) = root (1 - i): the factor rides on the sums as fused multiply-adds.
    const Term<T> turn1 = s.plus(odd[1], odd[1].turned()), turn3 = s.minus(odd[3].turned(), odd[3]);
    const Term<T> turn2 = odd[2].turned();
    a[0] = s.plus(even[0], odd[0]);
    a[4] = s.minus(even[0], odd[0]);
    a[1] = s.plus_scaled(even[1], turn1, root);
    a[5] = s.plus_scaled(even[1], turn1, -root);
    a[2] = s.plus(even[2], turn2);
    a[6] = s.minus(even[2], turn2);
    a[3] = s.plus_scaled(even[3], turn3, root);
    a[7] = s.plus_scaled(even[3], turn3, -root);
  }
};

// a times c + i s, a root of unity between two steps of a butterfly.
template <class T>
DASH_INLINE Term<T> twiddled(Term<T> a, double c, double s) {
  return a.zero ? a : Term<T>::of(times(a.value(), static_cast<T>(c), static_cast<T>(s)));
}

template <class T>
struct Butterfly<T, 9> {
  template <class S>
  DASH_INLINE static void run(const S& s, Term<T>* a) {
    Term<T> column[3][3];
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j)
        column[i][j] = a[i + 3 * j];
      Butterfly<T, 3>::run(s, column[i]);
    }
    column[1][1] = twiddled(column[1][1], 0.76604444311897803520, -0.64278760968653932632);
    column[1][2] = twiddled(column[1][2], 0.17364817766693034885, -0.98480775301220805937);
    column[2][1] = twiddled(column[2][1], 0.17364817766693034885, -0.98480775301220805937);
    column[2][2] = twiddled(column[2][2], -0.93969262078590838405, -0.34202014332566873304);
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k) {
      Term<T> row[3] = {column[0][k], column[1][k], column[2][k]};
      Butterfly<T, 3>::run(s, row);
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j)
        a[k + 3 * j] = row[j];
    }
  }
};

template <class T>
struct Butterfly<T, 16> {
  template <class S>
  DASH_INLINE static void run(const S& s, Term<T>* a) {
    constexpr double c = 0.92387953251128675613, d = 0.38268343236508977173, root = 0.70710678118654752440;
    Term<T> column[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        column[i][j] = a[i + 4 * j];
      Butterfly<T, 4>::run(s, column[i]);
    }
    column[1][1] = twiddled(column[1][1], c, -d);
    column[1][2] = twiddled(column[1][2], root, -root);
    column[1][3] = twiddled(column[1][3], d, -c);
    column[2][1] = twiddled(column[2][1], root, -root);
    column[2][2] = column[2][2].turned();
    column[2][3] = twiddled(column[2][3], -root, -root);
    column[3][1] = twiddled(column[3][1], d, -c);
    column[3][2] = twiddled(column[3][2], -root, -root);
    column[3][3] = twiddled(column[3][3], -c, d);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      Term<T> row[4] = {column[0][k], column[1][k], column[2][k], column[3][k]};
      Butterfly<T, 4>::run(s, row);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        a[k + 4 * j] = row[j];
    }
  }
};

constexpr int inverse_modulo(int a, int n) {
  for (int x = 1; x < n; ++x)
    if (a * x % n == 1) return x;
  return 1;
}

// Coprime factors: inputs and outputs in Good and Thomas' orders need no twiddles in between.
template <class T, int kA, int kB>
struct CoprimeButterfly {
  template <class S>
  DASH_INLINE static void run(const S& s, Term<T>* a) {
    constexpr int n = kA * kB;
    constexpr int step_a = kB * inverse_modulo(kB % kA, kA), step_b = kA * inverse_modulo(kA % kB, kB);
    Term<T> row[kB][kA];
#pragma GCC unroll 8
    for (int i = 0; i < kB; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kA; ++j)
        row[i][j] = a[(kB * j + kA * i) % n];
      Butterfly<T, kA>::run(s, row[i]);
    }
#pragma GCC unroll 8
    for (int j = 0; j < kA; ++j) {
      Term<T> column[kB];
#pragma GCC unroll 8
      for (int i = 0; i < kB; ++i)
        column[i] = row[i][j];
      Butterfly<T, kB>::run(s, column);
#pragma GCC unroll 8
      for (int i = 0; i < kB; ++i)
        a[(step_a * j + step_b * i) % n] = column[i];
    }
  }
};
template <class T>
struct Butterfly<T, 6> : CoprimeButterfly<T, 2, 3> {};
template <class T>
struct Butterfly<T, 10> : CoprimeButterfly<T, 2, 5> {};
template <class T>
struct Butterfly<T, 12> : CoprimeButterfly<T, 4, 3> {};

}  // namespace DASH_ISA
}  // namespace dash
