// SPDX-License-Identifier: BSD-3-Clause
// The operators of the direct sums. Like those of ops_fourier.cpp they check, find memory and threads, and have no
// autograd.
#include <memory>
#include <optional>
#include <tuple>

#include "../core/direct_plan.h"
#include "../core/memo.h"
#include "convolution.h"
#include "tensors.h"
#include "workspace.h"

namespace dash {
namespace {

struct DirectCall {
  const char* op;
  ConvOp which;
  DirectProblem problem{};
  Ints offsets;  // three per tap

  DirectCall(const char* name, ConvOp op_of, const Ints& in, const Ints& out, const Ints& stride,
             const Ints& flat_offsets, int64_t batch, int64_t in_channels, int64_t out_channels, int64_t groups,
             int64_t num_taps, bool circular, const ChannelsLast& last)
      : op(name), which(op_of) {
    const size_t axes = in.size();
    STD_TORCH_CHECK(axes >= 1 && axes <= 3 && out.size() == axes && stride.size() == axes, op,
                    ": sizes and stride must have one entry per axis of a 1-D, 2-D or 3-D map");
    describe(problem, op, flat_offsets, axes, batch, in_channels, out_channels, groups, num_taps, circular);
    put_axes(in, problem.in);
    put_axes(out, problem.out);
    put_axes(stride, problem.stride);
    lay_out(problem, problem.in[0] * problem.in[1] * problem.in[2], problem.out[0] * problem.out[1] * problem.out[2],
            last);
    check_problem(which, problem);
    offsets = offset_triples(flat_offsets, axes);
  }

  std::shared_ptr<const DirectPlan> plan() const {
    const auto &in = problem.in, &out = problem.out, &step = problem.stride;
    return Memo<DirectPlan>::one().get(memo_key({static_cast<int64_t>(which), problem.circular, in[0], in[1], in[2],
                                                 out[0], out[1], out[2], step[0], step[1], step[2]},
                                                offsets),
                                       [&] { return DirectPlan(which, problem, offsets.data()); });
  }

  void run(const ConvTensors& tensors) const {
    const std::shared_ptr<const DirectPlan> made = plan();
    run_convolution(
        op, tensors,
        [&](const auto& table, int64_t count) { return table.direct_workspace(which, problem, made->table(), count); },
        [&](const auto& table, const auto& operands, void* workspace, const Workers& workers) {
          table.direct_convolve(which, problem, made->table(), operands, workspace, workers);
        });
  }
};

Tensor direct_tap_conv(Tensor x, Tensor taps, Tensor offsets, Ints out_size, Ints stride, int64_t groups, bool circular,
                       std::optional<Tensor> bias) {
  constexpr const char* kName = "direct_tap_conv";
  STD_TORCH_CHECK(x.dim() >= 3 && taps.dim() == 3 && groups > 0 && x.size(1) == taps.size(1) * groups, kName,
                  ": shapes of x and taps do not fit");
  const bool last = is_channels_last(x);
  const DirectCall call(kName, ConvOp::forward, spatial_of(x), out_size, stride, numbers(kName, offsets), x.size(0),
                        x.size(1), taps.size(0), groups, taps.size(2), circular, {last, last});
  const Tensor y = new_result(x, shape(x.size(0), taps.size(0), out_size), last);
  call.run({x, taps, y, bias});
  return y;
}

Tensor direct_tap_conv_input_grad(Tensor grad, Tensor taps, Tensor offsets, Ints input_size, Ints stride,
                                  int64_t groups, bool circular) {
  constexpr const char* kName = "direct_tap_conv_input_grad";
  STD_TORCH_CHECK(grad.dim() >= 3 && taps.dim() == 3 && grad.size(1) == taps.size(0), kName,
                  ": shapes of grad and taps do not fit");
  const int64_t in_channels = taps.size(1) * groups;
  const bool last = is_channels_last(grad);
  const DirectCall call(kName, ConvOp::input_grad, input_size, spatial_of(grad), stride, numbers(kName, offsets),
                        grad.size(0), in_channels, taps.size(0), groups, taps.size(2), circular, {last, last});
  const Tensor x = new_result(grad, shape(grad.size(0), in_channels, input_size), last);
  call.run({grad, taps, x});
  return x;
}

// Beside the gradient of the taps that of a bias, if there is one.
Tensor weight_grad(const char* op, const Tensor& grad, const Tensor& x, const Tensor& offsets, const Ints& stride,
                   int64_t groups, bool circular, const std::optional<Tensor>& bias_gradient) {
  STD_TORCH_CHECK(
      grad.dim() >= 3 && grad.dim() == x.dim() && grad.size(0) == x.size(0) && groups > 0 && x.size(1) % groups == 0,
      op, ": shapes of grad and x do not fit");
  const int64_t num_taps = offsets.numel() / (x.dim() - 2);
  const DirectCall call(op, ConvOp::weight_grad, spatial_of(x), spatial_of(grad), stride, numbers(op, offsets),
                        x.size(0), x.size(1), grad.size(1), groups, num_taps, circular,
                        {is_channels_last(x), is_channels_last(grad)});
  const Tensor taps = torch::stable::new_empty(x, Ints{grad.size(1), x.size(1) / groups, num_taps});
  call.run({grad, x, taps, std::nullopt, bias_gradient});
  return taps;
}

Tensor direct_tap_conv_weight_grad(Tensor grad, Tensor x, Tensor offsets, Ints stride, int64_t groups, bool circular) {
  return weight_grad("direct_tap_conv_weight_grad", grad, x, offsets, stride, groups, circular, std::nullopt);
}

std::tuple<Tensor, Tensor> direct_tap_conv_weight_bias_grad(Tensor grad, Tensor x, Tensor offsets, Ints stride,
                                                            int64_t groups, bool circular) {
  constexpr const char* kName = "direct_tap_conv_weight_bias_grad";
  STD_TORCH_CHECK(grad.dim() >= 3, kName, ": shapes of grad and x do not fit");
  const Tensor bias = new_bias_gradient(grad);
  return {weight_grad(kName, grad, x, offsets, stride, groups, circular, bias), bias};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(dash_kernels, m) {
  m.def(
      "direct_tap_conv(Tensor x, Tensor taps, Tensor offsets, int[] out_size, int[] stride, int groups, bool circular, "
      "Tensor? bias=None) -> Tensor");
  m.def(
      "direct_tap_conv_input_grad(Tensor grad, Tensor taps, Tensor offsets, int[] input_size, int[] stride, int "
      "groups, bool circular) -> Tensor");
  m.def(
      "direct_tap_conv_weight_grad(Tensor grad, Tensor x, Tensor offsets, int[] stride, int groups, bool circular) "
      "-> Tensor");
  m.def(
      "direct_tap_conv_weight_bias_grad(Tensor grad, Tensor x, Tensor offsets, int[] stride, int groups, bool "
      "circular) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(dash_kernels, CPU, m) {
  m.impl("direct_tap_conv", TORCH_BOX(&direct_tap_conv));
  m.impl("direct_tap_conv_input_grad", TORCH_BOX(&direct_tap_conv_input_grad));
  m.impl("direct_tap_conv_weight_grad", TORCH_BOX(&direct_tap_conv_weight_grad));
  m.impl("direct_tap_conv_weight_bias_grad", TORCH_BOX(&direct_tap_conv_weight_bias_grad));
}

}  // namespace dash
