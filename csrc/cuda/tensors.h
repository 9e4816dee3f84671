// SPDX-License-Identifier: BSD-3-Clause
// From torch's tensors to kernels: checks, views of memory, the current device and its current stream.
#pragma once
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <optional>
#include <string>
#include <vector>

#include "complex.h"

// Where the operators are registered: a test calls them with tensors of the CPU, and beside those for GPUs.
#if defined(DASH_EMULATION)
#define DASH_LIBRARY dash_kernels_emulated
#define DASH_DEVICE_KEY CPU
#else
#define DASH_LIBRARY dash_kernels
#define DASH_DEVICE_KEY CUDA
#endif

namespace dash {
namespace cuda {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Ints = std::vector<int64_t>;

inline std::string shape_text(const Tensor& tensor) {
  std::string text = "(";
  for (int64_t axis = 0; axis < tensor.dim(); ++axis)
    text += (axis ? ", " : "") + std::to_string(tensor.size(axis));
  return text + ")";
}

inline Ints spatial_of(const Tensor& tensor) {
  Ints sizes;
  for (int64_t axis = 2; axis < tensor.dim(); ++axis)
    sizes.push_back(tensor.size(axis));
  return sizes;
}

// One call of an operator: makes the device of `like` the current one while it lives, and runs on its current stream.
class Call {
 public:
  Call(const char* op, const Tensor& like)
      : op_(op), like_(like)
#if !defined(DASH_EMULATION)
        ,
        guard_(like.get_device_index())
#endif
  {
    require(like.scalar_type() == ScalarType::Float || like.scalar_type() == ScalarType::Double,
            "dtype must be float32 or float64");
#if !defined(DASH_EMULATION)
    require(like.is_cuda(), "tensors must be on a CUDA device");
    void* stream = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(like.get_device_index(), &stream));
    stream_ = static_cast<Stream>(stream);
#endif
  }

  void require(bool holds, const char* what) const { STD_TORCH_CHECK(holds, op_, ": ", what); }

  // `tensor`, which is of the same device and dtype, in one piece.
  Tensor operand(const Tensor& tensor) const {
    require(tensor.scalar_type() == like_.scalar_type(), "tensors must share one dtype");
    return beside(tensor);
  }
  // The same of 32-bit integers.
  Tensor table(const Tensor& tensor) const {
    require(tensor.scalar_type() == ScalarType::Int, "tables must hold int32");
    return beside(tensor);
  }
  Tensor fresh(const Ints& sizes) const { return torch::stable::new_empty(like_, sizes); }

  // Calls body(T{}) with the element type of the operands; what it throws names the operator and a shape.
  template <class Body>
  void run(const Body& body) const {
    try {
      if (like_.scalar_type() == ScalarType::Float)
        body(float{});
      else
        body(double{});
    } catch (const std::exception& error) {
      STD_TORCH_CHECK(false, op_, " of a tensor of shape ", shape_text(like_), ": ", error.what());
    }
  }
  template <class Kernel>
  void start(const Kernel& kernel, int64_t shared_bytes = 0) const {
    if (kernel.grid() > 0) launch(stream_, {kernel.grid()}, shared_bytes, kernel);
  }

 private:
  Tensor beside(const Tensor& tensor) const {
    require(tensor.is_cuda() == like_.is_cuda() && tensor.get_device_index() == like_.get_device_index(),
            "tensors must be on one device");
    return torch::stable::contiguous(tensor);
  }

  const char* op_;
  const Tensor& like_;
#if !defined(DASH_EMULATION)
  torch::stable::accelerator::DeviceGuard guard_;
#endif
  Stream stream_{};
};

template <class T>
Global<const T> input(const Tensor& tensor) {
  return {tensor.const_data_ptr<T>(), tensor.numel()};
}
template <class T>
Global<const T> input(const std::optional<Tensor>& tensor) {
  return tensor ? input<T>(*tensor) : Global<const T>();
}
// Part of a table, which moves on to the next part.
inline Global<const int> part(const Tensor& table, int64_t& first, int64_t count) {
  STD_TORCH_CHECK(count >= 0 && first + count <= table.numel(), "a table of ", table.numel(),
                  " numbers is too short for this call");
  const int* const data = table.const_data_ptr<int32_t>() + first;
  first += count;
  return {data, count};
}
// What a kernel is about to fill.
template <class T>
Global<T> output(const Tensor& tensor) {
#if defined(DASH_EMULATION)
  emulation::poison(tensor.mutable_data_ptr<T>(), static_cast<size_t>(tensor.numel()) * sizeof(T));
#endif
  return {tensor.mutable_data_ptr<T>(), tensor.numel()};
}
// Complex numbers lie as pairs of real ones.
template <class T>
Global<const Complex<T>> complex_input(const Tensor& tensor, int64_t first, int64_t count) {
  STD_TORCH_CHECK(2 * (first + count) <= tensor.numel(), "too few roots of unity for this length");
  return {reinterpret_cast<const Complex<T>*>(tensor.const_data_ptr<T>()) + first, count};
}
template <class T>
Global<Complex<T>> complex_output(const Tensor& tensor) {
  output<T>(tensor);  // poisoned where a test wants it
  return {reinterpret_cast<Complex<T>*>(tensor.mutable_data_ptr<T>()), tensor.numel() / 2};
}

}  // namespace cuda
}  // namespace dash
