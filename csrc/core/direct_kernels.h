// SPDX-License-Identifier: BSD-3-Clause
// The inner loops of direct sums. Weights and pixels are vectors or scalars that go to every lane; at least one of them
// is a vector. Sums stay in registers for about kRun terms, then are added to a total: rounding grows with the root of
// a run, not with that of the whole sum.
#pragma once
#include "direct_plan.h"
#include "vec.h"

namespace dash {
namespace DASH_ISA {

constexpr int64_t kRun = 96;

// What a block of registers holds beside operands: kJ (1 or 2) results of at most so many pixels, or of so
// many streams.
template <int kJ>
constexpr int kMostPixels = (kVectorBytes == 64 ? 16 : 8) / kJ;
constexpr int kMostStreams = kVectorBytes == 64 ? 8 : 4;

template <class T, int kJ, int kP>
struct PixelBlock {
  Vec<T> sum[kJ][kP];

  DASH_INLINE void clear() {
#pragma GCC unroll 2
    for (int j = 0; j < kJ; ++j)
#pragma GCC unroll 16
      for (int i = 0; i < kP; ++i)
        sum[j][i] = Vec<T>{};
  }
  DASH_INLINE void add(const PixelBlock& other) {
#pragma GCC unroll 2
    for (int j = 0; j < kJ; ++j)
#pragma GCC unroll 16
      for (int i = 0; i < kP; ++i)
        sum[j][i] += other.sum[j][i];
  }
};

// Pixels of a result row from pixel k of a phase on: what they sum over, and where its operands are.
template <class X, class W>
struct PixelSum {
  const TapTable& table;
  const RowTaps *begin, *end;  // the groups of taps of the row
  const int32_t* span;         // of the phase's first group, at the block
  int64_t last_span;           // from there to that of the last kStep pixels
  int64_t depth;               // channels
  const X* x;                  // pixel k of the first channel's buffer
  int64_t x_channel;
  const W* w;  // [channel, tap, kJ]
};

template <class T, int kJ, int kP, class X, class W>
DASH_INLINE void sum_pixels(const PixelSum<X, W>& from, PixelBlock<T, kJ, kP>& total) {
  PixelBlock<T, kJ, kP> run;
  run.clear();
  total.clear();
  int64_t room = kRun;
  const X* x = from.x;
  const W* w = from.w;
  for (int64_t c = 0; c < from.depth; ++c, x += from.x_channel, w += from.table.taps * kJ) {
    for (const RowTaps* row = from.begin; row != from.end; ++row) {
      const int32_t* const span = from.span + 2 * from.table.blocks * row->group;
      const X* const source = x + row->at;
      for (int64_t t = span[from.last_span], end = span[1]; t < end;) {
        const int64_t stop = smaller(end, t + room);
        room -= stop - t;
        for (; t < stop; ++t) {
          const X* const pixel = source + from.table.at[t];
#pragma GCC unroll 16
          for (int i = 0; i < kP; ++i)
#pragma GCC unroll 2
            for (int j = 0; j < kJ; ++j)
              run.sum[j][i] += w[t * kJ + j] * pixel[i];
        }
        if (room > 0) continue;
        total.add(run);
        run.clear();
        room = kRun;
      }
    }
  }
  total.add(run);
}

// Rows of pixels that one walk covers: source and gradient start at these elements.
struct RowPair {
  int64_t source, gradient;
};
// One tap of one channel: its element of the source, and of the sums.
struct Stream {
  int64_t at, sum;
};
// What a walk multiplies: kJ vectors of gradients, g_result apart, with the pixels of some streams.
template <class T, class X>
struct Walk {
  const RowPair* rows;
  int64_t row_count;
  const X* x;
  const Vec<T>* g;
  int64_t g_result;
  int64_t count;  // pixels of every row
  Vec<T>* sums;   // kJ of every stream
};

template <class T, int kJ, int kStreams, class X>
void correlate(const Walk<T, X>& walk, const Stream* streams) {
  Vec<T> sum[kJ][kStreams];
#pragma GCC unroll 8
  for (int t = 0; t < kStreams; ++t)
#pragma GCC unroll 2
    for (int j = 0; j < kJ; ++j)
      sum[j][t] = Vec<T>{};
  for (int64_t y = 0; y < walk.row_count; ++y) {
    const Vec<T>* gradient = walk.g + walk.rows[y].gradient;
    const Vec<T>* const end = gradient + walk.count;
    const X* pixel[kStreams];
#pragma GCC unroll 8
    for (int t = 0; t < kStreams; ++t)
      pixel[t] = walk.x + walk.rows[y].source + streams[t].at;
    const int64_t g_result = walk.g_result;
    for (int64_t k = 0; gradient != end; ++gradient, ++k) {
#pragma GCC unroll 8
      for (int t = 0; t < kStreams; ++t)
#pragma GCC unroll 2
        for (int j = 0; j < kJ; ++j)
          sum[j][t] += gradient[j * g_result] * pixel[t][k];
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kStreams; ++t)
#pragma GCC unroll 2
    for (int j = 0; j < kJ; ++j)
      walk.sums[streams[t].sum + j] += sum[j][t];
}

template <class T, int kJ, class X>
inline void correlate(const Walk<T, X>& walk, const Stream* streams, int64_t count) {
  switch (count) {
    case 1:
      return correlate<T, kJ, 1>(walk, streams);
    case 2:
      return correlate<T, kJ, 2>(walk, streams);
    case 3:
      return correlate<T, kJ, 3>(walk, streams);
    case 4:
      return correlate<T, kJ, 4>(walk, streams);
#if defined(__AVX512F__)
    case 5:
      return correlate<T, kJ, 5>(walk, streams);
    case 6:
      return correlate<T, kJ, 6>(walk, streams);
    case 7:
      return correlate<T, kJ, 7>(walk, streams);
    case 8:
      return correlate<T, kJ, 8>(walk, streams);
#endif
  }
}

}  // namespace DASH_ISA
}  // namespace dash
