// SPDX-License-Identifier: BSD-3-Clause
// The operators of csrc/cuda as they are, on the emulation: for tensors of the CPU. And what a test asks of it.
#define DASH_EMULATION
#include "../cuda/ops_depthwise.cu"
#include "../cuda/ops_direct.cu"
#include "../cuda/ops_mix.cu"
#include "emulation.h"
#include "faults.h"

namespace dash {
namespace cuda {
namespace {

// Seed of all random orders, and a barrier to leave out, or -1.
void set_emulation(int64_t seed, int64_t without_barrier) {
  emulation::settings().seed = static_cast<uint64_t>(seed);
  emulation::settings().without_barrier = without_barrier;
  emulation::settings().barriers = 0;
}

int64_t barriers_passed() {
  return emulation::settings().barriers;
}

double planted(int64_t plant) {
  return run_planted(static_cast<Plant>(plant));
}

}  // namespace

STABLE_TORCH_LIBRARY(dash_emulation, m) {
  m.def("set(int seed, int without_barrier) -> ()");
  m.def("barriers() -> int");
  m.def("planted(int plant) -> float");
}

STABLE_TORCH_LIBRARY_IMPL(dash_emulation, CompositeExplicitAutograd, m) {
  m.impl("set", TORCH_BOX(&set_emulation));
  m.impl("barriers", TORCH_BOX(&barriers_passed));
  m.impl("planted", TORCH_BOX(&planted));
}

}  // namespace cuda
}  // namespace dash
