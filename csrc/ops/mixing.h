// SPDX-License-Identifier: BSD-3-Clause
// The mixing of packed candidate kernels, as an operator of its own or as part of a convolution's.
#pragma once
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

  void check_mixture(const Tensor& like, const Tensor& mixture) const {
    STD_TORCH_CHECK(mixture.dim() == 1 && mixture.size(0) == problem.candidates, op,
                    ": mixture must be 1-D with one entry per candidate");
    check_alike(op, like, mixture);
  }

  // What all of the following need: bytes(table, workers). Their tensors are contiguous and of the table's dtype.
  auto bytes() const {
    return [this](const auto& table, int64_t workers) { return table.mix_workspace(problem, workers); };
  }
  template <class T>
  void mix_taps(const KernelTable<T>& table, const Tensor& weight, const Tensor& mixture, const Tensor& taps,
                void* workspace, const Workers& workers) const {
    table.mix_taps(problem, weight.const_data_ptr<T>(), mixture.const_data_ptr<T>(), taps.mutable_data_ptr<T>(),
                   workspace, workers);
  }
  // The gradient of taps, and what they were mixed of: the mixture for the gradient of the weights, these for that of
  // the mixture.
  struct Mixed {
    Tensor gradient;
    std::optional<Tensor> weight, mixture;
  };
  template <class T>
  void mix_grads(const KernelTable<T>& table, const Mixed& of, const std::optional<Tensor>& of_weight,
                 const std::optional<Tensor>& of_mixture, void* workspace, const Workers& workers) const {
    const auto read = [](const std::optional<Tensor>& t) { return t ? t->const_data_ptr<T>() : nullptr; };
    const auto written = [](const std::optional<Tensor>& t) { return t ? t->mutable_data_ptr<T>() : nullptr; };
    table.mix_grads(problem, of.gradient.const_data_ptr<T>(), read(of.weight), read(of.mixture), written(of_weight),
                    written(of_mixture), workspace, workers);
  }
};

inline void check_same_rows(const char* op, const Tensor& grad, const Tensor& weight) {
  STD_TORCH_CHECK(
      grad.dim() == 3 && weight.dim() == 3 && grad.size(0) == weight.size(0) && grad.size(1) == weight.size(1), op,
      ": grad and weight must be 3-D with the same channels");
}

}  // namespace dash
