// SPDX-License-Identifier: BSD-3-Clause
// The kernels of one instruction set. The build compiles this file once per set, with DASH_ISA naming it and the flags
// to match.
#include "dense_weights.h"
#include "depthwise.h"
#include "direct.h"
#include "isa.h"
#include "mix.h"

namespace dash {
namespace DASH_ISA {
namespace {

bool is_depthwise(const ConvProblem& p) {
  return p.groups > 1 && p.in_channels == p.groups;
}

template <class T>
int64_t workspace(ConvOp op, const ConvProblem& problem, const TapList& taps, int64_t workers) {
  Arena measure(nullptr);
  if (is_depthwise(problem))
    Depthwise<T>(problem, taps).make_workspace(measure, workers, op == ConvOp::weight_grad);
  else if (op == ConvOp::weight_grad)
    DenseWeightGrad<T>(problem, taps).make_workspace(measure, workers);
  else
    DenseTransfer<T>(problem, taps, op == ConvOp::forward).make_workspace(measure, workers);
  return measure.used();
}

template <class T>
void convolve(ConvOp op, const ConvProblem& problem, const TapList& taps, const T* a, const T* b, T* result,
              void* buffer, const Workers& workers) {
  if (is_depthwise(problem)) {
    const Depthwise<T> depthwise(problem, taps);
    if (op == ConvOp::forward) depthwise.forward(a, b, result, buffer, workers);
    if (op == ConvOp::input_grad) depthwise.input_grad(a, b, result, buffer, workers);
    if (op == ConvOp::weight_grad) depthwise.weight_grad(a, b, result, buffer, workers);
  } else if (op == ConvOp::weight_grad) {
    DenseWeightGrad<T>(problem, taps).run(a, b, result, buffer, workers);
  } else {
    DenseTransfer<T>(problem, taps, op == ConvOp::forward).run(a, b, result, buffer, workers);
  }
}

template <class T>
int64_t direct_workspace(ConvOp op, const DirectProblem& problem, const TapTable& table, int64_t workers) {
  Arena measure(nullptr);
  with_direct<T>(op, problem, table, [&](const auto& form) { form.make_workspace(measure, workers); });
  return measure.used();
}
template <class T>
void direct_convolve(ConvOp op, const DirectProblem& problem, const TapTable& table, const T* a, const T* b, T* result,
                     void* buffer, const Workers& workers) {
  with_direct<T>(op, problem, table, [&](const auto& form) { form.run(a, b, result, buffer, workers); });
}

template <class T>
int64_t mix_workspace(const MixProblem& problem, int64_t workers) {
  Arena measure(nullptr);
  Mix<T>{problem}.make_workspace(measure, workers);
  return measure.used();
}
template <class T>
void mix_taps(const MixProblem& problem, const T* weight, const T* mixture, T* taps, void* buffer,
              const Workers& workers) {
  Mix<T>{problem}.mix_taps(weight, mixture, taps, buffer, workers);
}
template <class T>
void gather_taps(const MixProblem& problem, const T* gradient, const T* mixture, T* weight, void* buffer,
                 const Workers& workers) {
  Mix<T>{problem}.gather_taps(gradient, mixture, weight, buffer, workers);
}
template <class T>
void mixture_grad(const MixProblem& problem, const T* gradient, const T* weight, T* mixture, void* buffer,
                  const Workers& workers) {
  Mix<T>{problem}.mixture_grad(gradient, weight, mixture, buffer, workers);
}

template <class T>
constexpr KernelTable<T> kTable = {workspace<T>,     convolve<T>, direct_workspace<T>, direct_convolve<T>,
                                   mix_workspace<T>, mix_taps<T>, gather_taps<T>,      mixture_grad<T>};

}  // namespace

extern const KernelTable<float> float_kernels;
extern const KernelTable<double> double_kernels;
const KernelTable<float> float_kernels = kTable<float>;
const KernelTable<double> double_kernels = kTable<double>;

}  // namespace DASH_ISA
}  // namespace dash
