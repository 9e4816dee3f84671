// SPDX-License-Identifier: BSD-3-Clause
// The mixing family: candidates' weights, packed side by side, against the lattice of all their taps.
#pragma once
#include "dialect.h"

namespace dash {
namespace cuda {

constexpr int kMixThreads = 256;

// taps[row, l] = the sum over the weights p that lie at lattice tap l of weight[row, p] * mixture[candidate of p].
template <class T>
struct MixTaps {
  static constexpr int kThreads = kMixThreads;
  int64_t rows;
  int packed, lattice;
  Global<const int> starts, members;  // per lattice tap: where its weights begin in `members`, one more at the end
  Global<const int> candidates;       // per weight
  Global<const T> weight, mixture;
  Global<T> taps;

  int64_t grid() const { return blocks_for(rows * lattice, kThreads); }

  DASH_DEVICE void operator()(const Block& block) const {
    const int64_t i = static_cast<int64_t>(block.x()) * kThreads + block.thread();
    if (i >= rows * lattice) return;
    const int64_t row = i / lattice;
    const int tap = static_cast<int>(i - row * lattice), end = starts.load(tap + 1);
    T sum = 0;
    for (int m = starts.load(tap); m < end; ++m) {
      const int p = members.load(m);
      sum += weight.load(row * packed + p) * mixture.load(candidates.load(p));
    }
    taps.store(i, sum);
  }
};

// weight[row, p] = grad[row, lattice tap of p] * mixture[candidate of p]; zero where p has no tap.
template <class T>
struct GatherTaps {
  static constexpr int kThreads = kMixThreads;
  int64_t rows;
  int packed, lattice;
  Global<const int> index, candidates;  // per weight
  Global<const T> grad, mixture;
  Global<T> weight;

  int64_t grid() const { return blocks_for(rows * packed, kThreads); }

  DASH_DEVICE void operator()(const Block& block) const {
    const int64_t i = static_cast<int64_t>(block.x()) * kThreads + block.thread();
    if (i >= rows * packed) return;
    const int64_t row = i / packed;
    const int p = static_cast<int>(i - row * packed), tap = index.load(p);
    weight.store(i, tap < 0 ? T(0) : grad.load(row * lattice + tap) * mixture.load(candidates.load(p)));
  }
};

// Per block of rows: sums[c] = the sum over rows and over the weights p of candidate c of grad[row, tap] * weight[row,
// p].
template <class T>
struct MixtureGrad {
  static constexpr int kThreads = kMixThreads;
  int64_t rows, part_rows;
  int packed, lattice, candidates;
  Global<const int> index, bounds;  // bounds: where each candidate's weights begin, one more at the end
  Global<const T> grad, weight;
  Global<T> sums;  // (blocks, candidates)

  // Rows of a block: few, but of no more than some hundred blocks, which are added up one after the other.
  static int64_t part_rows_of(int64_t rows) {
    constexpr int64_t kFew = 16, kMostParts = 512;
    const int64_t share = blocks_for(rows, kMostParts);
    return share > kFew ? share : kFew;
  }
  int64_t grid() const { return blocks_for(rows, part_rows); }

  DASH_DEVICE void operator()(const Block& block) const {
    const int lane = block.thread() % kWarp;
    const int64_t first = block.x() * part_rows, end = first + part_rows < rows ? first + part_rows : rows;
    for (int c = block.thread() / kWarp; c < candidates; c += kThreads / kWarp) {
      T sum = 0;
      for (int64_t row = first; row < end; ++row) {
        T of_row = 0;
        for (int p = bounds.load(c) + lane; p < bounds.load(c + 1); p += kWarp) {
          const int tap = index.load(p);
          if (tap >= 0) of_row += grad.load(row * lattice + tap) * weight.load(row * packed + p);
        }
        sum += of_row;
      }
      sum = warp_sum(block, sum);
      if (lane == 0) sums.store(static_cast<int64_t>(block.x()) * candidates + c, sum);
    }
  }
};

}  // namespace cuda
}  // namespace dash
