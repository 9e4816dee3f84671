// SPDX-License-Identifier: BSD-3-Clause
// Weight gradient as direct sums: a block sums over some pixels of the batch, a warp per tap; sums.h adds up the
// blocks.
#pragma once
#include <algorithm>

#include "direct.h"

namespace dash {
namespace cuda {

// For kOuts output channels of a group and one input channel.
template <class T, int kOuts>
struct DirectWeights {
  static constexpr int kThreads = kDirectThreads;
  static constexpr int kPixels = 512;  // of the upstream gradient that are held at once

  int64_t batch;
  int groups, ins, outs;  // channels per group
  int out_tiles, parts;
  int64_t part_pixels;  // of a block, a multiple of kPixels
  Volume input, output;
  TapTable table;
  Global<const int> starts;  // per tap: its first entry; one more at the end
  Global<const T> x, grad;
  Global<T> sums;  // (parts, groups * outs, ins, num_taps)

  int64_t grid() const { return int64_t{parts} * ins * out_tiles * groups; }
  // Sets out_tiles, parts and part_pixels, and returns how many blocks that makes: a thousand if there is work for
  // them. Each takes some hundred pixels at least, since its sums go through memory.
  int64_t share_pixels() {
    constexpr int64_t kEnough = 1024, kLeast = 2 * kPixels, kMostParts = 256;
    out_tiles = static_cast<int>(blocks_for(outs, kOuts));
    const int64_t pixels = batch * output.pixels(), channels = int64_t{groups} * out_tiles * ins;
    const int64_t wanted = std::min({blocks_for(kEnough, channels), blocks_for(pixels, kLeast), kMostParts});
    part_pixels = blocks_for(blocks_for(pixels, wanted), kPixels) * kPixels;
    parts = static_cast<int>(blocks_for(pixels, part_pixels));
    return parts * channels;
  }
  int64_t shared() const {
    return kPixels * int64_t{sizeof(T)} * kOuts + kPixels * int64_t{sizeof(Position)} + kPixels * 4 +
           (table.num_taps * int64_t{sizeof(T)} * kOuts + 15) / 16 * 16;
  }

  DASH_DEVICE void operator()(const Block& block) const {
    const SharedArray<T> upstream = block.shared<T>(kPixels * kOuts);
    const SharedArray<Position> positions = block.shared<Position>(kPixels);
    const SharedArray<int> images = block.shared<int>(kPixels);
    const SharedArray<T> total = block.shared<T>(table.num_taps * kOuts);
    int rest = block.x();
    const int part = rest % parts;
    rest /= parts;
    const int channel = rest % ins;
    rest /= ins;
    const int first_out = rest % out_tiles * kOuts, group = rest / out_tiles;
    const int lane = block.thread() % kWarp, warp = block.thread() / kWarp;

    for (int tap = warp; tap < table.num_taps; tap += kThreads / kWarp)
      if (lane < kOuts) total.store(tap * kOuts + lane, 0);
    const int64_t first = static_cast<int64_t>(part) * part_pixels, all = batch * output.pixels();
    for (int64_t pixel = first; pixel < all && pixel < first + part_pixels; pixel += kPixels) {
      const int count = static_cast<int>(all - pixel < kPixels ? all - pixel : kPixels);
      block.barrier();
      load_gradients(block, group, first_out, pixel, count, upstream, positions, images);
      block.barrier();
      for (int tap = warp; tap < table.num_taps; tap += kThreads / kWarp)
        sum_pixels(block, group, channel, tap, count, upstream, positions, images, total);
    }
    // a warp stores what it summed itself
    for (int tap = warp; tap < table.num_taps; tap += kThreads / kWarp)
      if (lane < kOuts && first_out + lane < outs) {
        const int64_t out = (static_cast<int64_t>(part) * groups + group) * outs + first_out + lane;
        sums.store((out * ins + channel) * table.num_taps + tap, total.load(tap * kOuts + lane));
      }
  }

 private:
  DASH_DEVICE void load_gradients(const Block& block, int group, int first_out, int64_t pixel, int count,
                                  const SharedArray<T>& upstream, const SharedArray<Position>& positions,
                                  const SharedArray<int>& images) const {
    for (int i = block.thread(); i < count; i += kThreads) {
      const int64_t image = (pixel + i) / output.pixels(), at = pixel + i - image * output.pixels();
      images.store(i, static_cast<int>(image));
      positions.store(i, position_of(output, at));
      for (int out = 0; out < kOuts; ++out) {
        const int64_t plane = (image * groups + group) * outs + first_out + out;
        upstream.store(out * kPixels + i, first_out + out < outs ? grad.load(plane * output.pixels() + at) : T(0));
      }
    }
  }

  DASH_DEVICE void sum_pixels(const Block& block, int group, int channel, int tap, int count,
                              const SharedArray<T>& upstream, const SharedArray<Position>& positions,
                              const SharedArray<int>& images, const SharedArray<T>& total) const {
    const int lane = block.thread() % kWarp, end = starts.load(tap + 1);
    T sum[kOuts] = {};
    for (int entry = starts.load(tap); entry < end; ++entry) {
      const Position offset = table.offset(entry);
      for (int i = lane; i < count; i += kWarp) {
        const int at = pixel_at<false>(input, positions.load(i), offset);
        if (at < 0) continue;
        const int64_t plane = (static_cast<int64_t>(images.load(i)) * groups + group) * ins + channel;
        const T value = x.load(plane * input.pixels() + at);
        for (int out = 0; out < kOuts; ++out)
          sum[out] += value * upstream.load(out * kPixels + i);
      }
    }
    for (int out = 0; out < kOuts; ++out) {
      const T all = warp_sum(block, sum[out]);
      if (lane == out) total.store(tap * kOuts + out, total.load(tap * kOuts + out) + all);
    }
  }
};

}  // namespace cuda
}  // namespace dash
