// SPDX-License-Identifier: BSD-3-Clause
// The second stage of sums over blocks: in one order, whatever the device does first.
#pragma once
#include "dialect.h"

namespace dash {
namespace cuda {

// sums[i] = the sum over `parts` of part[p][i].
template <class T>
struct SumParts {
  static constexpr int kThreads = 128;
  int64_t count, parts;
  Global<const T> part;
  Global<T> sums;

  int64_t grid() const { return blocks_for(count, kThreads); }

  DASH_DEVICE void operator()(const Block& block) const {
    const int64_t i = static_cast<int64_t>(block.x()) * kThreads + block.thread();
    if (i >= count) return;
    constexpr int64_t kRun = 16;  // sums of sums: a long one in single precision would round too much
    T total = 0;
    for (int64_t first = 0; first < parts; first += kRun) {
      T sum = 0;
      for (int64_t p = first; p < parts && p < first + kRun; ++p)
        sum += part.load(p * count + i);
      total += sum;
    }
    sums.store(i, total);
  }
};

}  // namespace cuda
}  // namespace dash
