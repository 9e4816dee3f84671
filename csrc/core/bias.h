// SPDX-License-Identifier: BSD-3-Clause
// One number per channel, added to every pixel of its planes, and the adjoint: sums over
#pragma once
#include "vec.h"

namespace dash {
namespace DASH_ISA {

// In double precision, and in blocks: rounding hardly grows with the count.
template <class T>
inline double sum(const T* from, int64_t count) {
  constexpr int64_t kStep = 4 * kLanes<double>, kBlock = 64 * kStep;
  Vec<double> total{};
  int64_t i = 0;
  while (count - i >= kStep) {
    Vec<double> part[4] = {};
    for (const int64_t end = i + smaller(kBlock, (count - i) / kStep * kStep); i < end; i += kStep)
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k)
        part[k] += load_wide(from + i + k * kLanes<double>);
    total += (part[0] + part[1]) + (part[2] + part[3]);
  }
  for (; count - i >= kLanes<double>; i += kLanes<double>)
    total += load_wide(from + i);
  double rest = 0;
  for (; i < count; ++i)
    rest += from[i];
  for (int l = 0; l < kLanes<double>; ++l)
    rest += total[l];
  return rest;
}

template <class T>
struct Bias {
  int64_t batch, channels, pixels;
  bool channels_last;  // the channels of a pixel stand together

  int64_t count() const { return batch * channels; }

  void add(const T* bias, T* maps, const Workers& workers) const {
    if (channels_last)
      return parallel_shares(workers, batch * pixels, [&](int64_t, int64_t begin, int64_t end) {
        for (int64_t pixel = begin; pixel < end; ++pixel)
          for (int64_t c = 0; c < channels; ++c)
            maps[pixel * channels + c] += bias[c];
      });
    parallel_shares(workers, count(), [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const T value = bias[plane % channels];
        T* const map = maps + plane * pixels;
        for (int64_t i = 0; i < pixels; ++i)
          map[i] += value;
      }
    });
  }

  // Doubles of scratch that the gradient needs: of each worker a sum of every channel, and that of its latest pixels.
  int64_t scratch(int64_t workers) const { return workers * 2 * channels; }

  void gradient(const T* maps, T* of_bias, double* sums, const Workers& workers) const {
    const int64_t parts = channels_last ? ceil_div(batch * pixels, kBlock) : count();
    const int64_t pieces = larger(1, smaller(workers.count, parts));
    parallel_pieces(workers, parts, [&](int64_t worker, int64_t begin, int64_t end) {
      double* const of_worker = sums + scratch(worker);
      for (int64_t c = 0; c < channels; ++c)
        of_worker[c] = 0;
      for (int64_t part = begin; part < end; ++part) {
        if (channels_last)
          add_block(maps, part * kBlock, of_worker + channels, of_worker);
        else
          of_worker[part % channels] += sum(maps + part * pixels, pixels);
      }
    });
    for (int64_t c = 0; c < channels; ++c) {
      double total = 0;
      for (int64_t worker = 0; worker < pieces; ++worker)
        total += sums[scratch(worker) + c];
      of_bias[c] = static_cast<T>(total);
    }
  }

 private:
  static constexpr int64_t kBlock = 256;
  void add_block(const T* maps, int64_t first, double* block, double* total) const {
    for (int64_t c = 0; c < channels; ++c)
      block[c] = 0;
    for (int64_t pixel = first; pixel < smaller(first + kBlock, batch * pixels); ++pixel)
      for (int64_t c = 0; c < channels; ++c)
        block[c] += maps[pixel * channels + c];
    for (int64_t c = 0; c < channels; ++c)
      total[c] += block[c];
  }
};

}  // namespace DASH_ISA
}  // namespace dash
