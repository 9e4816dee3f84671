// SPDX-License-Identifier: BSD-3-Clause
// Forward and input gradient as direct sums: each result gathers what it is made of, so that nothing is added twice or
// in another order. The two differ in which channels are read, in the sign of the offsets, and in the step between the
// pixels that are read.
#pragma once
#include "direct.h"

namespace dash {
namespace cuda {

// A thread computes one pixel in kResults channels of a group; the block's taps wait in shared memory.
template <class T, int kResults, bool kSteps>
struct DirectMaps {
  static constexpr int kThreads = kDirectThreads;
  static constexpr int kResultsAtOnce = kResults;
  static constexpr int kSources = 4, kEntries = 32;  // channels and entries whose taps are held at once

  int64_t batch;
  int groups, sources, results;      // channels per group that are read, and that are computed
  int source_stride, result_stride;  // between taps of neighbouring channels, in kernels of num_taps
  int tiles, result_tiles;           // of pixels, of result channels
  bool has_bias;
  Volume source, result;
  TapTable table;
  Global<const T> from, taps, bias;
  Global<T> to;

  int64_t grid() const { return int64_t{tiles} * result_tiles * groups; }
  static constexpr int64_t shared() {
    return kSources * kEntries * kResults * int64_t{sizeof(T)} + kEntries * int64_t{sizeof(Position)};
  }

  DASH_DEVICE void operator()(const Block& block) const {
    const SharedArray<T> weights = block.shared<T>(kSources * kEntries * kResults);
    const SharedArray<Position> offsets = block.shared<Position>(kEntries);
    const int tile = block.x() % tiles, rest = block.x() / tiles;
    const int first_result = rest % result_tiles * kResults, group = rest / result_tiles;
    const int64_t pixels = result.pixels(), number = static_cast<int64_t>(tile) * kThreads + block.thread();
    const bool active = number < batch * pixels;
    const int64_t image = active ? number / pixels : 0, pixel = active ? number - image * pixels : 0;
    const Position position = position_of(result, pixel);
    const int64_t first_plane = (image * groups + group) * sources;

    // Sums of sums: a long one in single precision would round too much.
    T total[kResults] = {};
    for (int entry = 0; entry < table.entries; entry += kEntries) {
      const int entries = smaller(kEntries, table.entries - entry);
      for (int channel = 0; channel < sources; channel += kSources) {
        const int channels = smaller(kSources, sources - channel);
        block.barrier();
        load_taps(block, group, first_result, entry, entries, channel, channels, weights, offsets);
        block.barrier();
        T sum[kResults] = {};
        for (int e = 0; active && e < entries; ++e) {
          const int at = pixel_at<kSteps>(source, position, offsets.load(e));
          if (at < 0) continue;
          for (int c = 0; c < channels; ++c) {
            const T value = from.load((first_plane + channel + c) * source.pixels() + at);
            for (int r = 0; r < kResults; ++r)
              sum[r] += weights.load((e * kSources + c) * kResults + r) * value;
          }
        }
        for (int r = 0; r < kResults; ++r)
          total[r] += sum[r];
      }
    }
    if (!active) return;
    for (int r = 0; r < smaller(kResults, results - first_result); ++r) {
      const int64_t channel = static_cast<int64_t>(group) * results + first_result + r;
      to.store((image * groups * results + channel) * pixels + pixel,
               total[r] + (has_bias ? bias.load(channel) : T(0)));
    }
  }

 private:
  static DASH_DEVICE int smaller(int a, int b) { return a < b ? a : b; }

  DASH_DEVICE void load_taps(const Block& block, int group, int first_result, int entry, int entries, int channel,
                             int channels, const SharedArray<T>& weights, const SharedArray<Position>& offsets) const {
    const int64_t kernels = static_cast<int64_t>(group) * sources * results;
    for (int i = block.thread(); i < kSources * kEntries * kResults; i += kThreads) {
      const int r = i / (kSources * kEntries), c = i / kEntries % kSources, e = i % kEntries;
      T weight = 0;
      if (e < entries && c < channels && first_result + r < results) {
        const int64_t kernel = kernels + static_cast<int64_t>(first_result + r) * result_stride +
                               static_cast<int64_t>(channel + c) * source_stride;
        weight = taps.load(kernel * table.num_taps + table.tap(entry + e));
      }
      weights.store((e * kSources + c) * kResults + r, weight);
    }
    if (block.thread() < entries) offsets.store(block.thread(), table.offset(entry + block.thread()));
  }
};

}  // namespace cuda
}  // namespace dash
