// SPDX-License-Identifier: BSD-3-Clause
// The product over channels, one frequency after the other: out[j] = sum_k P[k] * q[k, j], P and out vectors of kLanes
// planes, q scalars. Three real products per complex one, all fused multiply-adds: with q = c + i d,
//   (a + i b)(c + i d) = [c (a + b) - b (c + d)] + i [c (a + b) + a (d - c)].
// With kConjugate, the conjugates of P are taken.
#pragma once
#include "fft.h"

namespace dash {
namespace DASH_ISA {

// Accumulators of one block stay in registers: 3 * kBlock of them beside three operands.
constexpr int kBlock = kVectorBytes == 64 ? 8 : 4;

// One product: what is multiplied, how long the sum is, and where results go.
template <class T>
struct Product {
  const Cx<T>* p;  // vector k of frequency y stands at y * p_row + k * p_member
  int64_t p_row, p_member;
  const Factor<T>* q;       // scalar (k, j) of frequency y stands at element q_offset[k] + (offset of j) of factor
  int64_t q_row;            // y * q_row, read as an array of T
  const int64_t* q_offset;  // [depth]
  int64_t depth;
  int64_t n, p_period, q_period;  // frequencies, and after how many each side repeats: a strided map's are fewer
  Cx<T>* out;                     // result (j, y) at j * out_stride + (n - y) modulo n: an inverse transform comes next
  int64_t out_stride;
  bool reversed;    // false: result (j, y) at j * out_stride + y
  bool accumulate;  // adds to what is there
};

template <class T, int kJ, bool kConjugate>
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
    const Vec<T> a = p->re, b = p->im, both = kConjugate ? a - b : a + b;
    p += product.p_member;
    const int64_t scalar = product.q_offset[k];
#pragma GCC unroll 8
    for (int j = 0; j < kJ; ++j) {
      first[j] += both * column[j][scalar];
      im[j] += a * column[j][scalar + kLanes<T>];
      if constexpr (kConjugate)
        re[j] += b * column[j][scalar + 2 * kLanes<T>];
      else
        re[j] -= b * column[j][scalar + 2 * kLanes<T>];
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
    Cx<T>* const to = out + j * product.out_stride;
    const Cx<T> sum = {first[j] + re[j], first[j] + im[j]};
    *to = product.accumulate ? *to + sum : sum;
  }
}

template <class T, int kJ, bool kConjugate>
void contract_column(const Product<T>& product, const int64_t* j_offset) {
  for (int64_t y = 0, py = 0, qy = 0; y < product.n; ++y) {
    contract_frequency<T, kJ, kConjugate>(product, product.p + py * product.p_row,
                                          reinterpret_cast<const T*>(product.q + qy * product.q_row), j_offset,
                                          product.out + (product.reversed && y > 0 ? product.n - y : y));
    if (++py == product.p_period) py = 0;
    if (++qy == product.q_period) qy = 0;
  }
}

// A whole column of frequencies, for count <= kBlock results at a time.
template <bool kConjugate = false, class T>
inline void contract(const Product<T>& product, int64_t count, const int64_t* j_offset) {
  switch (count) {
    case 1:
      return contract_column<T, 1, kConjugate>(product, j_offset);
    case 2:
      return contract_column<T, 2, kConjugate>(product, j_offset);
    case 3:
      return contract_column<T, 3, kConjugate>(product, j_offset);
    case 4:
      return contract_column<T, 4, kConjugate>(product, j_offset);
    case 5:
      return contract_column<T, 5, kConjugate>(product, j_offset);
    case 6:
      return contract_column<T, 6, kConjugate>(product, j_offset);
    case 7:
      return contract_column<T, 7, kConjugate>(product, j_offset);
    default:
      return contract_column<T, 8, kConjugate>(product, j_offset);
  }
}

}  // namespace DASH_ISA
}  // namespace dash
