// SPDX-License-Identifier: BSD-3-Clause
// The operators of the engine "fourier", registered against torch's stable ABI: tensor checks, workspace and threads,
// nothing else. They have no autograd of their own: dash_kernels.ops wraps them.
#include <algorithm>
#include <memory>
#include <optional>
#include <tuple>

#include "../core/memo.h"
#include "../core/plan.h"
#include "convolution.h"
#include "mixing.h"

namespace dash {
namespace {

// Sizes after batch and channels, with a row axis in front where the tensor is 1-D.
void spatial(const Ints& sizes, int64_t fill, int64_t out[2]) {
  out[0] = sizes.size() == 2 ? sizes[0] : fill;
  out[1] = sizes.back();
}
struct Call {
  ConvProblem problem{};
  Ints offsets;  // (row, column) pairs

  Call(const char* op, const Ints& in, const Ints& out, const Ints& stride, const Ints& length,
       const Ints& flat_offsets, int64_t batch, int64_t in_channels, int64_t out_channels, int64_t groups,
       int64_t num_taps, bool circular, const ChannelsLast& last) {
    const size_t axes = in.size();
    STD_TORCH_CHECK((axes == 1 || axes == 2) && out.size() == axes && stride.size() == axes && length.size() == axes,
                    op, ": sizes, stride and length must have one entry per axis of a 1-D or 2-D map");
    describe(problem, op, flat_offsets, axes, batch, in_channels, out_channels, groups, num_taps, circular);
    spatial(in, 1, problem.in);
    spatial(out, 1, problem.out);
    spatial(stride, 1, problem.stride);
    spatial(length, 1, problem.length);
    lay_out(problem, problem.in[0] * problem.in[1], problem.out[0] * problem.out[1], last);
    for (int64_t t = 0; t < num_taps; ++t) {
      offsets.push_back(axes == 2 ? flat_offsets[2 * t] : 0);
      offsets.push_back(axes == 2 ? flat_offsets[2 * t + 1] : flat_offsets[t]);
    }
    check_problem(problem, offsets.data());
  }

  std::shared_ptr<const SortedTaps> sorted_taps() const {
    const auto &in = problem.in, &out = problem.out, &step = problem.stride, &length = problem.length;
    return Memo<SortedTaps>::one().get(
        memo_key({problem.circular, in[0], in[1], out[0], out[1], step[0], step[1], length[0], length[1]}, offsets),
        [&] { return SortedTaps(problem, offsets.data()); });
  }

