// SPDX-License-Identifier: BSD-3-Clause
// The two sides of a convolution that sums over channels: their maps, what their lanes should hold, and how many
// samples are treated at a time.
#pragma once
#include "maps.h"

namespace dash {
namespace DASH_ISA {

template <class T>
Maps<T> side_maps(const ConvProblem& p, bool strided_side) {
  const int64_t channels = strided_side ? p.out_channels : p.in_channels;
  const int64_t* size = strided_side ? p.out : p.in;
  const MapStrides& at = strided_side ? p.out_maps : p.in_maps;
  Maps<T> maps{p.batch, channels / p.groups, at.sample, at.map, at.pixel, {size[0], size[1]}, nullptr, nullptr, true,
               false};
  maps.rows = &length_plan<T>(p.length[0] / (strided_side ? p.stride[0] : 1));
  maps.cols = &length_plan<T>(p.length[1] / (strided_side ? p.stride[1] : 1));
  maps.series = p.length[0] == 1;
  return maps;
}

constexpr int64_t kKeptInCache = int64_t{768} << 10;  // three quarters of the second-level cache

// Units that are treated together: of series in octets two where the columns of both sides, with lanes across channels,
// stay in the cache (64->64, 1000: faster with 655 KiB; 128->128, 1000: slower with 1.3 MiB).
template <class T>
int64_t units_per_run(const ConvProblem& p, const TapList& taps) {
  const auto vectors = [&](int64_t channels) { return ceil_div(channels / p.groups, kLanes<T>) * p.batch; };
  const int64_t in = vectors(p.in_channels) * static_cast<int64_t>(sizeof(Factor<T>));
  const int64_t out = vectors(p.out_channels) * static_cast<int64_t>(sizeof(Cx<T>));
  return taps.in_octets() && Run::kMost * 2 * Unit::kSeriesPairs * (in + out) <= kKeptInCache ? Run::kMost : 1;
}

// Samples that are treated at a time. Spectra that stay in the caches are worth transforming the weights once more, as
// long as that is a small part of all transforms. More memory than half of the maps' own is never asked for, but for
// kFree, and no more than kKept, for the workspace is to be kept from call to call.
template <class T>
int64_t part_of_batch(const ConvProblem& p) {
  constexpr int64_t kStep = 2 * kLanes<T>, kSmallPart = 16;
  constexpr int64_t kCached = int64_t{8} << 20, kFree = int64_t{12} << 20, kKept = int64_t{64} << 20;
  ConvProblem one = p;
  one.batch = 1;
  const Maps<T> in = side_maps<T>(one, false), out = side_maps<T>(one, true);
  const int64_t sample = in.bytes() + out.bytes(), channels = in.channels + out.channels;
  const int64_t numbers = p.in_channels * p.in[0] * p.in[1] + p.out_channels * p.out[0] * p.out[1];
  const int64_t half_of_maps = p.batch * numbers * static_cast<int64_t>(sizeof(T)) / 2;
  const int64_t worth_it = kSmallPart * kLanes<T> * ceil_div(out.channels, kLanes<T>) * in.channels / channels;
  const int64_t allowed = smaller(kKept, larger(kFree, half_of_maps)) / sample;
  const int64_t most = smaller(larger(kCached / sample, worth_it), allowed);
  const int64_t parts = ceil_div(p.batch, larger(kStep, most / kStep * kStep));
  return ceil_div(ceil_div(p.batch, parts), kStep) * kStep;
}

// What the lanes of both sides are to be: as LaneCosts says, or as the caller needs them.
enum class MapLanes { cheaper, channels, samples };

// A transformed vector costs about as much as so many complex products. Where its lanes are samples and the channels of
// a pixel stand together, it costs so many more: all channels pass through larger buffers, and those of a group are
// read and written by themselves.
constexpr int64_t kTransform = 12, kTogether = 2, kGather = 12;
inline int64_t samples_cost(int64_t channels, const MapStrides& maps) {
  return kTransform + (maps.pixel == 1 ? 0 : maps.pixel == channels ? kTogether : kGather);
}

// Whether the channels of a side are transformed cheaper with lanes across samples.
template <class T>
bool is_narrow(int64_t batch, int64_t channels, const MapStrides& maps) {
  const int64_t by_samples = Maps<T>::batch_groups(batch) * channels,
                by_channel = ceil_div(channels, kLanes<T>) * batch;
  return by_samples * samples_cost(channels, maps) < by_channel * kTransform;
}

// What it costs to have lanes across samples, weights broadcast, or across channels of the result, samples broadcast:
// vectors moved through transforms, and products.
template <class T>
struct LaneCosts {
  int64_t by_batch, by_channel;
  bool narrow;  // by channel, the source is transformed cheaper with lanes across samples

  LaneCosts(const ConvProblem& p, bool forward) {
    const int64_t in = p.in_channels / p.groups, out = p.out_channels / p.groups, batch = p.batch;
    const int64_t depth = forward ? in : out, width = forward ? out : in;
    const MapStrides &from = forward ? p.in_maps : p.out_maps, &to = forward ? p.out_maps : p.in_maps;
    const auto padded = [](int64_t n) { return ceil_div(n, kLanes<T>); };
    const int64_t samples = Maps<T>::batch_groups(batch);
    const int64_t source = samples * depth * samples_cost(depth, from);
    narrow = is_narrow<T>(batch, depth, from);
    by_batch = source + samples * width * (samples_cost(width, to) + depth);
    by_channel = (narrow ? source : padded(depth) * batch * kTransform) + padded(width) * batch * (kTransform + depth);
  }
};

}  // namespace DASH_ISA
}  // namespace dash
