// SPDX-License-Identifier: BSD-3-Clause
// The product over channels at one frequency: out[j] = sum_k P[k] * q[k, j], P and out vectors of kLanes planes, q
// scalars. Three real products per complex one, all fused multiply-adds: with q = c + i d,
//   (a + i b)(c + i d) = [c (a + b) - b (c + d)] + i [c (a + b) + a (d - c)].
#pragma once
#include "fft.h"

namespace dash {
namespace DASH_ISA {

// Accumulators of one block stay in registers: 3 * kBlock of them beside three operands.
constexpr int kBlock = kVectorBytes == 64 ? 8 : 4;

// kLanes complex scalars of q in the form the product takes them.
template <class T>
struct Factor {
  Vec<T> c, difference, sum;  // c, d - c, c + d
};
template <class T>
DASH_INLINE Factor<T> factor(Cx<T> q) {
  return {q.re, q.im - q.re, q.re + q.im};
}
template <class T>
constexpr int64_t kFactorScalars = 3 * kLanes<T>;

// One product: what is multiplied, how long the sum is, and where results go.
template <class T>
struct Product {
  const Cx<T>* p;           // vector k stands at p_offset[k]
  const int64_t* p_offset;  // [depth]
  const Factor<T>* q;       // scalar (k, j) stands at element q_offset[k] + (offset of j) of the array as T
  const int64_t* q_offset;  // [depth]
  int64_t depth;
  int64_t p_period, q_period;  // frequencies after which each side repeats: a strided map's spectrum is periodic
  int64_t n;                   // frequencies in a column
  Cx<T>* out;                  // result j at out + j * out_stride
  int64_t out_stride;
};

template <class T, int kJ>
DASH_INLINE void contract_frequency(const Product<T>& product, const Cx<T>* p, const T* q, const int64_t* j_offset,
                                    Cx<T>* out) {
  Vec<T> first[kJ], re[kJ], im[kJ];
  const T* column[kJ];
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
    first[j] = re[j] = im[j] = Vec<T>{};
    column[j] = q + j_offset[j];
  }
  for (int64_t k = 0; k < product.depth; ++k) {
    const Cx<T>* const at = p + product.p_offset[k];
    const Vec<T> a = at->re, b = at->im, both = a + b;
    const int64_t scalar = product.q_offset[k];
#pragma GCC unroll 8
    for (int j = 0; j < kJ; ++j) {
      first[j] += both * column[j][scalar];
      im[j] += a * column[j][scalar + kLanes<T>];
      re[j] -= b * column[j][scalar + 2 * kLanes<T>];
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j)
    out[j * product.out_stride] = {first[j] + re[j], first[j] + im[j]};
}

template <class T, int kJ>
void contract_column(const Product<T>& product, const int64_t* j_offset) {
  const T* const q = reinterpret_cast<const T*>(product.q);
  for (int64_t y = 0, py = 0, qy = 0; y < product.n; ++y) {
    contract_frequency<T, kJ>(product, product.p + py, q + qy * kFactorScalars<T>, j_offset, product.out + y);
    if (++py == product.p_period) py = 0;
    if (++qy == product.q_period) qy = 0;
  }
}

// A whole column of frequencies, for count <= kBlock results at a time.
template <class T>
inline void contract(const Product<T>& product, int64_t count, const int64_t* j_offset) {
  switch (count) {
    case 1:
      return contract_column<T, 1>(product, j_offset);
    case 2:
      return contract_column<T, 2>(product, j_offset);
    case 3:
      return contract_column<T, 3>(product, j_offset);
    case 4:
      return contract_column<T, 4>(product, j_offset);
    case 5:
      return contract_column<T, 5>(product, j_offset);
    case 6:
      return contract_column<T, 6>(product, j_offset);
    case 7:
      return contract_column<T, 7>(product, j_offset);
    default:
      return contract_column<T, 8>(product, j_offset);
  }
}

// Where the scalar of (lane, member) stands in columns of factors `column` apart, lanes of one vector adjacent.
template <class T>
int64_t factor_offset(int64_t lane, int64_t member, int64_t members, int64_t column) {
  return ((lane / kLanes<T> * members + member) * column) * kFactorScalars<T> + lane % kLanes<T>;
}

}  // namespace DASH_ISA
}  // namespace dash