  void run(const char* op, ConvOp which, const ConvTensors& tensors) const {
    const auto nothing = [](const auto&, void*, const Workers&) {};
    run(op, which, tensors, [](const auto&, int64_t) { return int64_t{0}; }, nothing, nothing);
  }
  // And, with the same threads, before(table, workspace, workers) and after(table, workspace, workers), which need
  // bytes(table, workers) of workspace.
  template <class Bytes, class Before, class After>
  void run(const char* op, ConvOp which, const ConvTensors& tensors, const Bytes& bytes, const Before& before,
           const After& after) const {
    const std::shared_ptr<const SortedTaps> sorted = sorted_taps();
    const TapList taps = sorted->list();
    run_convolution(
        op, tensors,
        [&](const auto& table, int64_t count) {
          return std::max(table.workspace(which, problem, taps, count), bytes(table, count));
        },
        [&](const auto& table, const auto& operands, void* workspace, const Workers& workers) {
          before(table, workspace, workers);
          table.convolve(which, problem, taps, operands, workspace, workers);
          after(table, workspace, workers);
        });
  }
};

Tensor tap_conv(Tensor x, Tensor taps, Tensor offsets, Ints out_size, Ints stride, Ints length, int64_t groups,
                bool circular, std::optional<Tensor> bias) {
  STD_TORCH_CHECK(x.dim() >= 3 && taps.dim() == 3 && x.size(1) == taps.size(1) * groups,
                  "fourier_tap_conv: shapes of x and taps do not fit");
  const bool last = is_channels_last(x);
  const Call call("fourier_tap_conv", spatial_of(x), out_size, stride, length, numbers("fourier_tap_conv", offsets),
                  x.size(0), x.size(1), taps.size(0), groups, taps.size(2), circular, {last, last});
  const Tensor y = new_result(x, shape(x.size(0), taps.size(0), out_size), last);
  if (x.size(0) > 0) call.run("fourier_tap_conv", ConvOp::forward, {x, taps, y, bias});
  return y;
}

Tensor tap_conv_input_grad(Tensor grad, Tensor taps, Tensor offsets, Ints input_size, Ints stride, Ints length,
                           int64_t groups, bool circular) {
  STD_TORCH_CHECK(grad.dim() >= 3 && taps.dim() == 3 && grad.size(1) == taps.size(0),
                  "fourier_tap_conv_input_grad: shapes of grad and taps do not fit");
  const int64_t in_channels = taps.size(1) * groups;
  const bool last = is_channels_last(grad);
  const Call call("fourier_tap_conv_input_grad", input_size, spatial_of(grad), stride, length,
                  numbers("fourier_tap_conv_input_grad", offsets), grad.size(0), in_channels, taps.size(0), groups,
                  taps.size(2), circular, {last, last});
  const Tensor x = new_result(grad, shape(grad.size(0), in_channels, input_size), last);
  if (grad.size(0) > 0) call.run("fourier_tap_conv_input_grad", ConvOp::input_grad, {grad, taps, x});
  return x;
}

// Beside the gradient of the taps that of a bias, if there is one.
Tensor weight_grad(const char* op, const Tensor& grad, const Tensor& x, const Tensor& offsets, const Ints& stride,
                   const Ints& length, int64_t groups, bool circular, const std::optional<Tensor>& bias_gradient) {
  STD_TORCH_CHECK(
      grad.dim() >= 3 && grad.dim() == x.dim() && grad.size(0) == x.size(0) && groups > 0 && x.size(1) % groups == 0,
      op, ": shapes of grad and x do not fit");
  const int64_t num_taps = offsets.numel() / (x.dim() - 2);
  const Call call(op, spatial_of(x), spatial_of(grad), stride, length, numbers(op, offsets), x.size(0), x.size(1),
                  grad.size(1), groups, num_taps, circular, {is_channels_last(x), is_channels_last(grad)});
  const Ints sizes = {grad.size(1), x.size(1) / groups, num_taps};
  if (x.size(0) == 0) return torch::stable::new_zeros(x, sizes);
  const Tensor taps = torch::stable::new_empty(x, sizes);
  call.run(op, ConvOp::weight_grad, {grad, x, taps, std::nullopt, bias_gradient});
  return taps;
}

Tensor tap_conv_weight_grad(Tensor grad, Tensor x, Tensor offsets, Ints stride, Ints length, int64_t groups,
                            bool circular) {
  return weight_grad("fourier_tap_conv_weight_grad", grad, x, offsets, stride, length, groups, circular, std::nullopt);
}

std::tuple<Tensor, Tensor> tap_conv_weight_bias_grad(Tensor grad, Tensor x, Tensor offsets, Ints stride, Ints length,
                                                     int64_t groups, bool circular) {
  constexpr const char* kName = "fourier_tap_conv_weight_bias_grad";
  STD_TORCH_CHECK(grad.dim() >= 3, kName, ": shapes of grad and x do not fit");
  const Tensor bias = new_bias_gradient(grad);
  return {weight_grad(kName, grad, x, offsets, stride, length, groups, circular, bias), bias};
}

// The gradients of x, of the taps and of a bias.
std::tuple<Tensor, Tensor, Tensor> tap_conv_grads(Tensor grad, Tensor taps, Tensor x, Tensor offsets, Ints stride,
                                                  Ints length, int64_t groups, bool circular) {
  constexpr const char* kName = "fourier_tap_conv_grads";
  STD_TORCH_CHECK(grad.dim() >= 3 && grad.dim() == x.dim() && grad.size(0) == x.size(0) && taps.dim() == 3 &&
                      grad.size(1) == taps.size(0) && x.size(1) == taps.size(1) * groups,
                  kName, ": shapes of grad, taps and x do not fit");
  const Call call(kName, spatial_of(x), spatial_of(grad), stride, length, numbers(kName, offsets), x.size(0), x.size(1),
                  grad.size(1), groups, taps.size(2), circular, {is_channels_last(x), is_channels_last(grad)});
  const Tensor of_bias = new_bias_gradient(grad);
  const Ints sizes = {taps.size(0), taps.size(1), taps.size(2)};
  const Tensor of_x = new_result(grad, shape(x.size(0), x.size(1), spatial_of(x)), is_channels_last(x));
  if (x.size(0) == 0) return {of_x, torch::stable::new_zeros(taps, sizes), of_bias};
  const Tensor of_taps = torch::stable::new_empty(taps, sizes);
  call.run(kName, ConvOp::both_grads, {grad, taps, of_x, std::nullopt, of_bias, x, of_taps});
  return {of_x, of_taps, of_bias};
}

// cpu_mix_taps and fourier_tap_conv: the result, and the mixed taps.
std::tuple<Tensor, Tensor> mixed_conv(Tensor x, Tensor weight, Tensor mixture, Tensor index, Ints counts,
                                      Tensor offsets, Ints out_size, Ints stride, Ints length, int64_t groups,
                                      bool circular, std::optional<Tensor> bias) {
  constexpr const char* kName = "fourier_mixed_conv";
  STD_TORCH_CHECK(x.dim() >= 3 && x.size(0) > 0 && weight.dim() == 3 && x.size(1) == weight.size(1) * groups, kName,
                  ": shapes of x and weight do not fit, or the batch is empty");
  const int64_t lattice = offsets.numel() / (x.dim() - 2);
  const bool last = is_channels_last(x);
  const Call call(kName, spatial_of(x), out_size, stride, length, numbers(kName, offsets), x.size(0), x.size(1),
                  weight.size(0), groups, lattice, circular, {last, last});
  const MixCall mix(kName, weight.size(0) * weight.size(1), weight.size(2), lattice, index, counts);
  mix.check_mixture(x, mixture);
  check_alike(kName, x, weight);
  const Tensor weights = made_contiguous(weight), shares = made_contiguous(mixture);
  const Tensor taps = torch::stable::new_empty(weight, Ints{weight.size(0), weight.size(1), lattice});
  const Tensor y = new_result(x, shape(x.size(0), weight.size(0), out_size), last);
  call.run(
      kName, ConvOp::forward, {x, taps, y, bias}, mix.bytes(),
      [&](const auto& table, void* workspace, const Workers& workers) {
        mix.mix_taps(table, weights, shares, taps, workspace, workers);
      },
      [](const auto&, void*, const Workers&) {});
  return {y, taps};
}

// fourier_tap_conv_grads and cpu_mix_grads: the gradients of x, weight, mixture and a bias.
std::tuple<Tensor, Tensor, Tensor, Tensor> mixed_conv_grads(Tensor grad, Tensor taps, Tensor x, Tensor weight,
                                                            Tensor mixture, Tensor index, Ints counts, Tensor offsets,
                                                            Ints stride, Ints length, int64_t groups, bool circular) {
  constexpr const char* kName = "fourier_mixed_conv_grads";
  STD_TORCH_CHECK(grad.dim() >= 3 && grad.dim() == x.dim() && grad.size(0) == x.size(0) && x.size(0) > 0 &&
                      taps.dim() == 3 && grad.size(1) == taps.size(0) && x.size(1) == taps.size(1) * groups,
                  kName, ": shapes of grad, taps and x do not fit, or the batch is empty");
  check_same_rows(kName, taps, weight);
  const Call call(kName, spatial_of(x), spatial_of(grad), stride, length, numbers(kName, offsets), x.size(0), x.size(1),
                  grad.size(1), groups, taps.size(2), circular, {is_channels_last(x), is_channels_last(grad)});
  const MixCall mix(kName, weight.size(0) * weight.size(1), weight.size(2), taps.size(2), index, counts);
  mix.check_mixture(grad, mixture);
  check_alike(kName, grad, weight);
  const Tensor weights = made_contiguous(weight), shares = made_contiguous(mixture);
  const Tensor of_x = new_result(grad, shape(x.size(0), x.size(1), spatial_of(x)), is_channels_last(x));
  const Tensor of_bias = new_bias_gradient(grad);
  const Tensor of_taps = torch::stable::new_empty(taps, Ints{taps.size(0), taps.size(1), taps.size(2)});
  const Tensor of_weight = new_result(grad, Ints{weight.size(0), weight.size(1), weight.size(2)});
  const Tensor of_mixture = torch::stable::new_empty(grad, Ints{mix.problem.candidates});
  call.run(
      kName, ConvOp::both_grads, {grad, taps, of_x, std::nullopt, of_bias, x, of_taps}, mix.bytes(),
      [](const auto&, void*, const Workers&) {},
      [&](const auto& table, void* workspace, const Workers& workers) {
        mix.mix_grads(table, {of_taps, weights, shares}, of_weight, of_mixture, workspace, workers);
      });
  return {of_x, of_weight, of_mixture, of_bias};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(dash_kernels, m) {
  m.def(
      "fourier_tap_conv(Tensor x, Tensor taps, Tensor offsets, int[] out_size, int[] stride, int[] length, int groups, "
      "bool circular, Tensor? bias=None) -> Tensor");
  m.def(
      "fourier_tap_conv_input_grad(Tensor grad, Tensor taps, Tensor offsets, int[] input_size, int[] stride, int[] "
      "length, int groups, bool circular) -> Tensor");
  m.def(
      "fourier_tap_conv_weight_grad(Tensor grad, Tensor x, Tensor offsets, int[] stride, int[] length, int groups, "
      "bool circular) -> Tensor");
  m.def(
      "fourier_tap_conv_weight_bias_grad(Tensor grad, Tensor x, Tensor offsets, int[] stride, int[] length, int "
      "groups, bool circular) -> (Tensor, Tensor)");
  m.def(
      "fourier_tap_conv_grads(Tensor grad, Tensor taps, Tensor x, Tensor offsets, int[] stride, int[] length, int "
      "groups, bool circular) -> (Tensor, Tensor, Tensor)");
  m.def(
      "fourier_mixed_conv(Tensor x, Tensor weight, Tensor mixture, Tensor index, int[] counts, Tensor offsets, int[] "
      "out_size, int[] stride, int[] length, int groups, bool circular, Tensor? bias=None) -> (Tensor, Tensor)");
  m.def(
      "fourier_mixed_conv_grads(Tensor grad, Tensor taps, Tensor x, Tensor weight, Tensor mixture, Tensor index, int[] "
      "counts, Tensor offsets, int[] stride, int[] length, int groups, bool circular) -> (Tensor, Tensor, Tensor, "
      "Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(dash_kernels, CPU, m) {
  m.impl("fourier_tap_conv", TORCH_BOX(&tap_conv));
  m.impl("fourier_tap_conv_input_grad", TORCH_BOX(&tap_conv_input_grad));
  m.impl("fourier_tap_conv_weight_grad", TORCH_BOX(&tap_conv_weight_grad));
  m.impl("fourier_tap_conv_weight_bias_grad", TORCH_BOX(&tap_conv_weight_bias_grad));
  m.impl("fourier_tap_conv_grads", TORCH_BOX(&tap_conv_grads));
  m.impl("fourier_mixed_conv", TORCH_BOX(&mixed_conv));
  m.impl("fourier_mixed_conv_grads", TORCH_BOX(&mixed_conv_grads));
}

}  // namespace dash
