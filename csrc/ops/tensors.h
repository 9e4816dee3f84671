// SPDX-License-Identifier: BSD-3-Clause
// What every compiled CPU operator needs of torch: checks, threads, sizes, numbers.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <vector>

#include "../core/isa.h"
#include "../core/team.h"
#include "workspace.h"

namespace dash {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Ints = std::vector<int64_t>;

// As many of torch's threads as have some thousand numbers each to work on: waking one costs as much.
inline int64_t worker_count(int64_t numbers) {
  constexpr int64_t kGrain = 16384;
  const int64_t threads = torch::stable::get_num_threads();
  return std::min(threads, std::max<int64_t>(numbers / kGrain, 1));
}

// body(workers), with `count` of torch's threads woken once for all that it does.
template <class Body>
void with_workers(int64_t count, const Body& body) {
  Team team;
  const Workers workers = team.workers(count);
  if (count == 1) return body(workers);
  torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (i > 0) {
        team.follow(i);
      } else {
        const Team::Lead lead(team);
        body(workers);
      }
    }
  });
}

// Read at the first call, and kept.
inline Isa isa_in_use() {
  static const Isa isa = chosen_isa();
  return isa;
}

inline void check_alike(const char* op, const Tensor& like, const Tensor& other) {
  STD_TORCH_CHECK(like.is_cpu() && other.is_cpu(), op, ": tensors must be on the CPU");
  STD_TORCH_CHECK(like.scalar_type() == other.scalar_type(), op, ": tensors must share one dtype");
}

// Calls body(T{}) with the element type of `like`, which every other tensor must share.
template <class Body>
void dispatch(const char* op, const Tensor& like, const Tensor& other, const Body& body) {
  check_alike(op, like, other);
  if (like.scalar_type() == ScalarType::Float)
    body(float{});
  else if (like.scalar_type() == ScalarType::Double)
    body(double{});
  else
    STD_TORCH_CHECK(false, op, ": dtype must be float32 or float64");
}

// Without the dispatcher, which takes longer to say that there is nothing to do.
inline Tensor made_contiguous(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

// Whether torch takes maps as channels_last (or channels_last_3d): strides grow from channels over columns and rows to
// samples, whether or not there are gaps. dash_kernels/formats.py has the same rule.
inline bool is_channels_last(const Tensor& maps) {
  const int64_t axes = maps.dim();
  if (axes < 4 || maps.stride(1) == 0) return false;
  int64_t least = 0;
  for (int64_t i = 0; i < axes; ++i) {
    const int64_t axis = i == 0 ? 1 : i == axes - 1 ? 0 : axes - i, size = maps.size(axis), stride = maps.stride(axis);
    if (size == 0 || stride < least || (axis == 0 && least == maps.stride(1))) return false;
    least = stride * size;
  }
  return true;
}
inline torch::headeronly::MemoryFormat channels_last_of(int64_t axes) {
  using torch::headeronly::MemoryFormat;
  return axes == 5 ? MemoryFormat::ChannelsLast3d : MemoryFormat::ChannelsLast;
}

// Maps or weights as kernels read them: without gaps.
inline Tensor made_readable(const Tensor& tensor) {
  if (!is_channels_last(tensor)) return made_contiguous(tensor);
  int64_t dense = tensor.size(1);
  bool has_gaps = tensor.stride(1) != 1 && tensor.size(1) > 1;
  for (int64_t i = 1; i < tensor.dim(); ++i) {
    const int64_t axis = i == tensor.dim() - 1 ? 0 : tensor.dim() - i;
    has_gaps = has_gaps || (tensor.size(axis) > 1 && tensor.stride(axis) != dense);
    dense *= tensor.size(axis);
  }
  return has_gaps ? torch::stable::contiguous(tensor, channels_last_of(tensor.dim())) : tensor;
}

inline Ints spatial_of(const Tensor& tensor) {
  Ints sizes;
  for (int64_t axis = 2; axis < tensor.dim(); ++axis)
    sizes.push_back(tensor.size(axis));
  return sizes;
}

// The numbers in an int64 tensor: hundreds of them as int[] would cost more to convert than a small layer to compute.
inline Ints numbers(const char* op, const Tensor& tensor) {
  STD_TORCH_CHECK(tensor.is_cpu() && tensor.scalar_type() == ScalarType::Long && tensor.dim() == 1, op,
                  ": offsets and index must be one-dimensional int64 tensors on the CPU");
  const Tensor flat = made_contiguous(tensor);
  const int64_t* first = flat.const_data_ptr<int64_t>();
  return Ints(first, first + flat.numel());
}

inline Ints shape(int64_t first, int64_t second, const Ints& rest) {
  Ints sizes = {first, second};
  sizes.insert(sizes.end(), rest.begin(), rest.end());
  return sizes;
}

// A new tensor of `like`'s kind for maps, or for as many weights.
inline Tensor new_result(const Tensor& like, const Ints& sizes, bool channels_last = false) {
  constexpr size_t kLarge = size_t{4} << 20;  // smaller ones mostly lie in memory that was used before
  const Tensor maps = channels_last
                          ? torch::stable::empty(sizes, like.scalar_type(), std::nullopt, like.device(), std::nullopt,
                                                 channels_last_of(static_cast<int64_t>(sizes.size())))
                          : torch::stable::new_empty(like, sizes);
  const size_t bytes = static_cast<size_t>(maps.numel()) * (like.scalar_type() == ScalarType::Double ? 8 : 4);
  if (bytes >= kLarge) ask_for_huge_pages(maps.mutable_data_ptr(), bytes);
  return maps;
}

}  // namespace dash
