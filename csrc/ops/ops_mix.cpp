// SPDX-License-Identifier: BSD-3-Clause
// The operators that make a mixture of logits, mix packed candidate kernels, and pass gradients back. Like those of
// ops_fourier.cpp they have no autograd.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

#include "mixing.h"

namespace dash {
namespace {

constexpr int64_t kCheap = 4;  // so many numbers are mixed while one is convolved

// body(table, workspace, workers)
template <class Body>
void run(const MixCall& call, const Tensor& like, const Body& body) {
  const int64_t count = worker_count(call.problem.rows * call.problem.packed / kCheap);
  dispatch(call.op, like, like, [&](auto type) {
    const auto& table = kernels<decltype(type)>(isa_in_use());
    const Workspace workspace(static_cast<size_t>(call.bytes()(table, count)));
    with_workers(count, [&](const Workers& workers) { body(table, workspace.data(), workers); });
  });
}
void run_grads(const MixCall& call, const MixCall::Mixed& of, const std::optional<Tensor>& of_weight,
               const std::optional<Tensor>& of_mixture) {
  run(call, of.gradient, [&](const auto& table, void* workspace, const Workers& workers) {
    call.mix_grads(table, of, of_weight, of_mixture, workspace, workers);
  });
}

Tensor mix_taps(Tensor weight, Tensor mixture, Tensor index, Ints counts, int64_t lattice_size) {
  STD_TORCH_CHECK(weight.dim() == 3, "cpu_mix_taps: weight must be 3-D");
  const MixCall call("cpu_mix_taps", weight.size(0) * weight.size(1), weight.size(2), lattice_size, index, counts);
  call.check_mixture(weight, mixture);
  const Tensor weights = made_contiguous(weight), shares = made_contiguous(mixture);
  const Tensor taps = torch::stable::new_empty(weight, Ints{weight.size(0), weight.size(1), lattice_size});
  run(call, weight, [&](const auto& table, void* workspace, const Workers& workers) {
    call.mix_taps(table, weights, shares, taps, workspace, workers);
  });
  return taps;
}

Tensor gather_taps(Tensor grad, Tensor mixture, Tensor index, Ints counts) {
  STD_TORCH_CHECK(grad.dim() == 3, "cpu_gather_taps: grad must be 3-D");
  const MixCall call("cpu_gather_taps", grad.size(0) * grad.size(1), static_cast<int64_t>(index.numel()), grad.size(2),
                     index, counts);
  call.check_mixture(grad, mixture);
  const Tensor weight = new_result(grad, Ints{grad.size(0), grad.size(1), call.problem.packed});
  run_grads(call, {made_contiguous(grad), std::nullopt, made_contiguous(mixture)}, weight, std::nullopt);
  return weight;
}

Tensor mixture_grad(Tensor grad, Tensor weight, Tensor index, Ints counts) {
  check_same_rows("cpu_mixture_grad", grad, weight);
  const MixCall call("cpu_mixture_grad", grad.size(0) * grad.size(1), weight.size(2), grad.size(2), index, counts);
  check_alike(call.op, grad, weight);
  const Tensor mixture = torch::stable::new_empty(grad, Ints{call.problem.candidates});
  run_grads(call, {made_contiguous(grad), made_contiguous(weight), std::nullopt}, std::nullopt, mixture);
  return mixture;
}

// gather_taps and mixture_grad in one pass over weights and gradients.
std::tuple<Tensor, Tensor> mix_grads(Tensor grad, Tensor weight, Tensor mixture, Tensor index, Ints counts) {
  check_same_rows("cpu_mix_grads", grad, weight);
  const MixCall call("cpu_mix_grads", grad.size(0) * grad.size(1), weight.size(2), grad.size(2), index, counts);
  check_alike(call.op, grad, weight);
  call.check_mixture(grad, mixture);
  const Tensor of_weight = new_result(grad, Ints{grad.size(0), grad.size(1), call.problem.packed});
  const Tensor of_mixture = torch::stable::new_empty(grad, Ints{call.problem.candidates});
  run_grads(call, {made_contiguous(grad), made_contiguous(weight), made_contiguous(mixture)}, of_weight, of_mixture);
  return {of_weight, of_mixture};
}

// softmax((logits - log(noise)) / temperature), in double precision; noise of 0 counts as the least number above it.
Tensor mixture(Tensor logits, std::optional<Tensor> noise, double temperature) {
  constexpr const char* kName = "cpu_mixture";
  STD_TORCH_CHECK(temperature > 0, kName, ": temperature must be positive");
  STD_TORCH_CHECK(logits.dim() == 1 && (!noise || (noise->dim() == 1 && noise->size(0) == logits.size(0))), kName,
                  ": logits and noise must be 1-D and of one length");
  const Tensor from = made_contiguous(logits), with = noise ? made_contiguous(*noise) : from;
  const Tensor result = torch::stable::new_empty(from, Ints{from.size(0)});
  dispatch(kName, from, with, [&](auto type) {
    using T = decltype(type);
    const int64_t count = from.size(0);
    std::vector<double> score(from.const_data_ptr<T>(), from.const_data_ptr<T>() + count);
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      double& own = score[static_cast<size_t>(i)];
      if (noise) own -= std::log(std::max<double>(with.const_data_ptr<T>()[i], std::numeric_limits<T>::min()));
      own /= temperature;
      most = std::max(most, own);
    }
    for (double& own : score)
      sum += own = std::exp(own - most);
    for (int64_t i = 0; i < count; ++i)
      result.mutable_data_ptr<T>()[i] = static_cast<T>(score[static_cast<size_t>(i)] / sum);
  });
  return result;
}

// The gradient of its logits.
Tensor logits_grad(Tensor grad, Tensor mixture, double temperature) {
  constexpr const char* kName = "cpu_logits_grad";
  STD_TORCH_CHECK(temperature > 0, kName, ": temperature must be positive");
  STD_TORCH_CHECK(grad.dim() == 1 && mixture.dim() == 1 && grad.size(0) == mixture.size(0), kName,
                  ": grad and mixture must be 1-D and of one length");
  const Tensor left = made_contiguous(grad), right = made_contiguous(mixture);
  const Tensor result = torch::stable::new_empty(left, Ints{left.size(0)});
  dispatch(kName, left, right, [&](auto type) {
    using T = decltype(type);
    const T *const g = left.const_data_ptr<T>(), *const m = right.const_data_ptr<T>();
    double mean = 0;
    for (int64_t i = 0; i < left.size(0); ++i)
      mean += static_cast<double>(g[i]) * m[i];
    for (int64_t i = 0; i < left.size(0); ++i)
      result.mutable_data_ptr<T>()[i] = static_cast<T>(m[i] * (g[i] - mean) / temperature);
  });
  return result;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(dash_kernels, m) {
  m.def("cpu_mix_taps(Tensor weight, Tensor mixture, Tensor index, int[] counts, int lattice_size) -> Tensor");
  m.def("cpu_gather_taps(Tensor grad, Tensor mixture, Tensor index, int[] counts) -> Tensor");
  m.def("cpu_mixture_grad(Tensor grad, Tensor weight, Tensor index, int[] counts) -> Tensor");
  m.def("cpu_mix_grads(Tensor grad, Tensor weight, Tensor mixture, Tensor index, int[] counts) -> (Tensor, Tensor)");
  m.def("cpu_mixture(Tensor logits, Tensor? noise, float temperature) -> Tensor");
  m.def("cpu_logits_grad(Tensor grad, Tensor mixture, float temperature) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(dash_kernels, CPU, m) {
  m.impl("cpu_mix_taps", TORCH_BOX(&mix_taps));
  m.impl("cpu_gather_taps", TORCH_BOX(&gather_taps));
  m.impl("cpu_mixture_grad", TORCH_BOX(&mixture_grad));
  m.impl("cpu_mix_grads", TORCH_BOX(&mix_grads));
  m.impl("cpu_mixture", TORCH_BOX(&mixture));
  m.impl("cpu_logits_grad", TORCH_BOX(&logits_grad));
}

}  // namespace dash
