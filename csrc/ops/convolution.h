// SPDX-License-Identifier: BSD-3-Clause
// From tensors to a convolution's kernels: what the operators of all engines share.
#pragma once
#include <optional>

#include "tensors.h"

namespace dash {

// Whether the input's, and the output's, channels of a pixel stand together.
struct ChannelsLast {
  bool in, out;
};
template <class Problem>
void lay_out(Problem& problem, int64_t in_pixels, int64_t out_pixels, const ChannelsLast& last) {
  problem.in_maps = MapStrides::of(problem.in_channels, in_pixels, last.in);
  problem.out_maps = MapStrides::of(problem.out_channels, out_pixels, last.out);
}

// What the problems of all engines share; the sizes per axis are each engine's own.
template <class Problem>
void describe(Problem& problem, const char* op, const Ints& flat_offsets, size_t axes, int64_t batch,
              int64_t in_channels, int64_t out_channels, int64_t groups, int64_t num_taps, bool circular) {
  STD_TORCH_CHECK(flat_offsets.size() == axes * static_cast<size_t>(num_taps), op, ": expected ", axes * num_taps,
                  " offsets, got ", flat_offsets.size());
  problem.batch = batch;
  problem.in_channels = in_channels;
  problem.out_channels = out_channels;
  problem.groups = groups;
  problem.num_taps = num_taps;
  problem.circular = circular;
}

// As Operands says; what is there has one dtype. Maps are read, and the result is there, as the problem's strides say.
struct ConvTensors {
  Tensor a, b, result;
  std::optional<Tensor> bias = std::nullopt, bias_gradient = std::nullopt, x = std::nullopt,
                        taps_gradient = std::nullopt;
};

// workspace(table, workers): bytes; convolve(table, operands, workspace, workers).
template <class Measure, class Convolve>
void run_convolution(const char* op, const ConvTensors& tensors, const Measure& measure, const Convolve& convolve) {
  const Tensor a = made_readable(tensors.a), b = made_readable(tensors.b);
  std::optional<Tensor> bias;
  if (tensors.bias) {
    STD_TORCH_CHECK(tensors.bias->dim() == 1 && tensors.bias->size(0) == tensors.result.size(1), op,
                    ": bias must be 1-D with one number per output channel");
    check_alike(op, a, *tensors.bias);
    bias = made_contiguous(*tensors.bias);
  }
  std::optional<Tensor> x;
  if (tensors.x) {
    check_alike(op, a, *tensors.x);
    x = made_readable(*tensors.x);
  }
  const int64_t count = worker_count(a.numel() + b.numel() + tensors.result.numel());
  dispatch(op, a, b, [&](auto type) {
    using T = decltype(type);
    const KernelTable<T>& table = kernels<T>(isa_in_use());
    const Operands<T> operands = {a.const_data_ptr<T>(),
                                  b.const_data_ptr<T>(),
                                  tensors.result.mutable_data_ptr<T>(),
                                  bias ? bias->const_data_ptr<T>() : nullptr,
                                  tensors.bias_gradient ? tensors.bias_gradient->mutable_data_ptr<T>() : nullptr,
                                  x ? x->const_data_ptr<T>() : nullptr,
                                  tensors.taps_gradient ? tensors.taps_gradient->mutable_data_ptr<T>() : nullptr};
    const Workspace workspace(static_cast<size_t>(measure(table, count)));
    with_workers(count, [&](const Workers& workers) { convolve(table, operands, workspace.data(), workers); });
  });
}

// Room for the gradient of a bias beside that of taps: zero of an empty batch, which no kernel sees.
inline Tensor new_bias_gradient(const Tensor& grad) {
  return torch::stable::new_zeros(grad, Ints{grad.size(1)});
}

}  // namespace dash
