// SPDX-License-Identifier: BSD-3-Clause
// The product over channels at one frequency: out[j] = sum_k P[k] * q[k, j], P and out vectors of kLanes planes, q
// scalars. Four real products per complex one, all fused multiply-adds.
#pragma once
#include "vec.h"

namespace dash {
namespace DASH_ISA {

// Accumulators of one block stay in registers: 2 * kBlock of them beside two operands and two broadcasts.
constexpr int kBlock = kVectorBytes == 64 ? 8 : 4;

// Where scalar (k, j) of q lies: at k_offset[k] + j_offset[j], its imaginary part kLanes further on.
template <class T, int kJ, bool kConjugate>
DASH_INLINE void contract_block(const Cx<T>* p, const int64_t* p_offset, const T* q, const int64_t* k_offset,
                                const int64_t* j_offset, int64_t depth, Cx<T>* out, int64_t out_stride) {
  Vec<T> re[kJ], im[kJ];
  const T* column[kJ];
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
    re[j] = im[j] = Vec<T>{};
    column[j] = q + j_offset[j];
  }
  for (int64_t k = 0; k < depth; ++k) {
    const Vec<T> a = p[p_offset[k]].re, b = p[p_offset[k]].im;
    const int64_t at = k_offset[k];
#pragma GCC unroll 8
    for (int j = 0; j < kJ; ++j) {
      const T c = column[j][at], d = column[j][at + kLanes<T>];
      re[j] += a * c;
      im[j] += b * c;
      if constexpr (kConjugate) {
        re[j] += b * d;
        im[j] -= a * d;
      } else {
        re[j] -= b * d;
        im[j] += a * d;
      }
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j)
    out[j * out_stride] = {re[j], im[j]};
}

// A whole column: frequencies y in [0, n). P repeats after p_period of them and q after q_period (a strided map's
// spectrum is periodic).
template <class T, int kJ, bool kConjugate>
void contract_column(const Cx<T>* p, int64_t p_period, const int64_t* p_offset, const T* q, int64_t q_period,
                     const int64_t* k_offset, const int64_t* j_offset, int64_t depth, int64_t n, Cx<T>* out,
                     int64_t out_stride) {
  for (int64_t y = 0, py = 0, qy = 0; y < n; ++y) {
    contract_block<T, kJ, kConjugate>(p + py, p_offset, q + qy * 2 * kLanes<T>, k_offset, j_offset, depth, out + y,
                                      out_stride);
    if (++py == p_period) py = 0;
    if (++qy == q_period) qy = 0;
  }
}

template <class T, bool kConjugate>
inline void contract(int64_t j_count, const Cx<T>* p, int64_t p_period, const int64_t* p_offset, const T* q,
                     int64_t q_period, const int64_t* k_offset, const int64_t* j_offset, int64_t depth, int64_t n,
                     Cx<T>* out, int64_t out_stride) {
#define DASH_CASE(kJ)                                                                                                \
  case kJ:                                                                                                           \
    return contract_column<T, kJ, kConjugate>(p, p_period, p_offset, q, q_period, k_offset, j_offset, depth, n, out, \
                                              out_stride);
  switch (j_count) {
    DASH_CASE(1)
    DASH_CASE(2)
    DASH_CASE(3)
    DASH_CASE(4)
    DASH_CASE(5)
    DASH_CASE(6)
    DASH_CASE(7)
    DASH_CASE(8)
    default:
      __builtin_unreachable();
  }
#undef DASH_CASE
}

}  // namespace DASH_ISA
}  // namespace dash
