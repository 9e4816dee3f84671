// SPDX-License-Identifier: BSD-3-Clause
// The kernels of one instruction set, as a table of functions, and the choice among them.
#pragma once
#include <string>
#include <vector>

#include "direct_plan.h"
#include "problem.h"

namespace dash {

enum class Isa { baseline, avx2, avx512 };

// What a convolution takes and gives: maps as the problem's strides say, all else contiguous. forward: a = x, b = taps,
// result = y. input_grad: a = gradient of y, b = taps, result = gradient of x. weight_grad: a = gradient of y, b = x,
// result = gradient of taps. both_grads: as input_grad, and beside it x and the gradient of taps.
template <class T>
struct Operands {
  const T *a, *b;
  T* result;
  const T* bias = nullptr;     // of forward, one number per output channel, or null
  T* bias_gradient = nullptr;  // of weight_grad and both_grads, the same
  const T* x = nullptr;
  T* taps_gradient = nullptr;
};

template <class T>
struct KernelTable {
  // Bytes of workspace that `convolve` needs, 64-byte aligned.
  int64_t (*workspace)(ConvOp, const ConvProblem&, const TapList&, int64_t workers);
  void (*convolve)(ConvOp, const ConvProblem&, const TapList&, const Operands<T>&, void* workspace, const Workers&);

  // The same as direct sums. The table is the operator's own.
  int64_t (*direct_workspace)(ConvOp, const DirectProblem&, const TapTable&, int64_t workers);
  void (*direct_convolve)(ConvOp, const DirectProblem&, const TapTable&, const Operands<T>&, void* workspace,
                          const Workers&);

  int64_t (*mix_workspace)(const MixProblem&, int64_t workers);
  void (*mix_taps)(const MixProblem&, const T* weight, const T* mixture, T* taps, void* workspace, const Workers&);
  // The gradients of weight and mixture, or of one of them: the other is null then, and what it alone needs is not
  // read.
  void (*mix_grads)(const MixProblem&, const T* gradient, const T* weight, const T* mixture, T* of_weight,
                    T* of_mixture, void* workspace, const Workers&);
};

const char* isa_name(Isa isa);
// What this processor can run, lowest first.
std::vector<Isa> supported_isas();
// The best supported set, capped by DASH_KERNELS_ISA. Throws std::invalid_argument where that names none, or one above
// the processor's.
Isa chosen_isa();

template <class T>
const KernelTable<T>& kernels(Isa isa);

}  // namespace dash
