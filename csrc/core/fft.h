// SPDX-License-Identifier: BSD-3-Clause
// Mixed-radix complex transforms, kLanes of them at once, as Stockham passes: no bit reversal, natural order in and
// out. The first pass leaves out inputs that are zero, the last outputs that nobody reads, and writes them as the next
// step wants them, so that padding, cropping and re-layout cost no pass of their own. Source of the maths: Van Loan,
// Computational Frameworks for the FFT, section 1.7.
#pragma once
#include "butterfly.h"
#include "factor.h"

namespace dash {
namespace DASH_ISA {

// Where the entries of one transformed row are; see rows.h.
template <class T>
struct RowPlaces;

// Where inputs come from: input j is value[j * stride], or zero from `count` on; or all of them are scattered over
// `places`.
template <class T>
struct Input {
  const Cx<T>* value;
  int64_t count, stride;
  const int64_t* place;
  const T* sign;  // of the imaginary part

  static Input of(const Cx<T>* from, int64_t count, int64_t stride = 1) {
    return {from, count, stride, nullptr, nullptr};
  }
  static Input from_places(const Cx<T>* from, int64_t n, const RowPlaces<T>& places) {
    return {from, n, 1, places.place, places.sign};
  }
};

// Where results go. Result k stands at k * stride of one of the arrays.
template <class T>
struct Output {
  enum Form { values, factors, product, places } form;
  int64_t count;  // results from here on may be left out; all n are written unless the form is `values`
  int64_t stride;
  Cx<T>* value;          // values, product, places
  Factor<T>* factor;     // factors
  const Cx<T>* operand;  // product: result k times operand[k], at (n - k) modulo n, where an inverse transform takes it
  const int64_t* place;  // places: where result k stands
  const T* sign;         // places: of its imaginary part there

