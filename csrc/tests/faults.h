// SPDX-License-Identifier: BSD-3-Clause
// Small kernels with a fault each, which the emulation has to catch, and one without.
#pragma once
#include "../cuda/dialect.h"

namespace dash {
namespace cuda {

enum class Plant {
  nothing,
  missing_barrier,
  divergent_barrier,
  uninitialised_shared,
  uninitialised_global,
  shared_bounds,
  global_bounds,
  global_twice,
  shuffle_mask,
  lonely_shuffle,
  too_much_shared,
};

// Reverses a block's numbers in shared memory, adds up each warp's, and stores both.
struct Faulty {
  static constexpr int kThreads = 96;
  Plant plant;
  Global<const float> from;
  Global<float> to;  // kThreads reversed numbers, then kThreads sums

  void operator()(const Block& block) const {
    const int i = block.thread();
    const SharedArray<float> numbers = block.shared<float>(plant == Plant::too_much_shared ? 2 * kThreads : kThreads);
    if (plant != Plant::uninitialised_shared || i != 5)
      numbers.store(plant == Plant::shared_bounds && i == 5 ? kThreads : i, from.load(i));
    block.barrier();
    const float reversed = numbers.load(kThreads - 1 - i);
    if (plant != Plant::missing_barrier) block.barrier();
    numbers.store(i, reversed);
    if (plant == Plant::uninitialised_global && i == 7) to.load(i);
    to.store(plant == Plant::global_bounds && i == 95 ? 2 * kThreads : i, reversed);
    if (plant == Plant::global_twice && i == 9) to.store(8, reversed);
    float sum = reversed;
    if (plant == Plant::lonely_shuffle && i == 40) return;
    for (int step = kWarp / 2; step > 0; step /= 2)
      sum += block.shuffle_xor(sum, step, plant == Plant::shuffle_mask && i == 33 ? 0xfffffffdU : 0xffffffffU);
    to.store(kThreads + i, sum);
    if (plant == Plant::divergent_barrier && i < 64) block.barrier();
  }
};

// What the faultless kernel makes of 0, 1, 2 .., in one number; of another, what the emulation throws.
inline double run_planted(Plant plant) {
  std::vector<float> from(Faulty::kThreads), to(2 * Faulty::kThreads);
  std::iota(from.begin(), from.end(), 0.0F);
  emulation::poison(to.data(), to.size() * sizeof(float));
  const auto size = static_cast<int64_t>(from.size());
  launch({}, {1}, size * int64_t{sizeof(float)},
         Faulty{plant, {from.data(), size}, {to.data(), static_cast<int64_t>(to.size())}});
  double total = 0;
  for (size_t i = 0; i < to.size(); ++i)
    total += static_cast<double>(to[i]) * static_cast<double>(i);
  return total;
}

}  // namespace cuda
}  // namespace dash
