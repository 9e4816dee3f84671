// SPDX-License-Identifier: BSD-3-Clause
// The dialect of the kernels in this folder: what nvcc compiles for a GPU, and any C++17 compiler for a test.
//
// A kernel is a struct with `static constexpr int kThreads`, its arguments as members, and
//   DASH_DEVICE void operator()(const Block& block) const
// started by launch(stream, grid, shared_bytes, kernel); its grid() and shared() say with how much of either. It
// touches memory through Global<T> and SharedArray<T> alone, whose load() and store() a test checks, and asks its Block
// for everything else: who am I, barrier, shuffle. No inline PTX, no tensor cores, no cooperative groups, no atomics:
// what is summed is summed in one order.
#pragma once

#if defined(DASH_EMULATION)
#include "../tests/emulation.h"
#else
#include "device.h"
#endif

namespace dash {
namespace cuda {

// The sum over a warp, in every lane of it.
template <class T>
DASH_DEVICE T warp_sum(const Block& block, T value) {
  for (int step = kWarp / 2; step > 0; step /= 2)
    value += block.shuffle_xor(value, step);
  return value;
}

// Division of i < 2^16 by a number that is known when the kernel starts: one multiplication where GPUs divide in twenty
// steps.
class Divider {
 public:
  Divider() = default;
  explicit Divider(int divisor)
      : divisor_(static_cast<uint32_t>(divisor)), inverse_((uint64_t{1} << 32) / static_cast<uint32_t>(divisor) + 1) {}
  DASH_DEVICE int quotient(int i) const {
    return divisor_ == 1 ? i : static_cast<int>(uint64_t{static_cast<uint32_t>(i)} * inverse_ >> 32);
  }
  DASH_DEVICE int divisor() const { return static_cast<int>(divisor_); }

 private:
  uint32_t divisor_ = 1;
  uint64_t inverse_ = 0;
};

// Blocks that are enough for `work` of which each does `share`.
inline int64_t blocks_for(int64_t work, int64_t share) {
  return (work + share - 1) / share;
}

}  // namespace cuda
}  // namespace dash
