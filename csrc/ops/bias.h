// SPDX-License-Identifier: BSD-3-Clause
// The bias of the convolutions: what their operators share.
#pragma once
#include <optional>

#include "tensors.h"

namespace dash {

inline Planes planes_of(const Tensor& maps) {
  int64_t pixels = 1;
  for (int64_t size : spatial_of(maps))
    pixels *= size;
  return {maps.size(0), maps.size(1), pixels};
}

// Adds it, if there is one, to contiguous maps.
inline void add_bias(const char* op, const Tensor& maps, const std::optional<Tensor>& bias) {
  if (!bias) return;
  STD_TORCH_CHECK(bias->dim() == 1 && bias->size(0) == maps.size(1), op,
                  ": bias must be 1-D with one number per output channel");
  const Tensor flat = torch::stable::contiguous(*bias);
  dispatch(op, maps, flat, [&](auto type) {
    using T = decltype(type);
    kernels<T>(isa_in_use())
        .add_bias(planes_of(maps), flat.const_data_ptr<T>(), maps.mutable_data_ptr<T>(), torch_workers(maps.numel()));
  });
}

// Its gradient: the sums over samples and pixels of contiguous `grad`.
inline Tensor bias_grad(const char* op, const Tensor& grad) {
  const Planes planes = planes_of(grad);
  const Tensor result = torch::stable::new_empty(grad, Ints{planes.channels});
  dispatch(op, grad, grad, [&](auto type) {
    using T = decltype(type);
    const Workers workers = torch_workers(grad.numel());
    std::vector<double> sums(static_cast<size_t>(workers.count * planes.channels));
    kernels<T>(isa_in_use())
        .bias_grad(planes, grad.const_data_ptr<T>(), result.mutable_data_ptr<T>(), sums.data(), workers);
  });
  return result;
}

}  // namespace dash