  Output shifted(int64_t by) const {
    Output to = *this;
    to.value += value ? by : 0;
    to.factor += factor ? by : 0;
    return to;
  }
  static Output to_values(Cx<T>* to, int64_t count, int64_t stride = 1) {
    return {values, count, stride, to, nullptr, nullptr, nullptr, nullptr};
  }
  static Output to_factors(Factor<T>* to, int64_t n, int64_t stride) {
    return {factors, n, stride, nullptr, to, nullptr, nullptr, nullptr};
  }
  static Output to_product(Cx<T>* to, const Cx<T>* operand, int64_t n) {
    return {product, n, 1, to, nullptr, operand, nullptr, nullptr};
  }
  static Output to_places(Cx<T>* to, int64_t n, const RowPlaces<T>& where) {
    return {places, n, 1, to, nullptr, nullptr, where.place, where.sign};
  }
};

template <class T, int kForm>
DASH_INLINE void put(const Output<T>& out, int64_t n, int64_t k, Cx<T> v) {
  if constexpr (kForm == Output<T>::values) {
    if (k < out.count) out.value[k * out.stride] = v;
  } else if constexpr (kForm == Output<T>::product) {
    out.value[k == 0 ? 0 : n - k] = times(v, out.operand[k]);
  } else if constexpr (kForm == Output<T>::places) {
    Cx<T>* const to = out.value + out.place[k];
    prefetch<true>(to + 1, 1);
    *to = {v.re, v.im * out.sign[k]};
  } else {
    out.factor[k * out.stride] = factor(v);
  }
}

// How many inputs or outputs of a butterfly there are to treat: about half, about two thirds, or all.
constexpr int kAll = 2;
constexpr int part(int radix, int level) {
  return level == 0 ? (radix + 1) / 2 : level == 1 ? (2 * radix + 2) / 3 : radix;
}
inline int level_of(int64_t radix, int64_t distance, int64_t count) {
  for (int level = 0; level < kAll; ++level)
    if (count <= part(static_cast<int>(radix), level) * distance) return level;
  return kAll;
}

// store(k, result k of one butterfly, times its twiddle).
template <class T, int kRadix, int kIn, bool kTwiddled, class Load, class Store>
DASH_INLINE void butterfly(const T* twiddle, const Sums<T, !kTwiddled>& sums, const Load& load, const Store& store) {
  Term<T> a[kRadix];
#pragma GCC unroll 16
  for (int j = 0; j < kRadix; ++j)
    a[j] = j < kIn ? Term<T>::of(load(j)) : Term<T>::nothing();
  Butterfly<T, kRadix>::run(sums, a);
  store(0, a[0].value());
#pragma GCC unroll 16
  for (int k = 1; k < kRadix; ++k)
    store(k, kTwiddled ? times(a[k].value(), twiddle[2 * k - 2], twiddle[2 * k - 1]) : a[k].value());
}

// Input j, which stands `at` of in.value unless inputs are scattered.
template <class T, bool kPlaced>
DASH_INLINE Cx<T> get(const Input<T>& in, int64_t j, int64_t at) {
  if constexpr (kPlaced) {
    const Cx<T>* const from = in.value + in.place[j];
    prefetch<false>(from + 1, 1);
    return {from->re, from->im * in.sign[j]};
  } else {
    return j < in.count ? in.value[at] : Cx<T>{Vec<T>{}, Vec<T>{}};
  }
}

template <class T, int kRadix, int kLevel, bool kPlaced>
void first_pass(const FftPass<T>& pass, const Input<T>& from, Cx<T>* to) {
  constexpr int kIn = part(kRadix, kLevel);
  const Input<T> in = from;
  const int64_t m = pass.m, apart = m * in.stride;
  const auto load = [=](int64_t p) {
    const int64_t at = p * in.stride;
    return [=](int j) { return get<T, kPlaced>(in, p + j * m, at + j * apart); };
  };
  const auto store = [=](int64_t p) { return [=](int k, Cx<T> v) { to[kRadix * p + k] = v; }; };
  butterfly<T, kRadix, kIn, false>(pass.twiddle, Sums<T, true>(), load(0), store(0));
  const Sums<T, false> sums;
  for (int64_t p = 1; p < m; ++p)
    butterfly<T, kRadix, kIn, true>(pass.twiddle + 2 * (kRadix - 1) * p, sums, load(p), store(p));
}

template <class T, int kRadix>
void inner_pass(const FftPass<T>& pass, const Cx<T>* from, Cx<T>* to) {
  const int64_t m = pass.m, s = pass.s;
  const auto load = [=](int64_t p, int64_t q) { return [=](int j) { return from[q + s * (p + j * m)]; }; };
  const auto store = [=](int64_t p, int64_t q) { return [=](int k, Cx<T> v) { to[q + s * (kRadix * p + k)] = v; }; };
  const Sums<T, true> balanced;
  for (int64_t q = 0; q < s; ++q)
    butterfly<T, kRadix, kRadix, false>(pass.twiddle, balanced, load(0, q), store(0, q));
  const Sums<T, false> sums;
  for (int64_t p = 1; p < m; ++p)
    for (int64_t q = 0; q < s; ++q)
      butterfly<T, kRadix, kRadix, true>(pass.twiddle + 2 * (kRadix - 1) * p, sums, load(p, q), store(p, q));
}

template <class T, int kRadix, int kLevel, int kForm>
void last_pass(const FftPass<T>& pass, const Cx<T>* from, const Output<T>& to) {
  constexpr int kOut = part(kRadix, kLevel);
  const Output<T> out = to;
  const int64_t s = pass.s, n = s * kRadix;
  const Sums<T, true> sums;
  for (int64_t q = 0; q < s; ++q) {
    const auto store = [=](int k, Cx<T> v) {
      if (k < kOut) put<T, kForm>(out, n, q + s * k, v);
    };
    butterfly<T, kRadix, kRadix, false>(pass.twiddle, sums, [=](int j) { return from[q + s * j]; }, store);
  }
}

// visit(integral_constant<int, radix>)
template <class Visit>
DASH_INLINE void with_radix(int64_t radix, const Visit& visit) {
  switch (radix) {
    case 2:
      return visit(std::integral_constant<int, 2>());
    case 3:
      return visit(std::integral_constant<int, 3>());
    case 4:
      return visit(std::integral_constant<int, 4>());
    case 5:
      return visit(std::integral_constant<int, 5>());
    case 6:
      return visit(std::integral_constant<int, 6>());
    case 8:
      return visit(std::integral_constant<int, 8>());
    case 9:
      return visit(std::integral_constant<int, 9>());
    case 10:
      return visit(std::integral_constant<int, 10>());
    case 12:
      return visit(std::integral_constant<int, 12>());
    default:
      return visit(std::integral_constant<int, 16>());
  }
}

template <class T>
void run_first_pass(const FftPass<T>& pass, const Input<T>& in, Cx<T>* to) {
  const int level = level_of(pass.radix, pass.m, in.count);
  with_radix(pass.radix, [&](auto radix) {
    if (in.place)
      first_pass<T, radix(), kAll, true>(pass, in, to);
    else if (level == 0)
      first_pass<T, radix(), 0, false>(pass, in, to);
    else if (level == 1)
      first_pass<T, radix(), 1, false>(pass, in, to);
    else
      first_pass<T, radix(), kAll, false>(pass, in, to);
  });
}

template <class T>
void run_last_pass(const FftPass<T>& pass, const Cx<T>* from, const Output<T>& out) {
  const int level = out.form == Output<T>::values ? level_of(pass.radix, pass.s, out.count) : kAll;
  with_radix(pass.radix, [&](auto radix) {
    if (out.form == Output<T>::factors)
      last_pass<T, radix(), kAll, Output<T>::factors>(pass, from, out);
    else if (out.form == Output<T>::product)
      last_pass<T, radix(), kAll, Output<T>::product>(pass, from, out);
    else if (out.form == Output<T>::places)
      last_pass<T, radix(), kAll, Output<T>::places>(pass, from, out);
    else if (level == 0)
      last_pass<T, radix(), 0, Output<T>::values>(pass, from, out);
    else if (level == 1)
      last_pass<T, radix(), 1, Output<T>::values>(pass, from, out);
    else
      last_pass<T, radix(), kAll, Output<T>::values>(pass, from, out);
  });
}

template <class T>
void put_in_form(const Output<T>& out, int64_t n, int64_t k, Cx<T> v) {
  if (out.form == Output<T>::values)
    put<T, Output<T>::values>(out, n, k, v);
  else if (out.form == Output<T>::factors)
    put<T, Output<T>::factors>(out, n, k, v);
  else if (out.form == Output<T>::product)
    put<T, Output<T>::product>(out, n, k, v);
  else
    put<T, Output<T>::places>(out, n, k, v);
}

// out(k) = sum_j in(j) exp(-2 pi i j k / n); `buffer` holds 2 n complex vectors. An inverse transform is the same with
// in(j) at (n - j) modulo n, unscaled.
template <class T>
void fft(const FftPlan<T>& plan, const Input<T>& in, const Output<T>& out, Cx<T>* buffer) {
  const auto input = [&](int64_t j) { return in.place ? get<T, true>(in, j, 0) : get<T, false>(in, j, j * in.stride); };
  if (plan.passes == 0) return put_in_form<T>(out, 1, 0, input(0));
  const FftPass<T>&first = plan.pass[0], &last = plan.pass[plan.passes - 1];
  Cx<T>*from = buffer, *to = buffer + plan.n;
  if (plan.passes == 1) {
    for (int64_t j = 0; j < plan.n; ++j)
      from[j] = input(j);
    return run_last_pass(last, from, out);
  }
  run_first_pass(first, in, from);
  for (int64_t i = 1; i + 1 < plan.passes; ++i) {
    with_radix(plan.pass[i].radix, [&](auto radix) { inner_pass<T, radix()>(plan.pass[i], from, to); });
    std::swap(from, to);
  }
  run_last_pass(last, from, out);
}

}  // namespace DASH_ISA
}  // namespace dash
