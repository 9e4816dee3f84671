// SPDX-License-Identifier: BSD-3-Clause
// The product over samples where lanes are samples on both sides: the sum over all samples of conj(P[i]) Q[j], for
// channels i of one side and j of the other. Lanes are summed at the end, so few channels waste none.
#pragma once
#include "butterfly.h"

namespace dash {
namespace DASH_ISA {

// Lane i of rows[0] becomes the sum of the lanes of rows[i]; the other rows are scratch then.
template <class T, int kHalf = kLanes<T> / 2>
DASH_INLINE void sum_lanes(Vec<T>* rows) {
  constexpr auto lanes = std::make_integer_sequence<int, kLanes<T>>();
#pragma GCC unroll 8
  for (int i = 0; i < kHalf; ++i) {
    const Vec<T> a = rows[i], b = rows[i + kHalf];
    rows[i] = merge_halves<T, kHalf, false>(a, b, lanes) + merge_halves<T, kHalf, true>(a, b, lanes);
  }
  if constexpr (kHalf > 1) sum_lanes<T, kHalf / 2>(rows);
}

// One side at one frequency: the vector of channel c and group of samples s stands at first[s * group + c * channel].
template <class T>
struct SampleVectors {
  const Cx<T>* first;
  int64_t group, channel;

  SampleVectors from(int64_t c) const { return {first + c * channel, group, channel}; }
};

// Channels whose sums stay in registers: kP of one side times kQ of the other.
constexpr int kCorrelatedP = kVectorBytes == 64 ? 4 : 2, kCorrelatedQ = 2;

// Sums of channels i < kP and j < kQ over `groups` of samples, to re and im at [j * kLanes + i].
template <int kP, int kQ, class T>
DASH_INLINE void correlate_block(const SampleVectors<T>& p, const SampleVectors<T>& q, int64_t groups, Vec<T>* re,
                                 Vec<T>* im) {
  Cx<T> sum[kP][kQ] = {};
  for (int64_t s = 0; s < groups; ++s) {
    Cx<T> other[kQ];
#pragma GCC unroll 2
    for (int j = 0; j < kQ; ++j)
      other[j] = q.first[s * q.group + j * q.channel];
#pragma GCC unroll 4
    for (int i = 0; i < kP; ++i) {
      const Cx<T> own = p.first[s * p.group + i * p.channel];
#pragma GCC unroll 2
      for (int j = 0; j < kQ; ++j) {
        sum[i][j].re = sum[i][j].re + own.re * other[j].re + own.im * other[j].im;
        sum[i][j].im = sum[i][j].im + own.re * other[j].im - own.im * other[j].re;
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kP; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kQ; ++j) {
      re[j * kLanes<T> + i] = sum[i][j].re;
      im[j * kLanes<T> + i] = sum[i][j].im;
    }
  }
}

// The same for kQ channels of q and p_count <= kLanes of p, those in lanes: out[j * out_stride] is that of channel j.
template <int kQ, class T>
void correlate_channels(const SampleVectors<T>& p, int64_t p_count, const SampleVectors<T>& q, int64_t groups,
                        Cx<T>* out, int64_t out_stride) {
  constexpr int kP = kCorrelatedP;
  Vec<T> re[kQ * kLanes<T>] = {}, im[kQ * kLanes<T>] = {};
  if (p_count < kP) {
    for (int64_t i = 0; i < p_count; ++i)
      correlate_block<1, kQ>(p.from(i), q, groups, re + i, im + i);
  } else {
    for (int64_t i = 0; i < p_count; i += kP) {
      const int64_t at = smaller(i, p_count - kP);  // the last block overlaps the one before
      correlate_block<kP, kQ>(p.from(at), q, groups, re + at, im + at);
    }
  }
  for (int64_t j = 0; j < kQ; ++j) {
    sum_lanes<T>(re + j * kLanes<T>);
    sum_lanes<T>(im + j * kLanes<T>);
    out[j * out_stride] = {re[j * kLanes<T>], im[j * kLanes<T>]};
  }
}

// And for q_count channels of q.
template <class T>
void correlate(const SampleVectors<T>& p, int64_t p_count, const SampleVectors<T>& q, int64_t q_count, int64_t groups,
               Cx<T>* out, int64_t out_stride) {
  int64_t j = 0;
  for (; j + kCorrelatedQ <= q_count; j += kCorrelatedQ)
    correlate_channels<kCorrelatedQ>(p, p_count, q.from(j), groups, out + j * out_stride, out_stride);
  if (j < q_count) correlate_channels<1>(p, p_count, q.from(j), groups, out + j * out_stride, out_stride);
}

}  // namespace DASH_ISA
}  // namespace dash
