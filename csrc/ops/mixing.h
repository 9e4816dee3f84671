// SPDX-License-Identifier: BSD-3-Clause
// The mixing of packed candidate kernels, as an operator of its own or as part of a convolution's.
#pragma once
#include <algorithm>
#include <optional>

#include "tensors.h"

namespace dash {

struct MixCall {
  const char* op;
  Ints index;
  MixProblem problem;

  MixCall(const char* name, int64_t rows, int64_t packed, int64_t lattice, const Tensor& index_tensor,
          const Ints& counts)
      : op(name), index(numbers(name, index_tensor)),
        problem{rows, packed, lattice, static_cast<int64_t>(counts.size()), index.data(), counts.data()} {
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
  MixCall(const MixCall&) = delete;  // the problem points into it
  MixCall& operator=(const MixCall&) = delete;
};

inline void check_same_rows(const char* op, const Tensor& grad, const Tensor& weight) {
  STD_TORCH_CHECK(
      grad.dim() == 3 && weight.dim() == 3 && grad.size(0) == weight.size(0) && grad.size(1) == weight.size(1), op,
      ": grad and weight must be 3-D with the same channels");
}

// What a convolution does beside its own work, with the same threads: it mixes its taps before, or passes their
// gradient on to weights and mixture afterwards.
class Mixing {
 public:
  Mixing(const MixCall& call, const Tensor& weight, const Tensor& mixture, const Tensor& taps)
      : call_(call), weight_(made_contiguous(weight)), mixture_(made_contiguous(mixture)), taps_(taps) {
    STD_TORCH_CHECK(weight.dim() == 3 && mixture.dim() == 1 && mixture.size(0) == call.problem.candidates, call.op,
                    ": weight must be 3-D and mixture 1-D with one entry per candidate");
    check_alike(call.op, taps, weight);
    check_alike(call.op, taps, mixture);
  }
  Mixing(const MixCall& call, const Tensor& weight, const Tensor& mixture, const Tensor& taps, const Tensor& of_weight,
         const Tensor& of_mixture)
      : Mixing(call, weight, mixture, taps) {
    of_weight_ = of_weight;
    of_mixture_ = of_mixture;
  }

  template <class Table>
  int64_t workspace(const Table& table, int64_t count) const {
    return table.mix_workspace(call_.problem, count);
  }
  template <class T>
  void before(const KernelTable<T>& table, void* workspace, const Workers& workers) const {
    if (of_weight_) return;
    table.mix_taps(call_.problem, weight_.const_data_ptr<T>(), mixture_.const_data_ptr<T>(),
                   taps_.mutable_data_ptr<T>(), workspace, workers);
  }
  template <class T>
  void after(const KernelTable<T>& table, void* workspace, const Workers& workers) const {
    if (!of_weight_) return;
    table.mix_grads(call_.problem, taps_.const_data_ptr<T>(), weight_.const_data_ptr<T>(), mixture_.const_data_ptr<T>(),
                    of_weight_->mutable_data_ptr<T>(), of_mixture_->mutable_data_ptr<T>(), workspace, workers);
  }

 private:
  const MixCall& call_;
  const Tensor weight_, mixture_, taps_;
  std::optional<Tensor> of_weight_, of_mixture_;
};

}  // namespace dash
