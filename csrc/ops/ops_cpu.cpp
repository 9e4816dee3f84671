// SPDX-License-Identifier: BSD-3-Clause
// The compiled CPU operators, registered against torch's stable ABI: tensor checks, workspace and threads, nothing
// else. They have no autograd of their own: dash_kernels.ops wraps them.
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "../core/plan.h"
#include "convolution.h"
#include "tensors.h"
#include "workspace.h"

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

  void run(const char* op, ConvOp which, const ConvTensors& tensors) const {
    const SortedTaps sorted(problem, offsets.data());
    const TapList taps = sorted.list();
    run_convolution(
        op, tensors, [&](const auto& table, int64_t count) { return table.workspace(which, problem, taps, count); },
        [&](const auto& table, const auto& operands, void* workspace, const Workers& workers) {
          table.convolve(which, problem, taps, operands, workspace, workers);
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

struct MixCall {
  const char* op;
  Ints index;
  MixProblem problem;
  int64_t count;  // of workers

  static constexpr int64_t kCheap = 4;  // so many numbers are mixed while one is convolved

  MixCall(const char* name, int64_t rows, int64_t packed, int64_t lattice, const Tensor& index_tensor,
          const Ints& counts)
      : op(name), index(numbers(name, index_tensor)),
        problem{rows, packed, lattice, static_cast<int64_t>(counts.size()), index.data(), counts.data()},
        count(worker_count(rows * packed / kCheap)) {
    STD_TORCH_CHECK(static_cast<int64_t>(index.size()) == packed, op, ": index has ", index.size(), " entries for ",
                    packed, " packed taps");
    int64_t total = 0;
    for (int64_t count : counts) {
      STD_TORCH_CHECK(count >= 0, op, ": counts must not be negative");
      total += count;
    }
    STD_TORCH_CHECK(total == packed, op, ": counts sum to ", total, " for ", packed, " packed taps");
    for (int64_t at : index)
      STD_TORCH_CHECK(at >= -1 && at < lattice, op, ": index ", at, " is outside the lattice of ", lattice, " taps");
  }

  // body(table, left, right, workspace, workers), with pointers to contiguous operands.
  template <class Run>
  void run(const Tensor& a, const Tensor& b, const Run& body) const {
    const Tensor left = made_contiguous(a), right = made_contiguous(b);
    dispatch(op, left, right, [&](auto type) {
      using T = decltype(type);
      const KernelTable<T>& table = kernels<T>(isa_in_use());
      const Workspace workspace(static_cast<size_t>(table.mix_workspace(problem, count)));
      with_workers(count, [&](const Workers& workers) {
        body(table, left.const_data_ptr<T>(), right.const_data_ptr<T>(), workspace.data(), workers);
      });
    });
  }
};

template <class T>
std::decay_t<T>* out(const Tensor& tensor) {
  return tensor.mutable_data_ptr<std::decay_t<T>>();
}

void check_same_rows(const char* op, const Tensor& grad, const Tensor& weight) {
  STD_TORCH_CHECK(
      grad.dim() == 3 && weight.dim() == 3 && grad.size(0) == weight.size(0) && grad.size(1) == weight.size(1), op,
      ": grad and weight must be 3-D with the same channels");
}

Tensor mix_taps(Tensor weight, Tensor mixture, Tensor index, Ints counts, int64_t lattice_size) {
  STD_TORCH_CHECK(weight.dim() == 3 && mixture.dim() == 1 && mixture.size(0) == static_cast<int64_t>(counts.size()),
                  "cpu_mix_taps: weight must be 3-D and mixture 1-D with one entry per candidate");
  const MixCall call("cpu_mix_taps", weight.size(0) * weight.size(1), weight.size(2), lattice_size, index, counts);
  const Tensor taps = torch::stable::new_empty(weight, Ints{weight.size(0), weight.size(1), lattice_size});
  call.run(weight, mixture,
           [&](const auto& table, const auto* w, const auto* m, void* workspace, const Workers& workers) {
             table.mix_taps(call.problem, w, m, out<decltype(*m)>(taps), workspace, workers);
           });
  return taps;
}

Tensor gather_taps(Tensor grad, Tensor mixture, Tensor index, Ints counts) {
  STD_TORCH_CHECK(grad.dim() == 3 && mixture.dim() == 1 && mixture.size(0) == static_cast<int64_t>(counts.size()),
                  "cpu_gather_taps: grad must be 3-D and mixture 1-D with one entry per candidate");
  const MixCall call("cpu_gather_taps", grad.size(0) * grad.size(1), static_cast<int64_t>(index.numel()), grad.size(2),
                     index, counts);
  const Tensor weight = new_result(grad, Ints{grad.size(0), grad.size(1), call.problem.packed});
  call.run(grad, mixture,
           [&](const auto& table, const auto* g, const auto* m, void* workspace, const Workers& workers) {
             table.mix_grads(call.problem, g, nullptr, m, out<decltype(*m)>(weight), nullptr, workspace, workers);
           });
  return weight;
}

Tensor mixture_grad(Tensor grad, Tensor weight, Tensor index, Ints counts) {
  check_same_rows("cpu_mixture_grad", grad, weight);
  const MixCall call("cpu_mixture_grad", grad.size(0) * grad.size(1), weight.size(2), grad.size(2), index, counts);
  const Tensor mixture = torch::stable::new_empty(grad, Ints{call.problem.candidates});
  call.run(grad, weight, [&](const auto& table, const auto* g, const auto* w, void* workspace, const Workers& workers) {
    table.mix_grads(call.problem, g, w, nullptr, nullptr, out<decltype(*w)>(mixture), workspace, workers);
  });
  return mixture;
}

// gather_taps and mixture_grad in one pass over weights and gradients.
std::tuple<Tensor, Tensor> mix_grads(Tensor grad, Tensor weight, Tensor mixture, Tensor index, Ints counts) {
  check_same_rows("cpu_mix_grads", grad, weight);
  STD_TORCH_CHECK(mixture.dim() == 1 && mixture.size(0) == static_cast<int64_t>(counts.size()),
                  "cpu_mix_grads: mixture must be 1-D with one entry per candidate");
  check_alike("cpu_mix_grads", grad, mixture);
  const MixCall call("cpu_mix_grads", grad.size(0) * grad.size(1), weight.size(2), grad.size(2), index, counts);
  const Tensor shares = made_contiguous(mixture);
  const Tensor of_weight = new_result(grad, Ints{grad.size(0), grad.size(1), call.problem.packed});
  const Tensor of_mixture = torch::stable::new_empty(grad, Ints{call.problem.candidates});
  call.run(grad, weight, [&](const auto& table, const auto* g, const auto* w, void* workspace, const Workers& workers) {
    using T = std::decay_t<decltype(*w)>;
    table.mix_grads(call.problem, g, w, shares.const_data_ptr<T>(), out<T>(of_weight), out<T>(of_mixture), workspace,
                    workers);
  });
  return {of_weight, of_mixture};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(dash_kernels, m) {
  m.def(
      "fourier_tap_conv(Tensor x, Tensor taps, Tensor offsets, int[] out_size, int[] stride, int[] length, int groups, "
      "bool circular, Tensor? bias=None) -> Tensor");
  m.def(
      "fourier_tap_conv_input_grad(Tensor grad, Tensor taps, Tensor offsets, int[] input_size, int[] stride, int[] "
      "length, int groups, "
      "bool circular) -> Tensor");
  m.def(
      "fourier_tap_conv_weight_grad(Tensor grad, Tensor x, Tensor offsets, int[] stride, int[] length, int groups, "
      "bool circular) -> Tensor");
  m.def(
      "fourier_tap_conv_weight_bias_grad(Tensor grad, Tensor x, Tensor offsets, int[] stride, int[] length, int "
      "groups, bool circular) -> (Tensor, Tensor)");
  m.def(
      "fourier_tap_conv_grads(Tensor grad, Tensor taps, Tensor x, Tensor offsets, int[] stride, int[] length, int "
      "groups, bool circular) -> (Tensor, Tensor, Tensor)");
  m.def("cpu_mix_taps(Tensor weight, Tensor mixture, Tensor index, int[] counts, int lattice_size) -> Tensor");
  m.def("cpu_gather_taps(Tensor grad, Tensor mixture, Tensor index, int[] counts) -> Tensor");
  m.def("cpu_mixture_grad(Tensor grad, Tensor weight, Tensor index, int[] counts) -> Tensor");
  m.def("cpu_mix_grads(Tensor grad, Tensor weight, Tensor mixture, Tensor index, int[] counts) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(dash_kernels, CPU, m) {
  m.impl("fourier_tap_conv", TORCH_BOX(&tap_conv));
  m.impl("fourier_tap_conv_input_grad", TORCH_BOX(&tap_conv_input_grad));
  m.impl("fourier_tap_conv_weight_grad", TORCH_BOX(&tap_conv_weight_grad));
  m.impl("fourier_tap_conv_weight_bias_grad", TORCH_BOX(&tap_conv_weight_bias_grad));
  m.impl("fourier_tap_conv_grads", TORCH_BOX(&tap_conv_grads));
  m.impl("cpu_mix_taps", TORCH_BOX(&mix_taps));
  m.impl("cpu_gather_taps", TORCH_BOX(&gather_taps));
  m.impl("cpu_mixture_grad", TORCH_BOX(&mixture_grad));
  m.impl("cpu_mix_grads", TORCH_BOX(&mix_grads));
}

}  // namespace dash
