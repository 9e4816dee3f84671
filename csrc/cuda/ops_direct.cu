// SPDX-License-Identifier: BSD-3-Clause
// The operators of the direct sums. The tables of taps come ready from dash_kernels/engines/cuda.py.
#include <algorithm>
#include <limits>

#include "direct_maps.h"
#include "direct_weights.h"
#include "sums.h"
#include "tensors.h"

namespace dash {
namespace cuda {
namespace {

// Maps (batch, channels, *size) with one to three axes.
Volume volume_of(const Call& call, const Ints& size, const Ints& step) {
  call.require(size.size() >= 1 && size.size() <= kAxes && step.size() == size.size(),
               "sizes and steps must have one entry per axis of a 1-D, 2-D or 3-D map");
  Volume volume;
  int64_t pixels = 1;
  for (size_t axis = 0; axis < size.size(); ++axis) {
    const int64_t n = size[axis], s = step[axis];
    call.require(n >= 1 && s >= 1, "sizes and steps must be at least 1");
    call.require(n <= std::numeric_limits<int>::max() / s && pixels <= std::numeric_limits<int>::max() / n,
                 "a map must have less than 2^31 pixels, and its last one lie below 2^31");
    pixels *= n;
    volume.size[kAxes - size.size() + axis] = static_cast<int>(n);
    volume.step[kAxes - size.size() + axis] = static_cast<int>(s);
  }
  return volume;
}

TapTable table_of(const Call& call, const Tensor& table, int64_t num_taps) {
  call.require(table.dim() == 2 && table.size(1) == 1 + kAxes, "a table of taps has rows of a tap and three offsets");
  return {static_cast<int>(table.size(0)), static_cast<int>(num_taps), input<int32_t>(table)};
}

// Each result gathers from `from`: the output from the input or, transposed, the input's gradient from the output's.
Tensor direct_maps(Tensor from, Tensor taps, Tensor table, Ints result_size, Ints source_step, Ints result_step,
                   int64_t groups, bool transposed, std::optional<Tensor> bias) {
  const Call call("cuda_direct_maps", from);
  call.require(from.dim() >= 3 && taps.dim() == 3 && groups > 0 && taps.size(0) % groups == 0 &&
                   from.size(1) == (transposed ? taps.size(0) : groups * taps.size(1)),
               "shapes of maps and taps do not fit");
  const int64_t outs = taps.size(0) / groups, ins = taps.size(1);
  const int64_t sources = transposed ? outs : ins, results = transposed ? ins : outs;
  const Volume source = volume_of(call, spatial_of(from), source_step);
  const Volume result = volume_of(call, result_size, result_step);
  const Tensor maps = call.operand(from), kernels = call.operand(taps), rows = call.table(table);
  const std::optional<Tensor> shift = bias ? std::optional<Tensor>(call.operand(*bias)) : std::nullopt;
  call.require(!shift || shift->numel() == groups * results, "bias must have one number per output channel");
  Ints sizes = {from.size(0), groups * results};
  sizes.insert(sizes.end(), result_size.begin(), result_size.end());
  const Tensor to = call.fresh(sizes);
  bool steps = false;
  for (int64_t step : source_step)
    steps = steps || step > 1;
  call.run([&](auto type) {
    using T = decltype(type);
    const auto start = [&](auto kernel) {
      kernel.batch = from.size(0);
      kernel.groups = static_cast<int>(groups);
      kernel.sources = static_cast<int>(sources);
      kernel.results = static_cast<int>(results);
      kernel.source_stride = static_cast<int>(transposed ? results : 1);
      kernel.result_stride = static_cast<int>(transposed ? 1 : sources);
      kernel.source = source;
      kernel.result = result;
      const int64_t tiles = blocks_for(kernel.batch * result.pixels(), kernel.kThreads);
      const int64_t result_tiles = blocks_for(results, kernel.kResultsAtOnce);
      call.require(tiles * result_tiles * groups <= std::numeric_limits<int>::max(),
                   "the result needs more than 2^31 blocks: take a smaller batch");
      kernel.tiles = static_cast<int>(tiles);
      kernel.result_tiles = static_cast<int>(result_tiles);
      kernel.has_bias = shift.has_value();
      kernel.table = table_of(call, rows, taps.size(2));
      kernel.from = input<T>(maps);
      kernel.taps = input<T>(kernels);
      kernel.bias = input<T>(shift);
      kernel.to = output<T>(to);
      call.start(kernel, kernel.shared());
    };
    // Several results share what they read, as many as a thread's registers hold; a lone one has nobody to share it
    // with.
    constexpr int kMany = sizeof(T) == 4 ? 8 : 4;
    if (results == 1)
      steps ? start(DirectMaps<T, 1, true>{}) : start(DirectMaps<T, 1, false>{});
    else
      steps ? start(DirectMaps<T, kMany, true>{}) : start(DirectMaps<T, kMany, false>{});
  });
  return to;
}

Tensor direct_weights(Tensor grad, Tensor x, Tensor table, Tensor starts, Ints stride, int64_t groups) {
  const Call call("cuda_direct_weights", grad);
  call.require(grad.dim() >= 3 && grad.dim() == x.dim() && grad.size(0) == x.size(0) && groups > 0 &&
                   x.size(1) % groups == 0 && grad.size(1) % groups == 0 && starts.numel() >= 1,
               "shapes of grad and x do not fit");
  const Volume input_volume = volume_of(call, spatial_of(x), Ints(stride.size(), 1));
  const Volume output_volume = volume_of(call, spatial_of(grad), stride);
  const Tensor upstream = call.operand(grad), maps = call.operand(x);
  const Tensor rows = call.table(table), firsts = call.table(starts);
  const int64_t outs = grad.size(1) / groups, num_taps = starts.numel() - 1;
  const Ints sizes = {grad.size(1), x.size(1) / groups, num_taps};
  if (grad.size(0) == 0) return torch::stable::new_zeros(grad, sizes);
  const Tensor sums = call.fresh(sizes);
  call.run([&](auto type) {
    using T = decltype(type);
    const auto start = [&](auto kernel) {
      kernel.batch = grad.size(0);
      kernel.groups = static_cast<int>(groups);
      kernel.ins = static_cast<int>(x.size(1) / groups);
      kernel.outs = static_cast<int>(outs);
      kernel.input = input_volume;
      kernel.output = output_volume;
      kernel.table = table_of(call, rows, num_taps);
      kernel.starts = input<int32_t>(firsts);
      kernel.x = input<T>(maps);
      kernel.grad = input<T>(upstream);
      const int64_t blocks = kernel.share_pixels();
      call.require(blocks <= std::numeric_limits<int>::max(),
                   "the taps need more than 2^31 blocks: take fewer channels");
      const Tensor workspace = call.fresh(Ints{kernel.parts, sums.numel()});
      kernel.sums = output<T>(workspace);
      call.start(kernel, kernel.shared());
      call.start(SumParts<T>{sums.numel(), kernel.parts, input<T>(workspace), output<T>(sums)});
    };
    outs == 1 ? start(DirectWeights<T, 1>{}) : start(DirectWeights<T, 4>{});
  });
  return sums;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(DASH_LIBRARY, m) {
  m.def(
      "cuda_direct_maps(Tensor source, Tensor taps, Tensor table, int[] result_size, int[] source_step, "
      "int[] result_step, int groups, bool transposed, Tensor? bias=None) -> Tensor");
  m.def("cuda_direct_weights(Tensor grad, Tensor x, Tensor table, Tensor starts, int[] stride, int groups) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(DASH_LIBRARY, DASH_DEVICE_KEY, m) {
  m.impl("cuda_direct_maps", TORCH_BOX(&direct_maps));
  m.impl("cuda_direct_weights", TORCH_BOX(&direct_weights));
}

}  // namespace cuda
}  // namespace dash
