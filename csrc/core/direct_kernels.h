// SPDX-License-Identifier: BSD-3-Clause
// The inner loops of direct sums. Weights and pixels are vectors or scalars that go to every lane; at least one of them
// is a vector. Sums stay in registers for at most kRun terms, then are added to a total: rounding grows with the root
// of a run, not with that of the whole sum.
#pragma once
#include "direct_plan.h"
#include "vec.h"

namespace dash {
namespace DASH_ISA {

constexpr int64_t kRun = 96;

// What a block of registers holds beside operands: kJ (1 or 2) results of so many pixels, or so many taps.
template <int kJ>
constexpr int kPixels = kVectorBytes == 64 ? 8 : 8 / kJ;
constexpr int kTaps = kVectorBytes == 64 ? 8 : 4;

// total[j][i] += sum over channels c < depth and entries e of w[c][e.tap][j] * x[c][e.at + i].
template <class T, int kJ, class W, class X>
DASH_INLINE void add_run(const TapEntry* begin, const TapEntry* end, int64_t depth, const X* x, int64_t x_channel,
                         const W* w, int64_t w_channel, Vec<T> (*total)[kPixels<kJ>]) {
  Vec<T> sum[kJ][kPixels<kJ>];
#pragma GCC unroll 2
  for (int j = 0; j < kJ; ++j)
#pragma GCC unroll 8
    for (int i = 0; i < kPixels<kJ>; ++i)
      sum[j][i] = Vec<T>{};
  for (int64_t c = 0; c < depth; ++c, x += x_channel, w += w_channel) {
    for (const TapEntry* e = begin; e != end; ++e) {
      const X* const pixel = x + e->at;
      const W* const weight = w + static_cast<int64_t>(e->tap) * kJ;
#pragma GCC unroll 8
      for (int i = 0; i < kPixels<kJ>; ++i)
#pragma GCC unroll 2
        for (int j = 0; j < kJ; ++j)
          sum[j][i] += weight[j] * pixel[i];
    }
  }
#pragma GCC unroll 2
  for (int j = 0; j < kJ; ++j)
#pragma GCC unroll 8
    for (int i = 0; i < kPixels<kJ>; ++i)
      total[j][i] += sum[j][i];
}

// The same over all channels, run by run.
template <class T, int kJ, class W, class X>
inline void add_products(const TapEntry* begin, const TapEntry* end, int64_t depth, const X* x, int64_t x_channel,
                         const W* w, int64_t w_channel, Vec<T> (*total)[kPixels<kJ>]) {
  const int64_t channels = larger(1, kRun / larger(1, end - begin));
  for (int64_t c = 0; c < depth; c += channels)
    for (const TapEntry* e = begin; e < end; e += kRun)
      add_run<T, kJ>(e, e + smaller(kRun, end - e), smaller(channels, depth - c), x + c * x_channel, x_channel,
                     w + c * w_channel, w_channel, total);
}

// sum[tap of e][j] += sum over pixels k in [from, to) of g[j][k] * x[e.at + k], for kT entries e.
template <class T, int kJ, int kT, class X>
void correlate(const TapEntry* entries, const X* x, const Vec<T>* g, int64_t g_result, int64_t from, int64_t to,
               Vec<T>* sums) {
  Vec<T> sum[kJ][kT];
  const X* pixel[kT];
#pragma GCC unroll 8
  for (int t = 0; t < kT; ++t) {
    pixel[t] = x + entries[t].at;
    for (int j = 0; j < kJ; ++j)
      sum[j][t] = Vec<T>{};
  }
  for (int64_t k = from; k < to; ++k) {
#pragma GCC unroll 8
    for (int t = 0; t < kT; ++t)
#pragma GCC unroll 2
      for (int j = 0; j < kJ; ++j)
        sum[j][t] += g[j * g_result + k] * pixel[t][k];
  }
#pragma GCC unroll 8
  for (int t = 0; t < kT; ++t)
#pragma GCC unroll 2
    for (int j = 0; j < kJ; ++j)
      sums[static_cast<int64_t>(entries[t].tap) * kJ + j] += sum[j][t];
}

template <class T, int kJ, class X>
inline void correlate(int64_t count, const TapEntry* entries, const X* x, const Vec<T>* g, int64_t g_result,
                      int64_t from, int64_t to, Vec<T>* sums) {
  switch (count) {
    case 1:
      return correlate<T, kJ, 1>(entries, x, g, g_result, from, to, sums);
    case 2:
      return correlate<T, kJ, 2>(entries, x, g, g_result, from, to, sums);
    case 3:
      return correlate<T, kJ, 3>(entries, x, g, g_result, from, to, sums);
    case 4:
      return correlate<T, kJ, 4>(entries, x, g, g_result, from, to, sums);
#if defined(__AVX512F__)
    case 5:
      return correlate<T, kJ, 5>(entries, x, g, g_result, from, to, sums);
    case 6:
      return correlate<T, kJ, 6>(entries, x, g, g_result, from, to, sums);
    case 7:
      return correlate<T, kJ, 7>(entries, x, g, g_result, from, to, sums);
    case 8:
      return correlate<T, kJ, 8>(entries, x, g, g_result, from, to, sums);
#endif
  }
}

}  // namespace DASH_ISA
}  // namespace dash
