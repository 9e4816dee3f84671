// SPDX-License-Identifier: BSD-3-Clause
// The kernels of one instruction set. The build compiles this file once per set, with DASH_ISA naming it and the flags
// to match.
#include "bias.h"
#include "dense_weights.h"
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

template <class T>
int64_t workspace(ConvOp op, const ConvProblem& problem, const TapList& taps, int64_t workers) {
  const bool weight_grad = op == ConvOp::weight_grad;
  if (is_depthwise(problem))
    return weight_grad ? bytes_of(DepthwiseWeightGrad<T>(problem, taps), workers)
                       : bytes_of(Depthwise<T>(problem, taps), workers);
  int64_t most = 0;
  for_each_part<T>(problem, [&](const ConvProblem& part, int64_t) {
    most = larger(most, weight_grad ? bytes_of(DenseWeightGrad<T>(part, taps), workers)
                                    : bytes_of(DenseTransfer<T>(part, taps, op == ConvOp::forward), workers));
  });
  return most;
}

template <class T>
void convolve(ConvOp op, const ConvProblem& problem, const TapList& taps, const T* a, const T* b, T* result,
              void* buffer, const Workers& workers) {
  if (is_depthwise(problem)) {
    if (op == ConvOp::forward) Depthwise<T>(problem, taps).forward(a, b, result, buffer, workers);
    if (op == ConvOp::input_grad) Depthwise<T>(problem, taps).input_grad(a, b, result, buffer, workers);
    if (op == ConvOp::weight_grad) DepthwiseWeightGrad<T>(problem, taps).run(a, b, result, buffer, workers);
    return;
  }
  const int64_t in = problem.in_channels * problem.in[0] * problem.in[1];
  const int64_t out = problem.out_channels * problem.out[0] * problem.out[1];
  for_each_part<T>(problem, [&](const ConvProblem& part, int64_t first) {
    if (op == ConvOp::forward)
      DenseTransfer<T>(part, taps, true).run(a + first * in, b, result + first * out, buffer, workers);
    if (op == ConvOp::input_grad)
      DenseTransfer<T>(part, taps, false).run(a + first * out, b, result + first * in, buffer, workers);
    if (op == ConvOp::weight_grad)
      DenseWeightGrad<T>(part, taps).run(a + first * out, b + first * in, result, first > 0, buffer, workers);
  });
}

template <class T>
int64_t direct_workspace(ConvOp op, const DirectProblem& problem, const TapTable& table, int64_t workers) {
  int64_t bytes = 0;
  with_direct<T>(op, problem, table, [&](const auto& form) { bytes = bytes_of(form, workers); });
  return bytes;
}
template <class T>
void direct_convolve(ConvOp op, const DirectProblem& problem, const TapTable& table, const T* a, const T* b, T* result,
                     void* buffer, const Workers& workers) {
  with_direct<T>(op, problem, table, [&](const auto& form) { form.run(a, b, result, buffer, workers); });
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
void add_bias(const Planes& planes, const T* bias, T* maps, const Workers& workers) {
  Bias<T>{planes}.add(bias, maps, workers);
}
template <class T>
void bias_grad(const Planes& planes, const T* maps, T* of_bias, double* sums, const Workers& workers) {
  Bias<T>{planes}.gradient(maps, of_bias, sums, workers);
}

template <class T>
constexpr KernelTable<T> kTable = {workspace<T>,       convolve<T>,      direct_workspace<T>,
                                   direct_convolve<T>, mix_workspace<T>, mix_taps<T>,
                                   mix_grads<T>,       add_bias<T>,      bias_grad<T>};

}  // namespace

extern const KernelTable<float> float_kernels;
extern const KernelTable<double> double_kernels;
const KernelTable<float> float_kernels = kTable<float>;
const KernelTable<double> double_kernels = kTable<double>;

}  // namespace DASH_ISA
}  // namespace dash
