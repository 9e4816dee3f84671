// SPDX-License-Identifier: BSD-3-Clause
// Where transforms take their inputs from and leave their results: side by side, scattered, or few of them, and in the
// form that the next step wants.
#pragma once
#include "butterfly.h"
#include "factor.h"

namespace dash {
namespace DASH_ISA {

// Where the entries of one transformed row are; see rows.h.
template <class T>
struct RowPlaces;

// The few inputs of a transform of n points that are not zero. They stand side by side with a zero behind them, so that
// all stay in the first-level cache.
template <class T>
struct Sparse {
  int64_t* place;  // [n]: where input j stands: the zero, if it is none of them
  int64_t* first;  // [n + 1]: where the inputs of each butterfly of the first pass begin in `input`
  int64_t* input;  // [count]: which these are, butterfly by butterfly
  const T* root;   // exp(2 pi i j / n) for j in [0, n)

  static Sparse make(const LengthPlan<T>& length, int64_t count, Arena& arena) {
    return {arena.take<int64_t>(length.n), arena.take<int64_t>(length.n + 1), arena.take<int64_t>(count), length.root};
  }
  // inputs[i] stands at i.
  void fill(const FftPlan<T>& plan, int64_t count, const int64_t* inputs) const {
    for (int64_t j = 0; j < plan.n; ++j)
      place[j] = count;
    for (int64_t i = 0; i < count; ++i)
      place[inputs[i]] = i;
    const int64_t butterflies = plan.passes ? plan.pass[0].m : 1;
    int64_t found = 0;
    for (int64_t p = 0; p < butterflies; ++p) {
      first[p] = found;
      for (int64_t j = p; j < plan.n; j += butterflies)
        if (place[j] < count) input[found++] = j;
    }
    first[butterflies] = found;
  }
};

// Where inputs come from: input j is value[j * stride], or zero from `count` on; or it stands where `place` or
// `sparse_at` tells.
template <class T>
struct Input {
  enum Form { values, places, sparse } form;
  const Cx<T>* value;
  int64_t count, stride;
  const int64_t* place;
  const T* sign;               // places: of the imaginary part
  const Sparse<T>* sparse_at;  // sparse

  static Input of(const Cx<T>* from, int64_t count, int64_t stride = 1) {
    return {values, from, count, stride, nullptr, nullptr, nullptr};
  }
  static Input from_places(const Cx<T>* from, int64_t n, const RowPlaces<T>& where) {
    return {places, from, n, 1, where.place, where.sign, nullptr};
  }
  static Input of_sparse(const Cx<T>* from, int64_t n, const Sparse<T>& inputs) {
    return {sparse, from, n, 1, nullptr, nullptr, &inputs};
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

// Input j, which stands `at` of in.value if the form is `values`.
template <class T, int kForm>
DASH_INLINE Cx<T> get(const Input<T>& in, int64_t j, int64_t at) {
  if constexpr (kForm == Input<T>::places) {
    const Cx<T>* const from = in.value + in.place[j];
    prefetch<false>(from + 1, 1);
    return {from->re, from->im * in.sign[j]};
  } else if constexpr (kForm == Input<T>::sparse) {
    return in.value[in.sparse_at->place[j]];
  } else {
    return j < in.count ? in.value[at] : Cx<T>{Vec<T>{}, Vec<T>{}};
  }
}
template <class T>
Cx<T> get_in_form(const Input<T>& in, int64_t j) {
  if (in.form == Input<T>::places) return get<T, Input<T>::places>(in, j, 0);
  if (in.form == Input<T>::sparse) return get<T, Input<T>::sparse>(in, j, 0);
  return get<T, Input<T>::values>(in, j, j * in.stride);
}

}  // namespace DASH_ISA
}  // namespace dash
