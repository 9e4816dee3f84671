// SPDX-License-Identifier: BSD-3-Clause
// Mixed-radix complex transforms, kLanes of them at once, as Stockham passes: no bit reversal, natural order in and
// out. The first pass leaves out inputs that are zero, the last outputs that nobody reads, and writes them as the next
// step wants them, so that padding, cropping and re-layout cost no pass of their own. Source of the maths: Van Loan,
// Computational Frameworks for the FFT, section 1.7.
#pragma once
#include <algorithm>

#include "fft_io.h"

namespace dash {
namespace DASH_ISA {

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

// How a pass with twiddles adds: those of small butterflies keep the multipliers busy, beside the sums of radices 12
// and 16 they leave them free for some.
constexpr Balance balance_of(int radix) {
  return radix < 12 ? Balance::none : Balance::differences;
}

// store(k, result k of one butterfly, times its twiddle).
template <class T, int kRadix, int kIn, bool kTwiddled, Balance kBalance, class Load, class Store>
DASH_INLINE void butterfly(const T* twiddle, const Sums<T, kBalance>& sums, const Load& load, const Store& store) {
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

template <class T, int kRadix, int kLevel, int kForm>
void first_pass(const FftPass<T>& pass, const Input<T>& from, Cx<T>* to) {
  constexpr int kIn = part(kRadix, kLevel);
  const Input<T> in = from;
  const int64_t m = pass.m, apart = m * in.stride;
  const auto load = [=](int64_t p) {
    const int64_t at = p * in.stride;
    return [=](int j) { return get<T, kForm>(in, p + j * m, at + j * apart); };
  };
  const auto store = [=](int64_t p) { return [=](int k, Cx<T> v) { to[kRadix * p + k] = v; }; };
  butterfly<T, kRadix, kIn, false>(pass.twiddle, Sums<T, Balance::all>(), load(0), store(0));
  const Sums<T, balance_of(kRadix)> sums;
  for (int64_t p = 1; p < m; ++p)
    butterfly<T, kRadix, kIn, true>(pass.twiddle + 2 * (kRadix - 1) * p, sums, load(p), store(p));
}

// A butterfly of the first pass of which kCount inputs are not zero: each result is their sum, turned.
template <class T, int kRadix, int kCount>
DASH_INLINE void sum_sparse(const Sparse<T>& sparse, const Cx<T>* from, int64_t n, const int64_t* input, Cx<T>* to) {
  Cx<T> value[kCount];
  int64_t at[kCount] = {};
  for (int i = 0; i < kCount; ++i)
    value[i] = from[sparse.place[input[i]]];
  for (int k = 0; k < kRadix; ++k) {
    Cx<T> sum{Vec<T>{}, Vec<T>{}};
    for (int i = 0; i < kCount; ++i) {
      sum = sum + times_conjugate(value[i], sparse.root[2 * at[i]], sparse.root[2 * at[i] + 1]);
      at[i] += input[i];
      if (at[i] >= n) at[i] -= n;
    }
    to[k] = sum;
  }
}

template <class T, int kRadix>
void sparse_first_pass(const FftPass<T>& pass, const Input<T>& in, Cx<T>* to) {
  const int64_t m = pass.m, n = kRadix * m;
  const Sparse<T> sparse = *in.sparse_at;
  const Cx<T>* const from = in.value;
  const Sums<T, balance_of(kRadix)> sums;
  for (int64_t p = 0; p < m; ++p, to += kRadix) {
    const int64_t* const input = sparse.input + sparse.first[p];
    switch (sparse.first[p + 1] - sparse.first[p]) {
      case 0:
        std::fill_n(to, kRadix, Cx<T>{Vec<T>{}, Vec<T>{}});
        break;
      case 1:
        sum_sparse<T, kRadix, 1>(sparse, from, n, input, to);
        break;
      case 2:
        sum_sparse<T, kRadix, 2>(sparse, from, n, input, to);
        break;
      default:  // the sums of three take as many multiply-adds as a butterfly takes sums
        butterfly<T, kRadix, kRadix, true>(
            pass.twiddle + 2 * (kRadix - 1) * p, sums, [&](int j) { return from[sparse.place[p + j * m]]; },
            [&](int k, Cx<T> v) { to[k] = v; });
    }
  }
}

template <class T, int kRadix>
void inner_pass(const FftPass<T>& pass, const Cx<T>* from, Cx<T>* to) {
  const int64_t m = pass.m, s = pass.s;
  const auto load = [=](int64_t p, int64_t q) { return [=](int j) { return from[q + s * (p + j * m)]; }; };
  const auto store = [=](int64_t p, int64_t q) { return [=](int k, Cx<T> v) { to[q + s * (kRadix * p + k)] = v; }; };
  const Sums<T, Balance::all> balanced;
  for (int64_t q = 0; q < s; ++q)
    butterfly<T, kRadix, kRadix, false>(pass.twiddle, balanced, load(0, q), store(0, q));
  const Sums<T, balance_of(kRadix)> sums;
  for (int64_t p = 1; p < m; ++p)
    for (int64_t q = 0; q < s; ++q)
      butterfly<T, kRadix, kRadix, true>(pass.twiddle + 2 * (kRadix - 1) * p, sums, load(p, q), store(p, q));
}

template <class T, int kRadix, int kLevel, int kForm>
void last_pass(const FftPass<T>& pass, const Cx<T>* from, const Output<T>& to) {
  constexpr int kOut = part(kRadix, kLevel);
  const Output<T> out = to;
  const int64_t s = pass.s, n = s * kRadix;
  const Sums<T, Balance::all> sums;
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
    if (in.form == Input<T>::places)
      first_pass<T, radix(), kAll, Input<T>::places>(pass, in, to);
    else if (in.form == Input<T>::sparse)
      sparse_first_pass<T, radix()>(pass, in, to);
    else if (level == 0)
      first_pass<T, radix(), 0, Input<T>::values>(pass, in, to);
    else if (level == 1)
      first_pass<T, radix(), 1, Input<T>::values>(pass, in, to);
    else
      first_pass<T, radix(), kAll, Input<T>::values>(pass, in, to);
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

// out(k) = sum_j in(j) exp(-2 pi i j k / n); `buffer` holds 2 n complex vectors. An inverse transform is the same with
// in(j) at (n - j) modulo n, unscaled.
template <class T>
void fft(const FftPlan<T>& plan, const Input<T>& in, const Output<T>& out, Cx<T>* buffer) {
  if (plan.passes == 0) return put_in_form<T>(out, 1, 0, get_in_form(in, 0));
  const FftPass<T>&first = plan.pass[0], &last = plan.pass[plan.passes - 1];
  Cx<T>*from = buffer, *to = buffer + plan.n;
  if (plan.passes == 1) {
    for (int64_t j = 0; j < plan.n; ++j)
      from[j] = get_in_form(in, j);
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
