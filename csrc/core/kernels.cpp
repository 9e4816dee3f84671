// SPDX-License-Identifier: BSD-3-Clause
// The kernels of one instruction set. The build compiles this file once per set, with DASH_ISA naming it and the flags
// to match.
#include "bias.h"
#include "dense_grads.h"
#include "depthwise_weights.h"
#include "direct.h"
#include "isa.h"
#include "mix.h"

namespace dash {
namespace DASH_ISA {
namespace {

bool is_depthwise(const ConvProblem& p) {
  return p.groups > 1 && p.in_channels == p.groups;
}

// body(part, first sample) for parts of the batch whose spectra are small enough to be kept from call to call.
template <class T, class Body>
void for_each_part(const ConvProblem& problem, const Body& body) {
  const int64_t most = part_of_batch<T>(problem);
  ConvProblem part = problem;
  for (int64_t first = 0; first < problem.batch; first += most) {
    part.batch = smaller(most, problem.batch - first);
    body(part, first);
  }
}

// Bytes of workspace that an algorithm needs.
template <class Form>
int64_t bytes_of(const Form& form, int64_t workers) {
  Arena measure(nullptr);
  form.make_workspace(measure, workers);
  return measure.used();
}

// Both gradients of a large batch are computed alike in all its parts.
template <class T>
Together together(ConvOp op, const ConvProblem& problem, const TapList& taps) {
  if (op != ConvOp::both_grads || is_depthwise(problem)) return Together::no;
  ConvProblem part = problem;
  part.batch = smaller(problem.batch, part_of_batch<T>(problem));
  return DenseGrads<T>::cheapest(part, taps);
}

template <class T>
int64_t workspace(ConvOp op, const ConvProblem& problem, const TapList& taps, int64_t workers) {
  const Together how = together<T>(op, problem, taps);
  const bool shared = how != Together::no, weight_grad = op == ConvOp::weight_grad;
  if (op == ConvOp::both_grads && !shared)
    return larger(workspace<T>(ConvOp::input_grad, problem, taps, workers),
                  workspace<T>(ConvOp::weight_grad, problem, taps, workers));
  if (is_depthwise(problem))
    return weight_grad ? bytes_of(DepthwiseWeightGrad<T>(problem, taps), workers)
                       : bytes_of(Depthwise<T>(problem, taps), workers);
  int64_t most = 0;
  for_each_part<T>(problem, [&](const ConvProblem& part, int64_t) {
    const WeightFactors alone = WeightSides<T>::cheaper(part);
    most = larger(most, shared        ? bytes_of(DenseGrads<T>(part, taps, how), workers)
                        : weight_grad ? bytes_of(DenseWeightGrad<T>(part, taps, alone), workers)
                                      : bytes_of(DenseTransfer<T>(part, taps, op == ConvOp::forward), workers));
  });
  return most;
}

template <class T>
void convolve(ConvOp op, const ConvProblem& problem, const TapList& taps, const Operands<T>& o, void* buffer,
              const Workers& workers) {
  const Together how = together<T>(op, problem, taps);
  const bool shared = how != Together::no;
  if (op == ConvOp::both_grads && !shared) {
    convolve<T>(ConvOp::input_grad, problem, taps, {o.a, o.b, o.result}, buffer, workers);
    const Operands<T> of_taps = {o.a, o.x, o.taps_gradient, nullptr, o.bias_gradient};
    return convolve<T>(ConvOp::weight_grad, problem, taps, of_taps, buffer, workers);
  }
  if (is_depthwise(problem)) {
    if (op == ConvOp::forward) Depthwise<T>(problem, taps).forward(o.a, o.b, o.bias, o.result, buffer, workers);
    if (op == ConvOp::input_grad) Depthwise<T>(problem, taps).input_grad(o.a, o.b, o.result, buffer, workers);
    if (op == ConvOp::weight_grad)
      DepthwiseWeightGrad<T>(problem, taps).run(o.a, o.b, o.result, o.bias_gradient, buffer, workers);
    return;
  }
  const int64_t in = problem.in_channels * problem.in[0] * problem.in[1];
  const int64_t out = problem.out_channels * problem.out[0] * problem.out[1];
  for_each_part<T>(problem, [&](const ConvProblem& part, int64_t first) {
    const bool add = first > 0;
    if (op == ConvOp::forward)
      DenseTransfer<T>(part, taps, true).run(o.a + first * in, o.b, o.bias, o.result + first * out, buffer, workers);
    if (op == ConvOp::input_grad)
      DenseTransfer<T>(part, taps, false).run(o.a + first * out, o.b, nullptr, o.result + first * in, buffer, workers);
    if (op == ConvOp::weight_grad)
      DenseWeightGrad<T>(part, taps, WeightSides<T>::cheaper(part))
          .run(o.a + first * out, o.b + first * in, o.result, o.bias_gradient, add, buffer, workers);
    if (shared)
      DenseGrads<T>(part, taps, how)
          .run({o.a + first * out, o.b, o.x + first * in}, {o.result + first * in, o.taps_gradient, o.bias_gradient},
               add, buffer, workers);
  });
}

template <class T>
Bias<T> bias_of(const DirectProblem& p) {
  return {p.batch, p.out_channels, p.out[0] * p.out[1] * p.out[2], p.out_maps.pixel > 1};
}

// Behind the workspace of the sums themselves, that of the gradient of a bias.
template <class T>
int64_t direct_workspace(ConvOp op, const DirectProblem& problem, const TapTable& table, int64_t workers) {
  int64_t bytes = 0;
  with_direct<T>(op, problem, table, [&](const auto& form) { bytes = bytes_of(form, workers); });
  return bytes + bias_of<T>(problem).scratch(workers) * static_cast<int64_t>(sizeof(double));
}
template <class T>
void direct_convolve(ConvOp op, const DirectProblem& problem, const TapTable& table, const Operands<T>& o, void* buffer,
                     const Workers& workers) {
  int64_t bytes = 0;
  with_direct<T>(op, problem, table, [&](const auto& form) {
    bytes = bytes_of(form, workers.count);
    form.run(o.a, o.b, o.result, buffer, workers);
  });
  const Bias<T> bias = bias_of<T>(problem);
  if (o.bias) bias.add(o.bias, o.result, workers);
  if (o.bias_gradient)
    bias.gradient(o.a, o.bias_gradient, reinterpret_cast<double*>(static_cast<char*>(buffer) + bytes), workers);
}

template <class T>
int64_t mix_workspace(const MixProblem& problem, int64_t workers) {
  return bytes_of(Mix<T>{problem}, workers);
}
template <class T>
void mix_taps(const MixProblem& problem, const T* weight, const T* mixture, T* taps, void* buffer,
              const Workers& workers) {
  Mix<T>{problem}.mix_taps(weight, mixture, taps, buffer, workers);
}
template <class T>
void mix_grads(const MixProblem& problem, const T* gradient, const T* weight, const T* mixture, T* of_weight,
               T* of_mixture, void* buffer, const Workers& workers) {
  Mix<T>{problem}.mix_grads(gradient, weight, mixture, of_weight, of_mixture, buffer, workers);
}

template <class T>
constexpr KernelTable<T> kTable = {workspace<T>,     convolve<T>, direct_workspace<T>, direct_convolve<T>,
                                   mix_workspace<T>, mix_taps<T>, mix_grads<T>};

}  // namespace

extern const KernelTable<float> float_kernels;
extern const KernelTable<double> double_kernels;
const KernelTable<float> float_kernels = kTable<float>;
const KernelTable<double> double_kernels = kTable<double>;

}  // namespace DASH_ISA
}  // namespace dash
