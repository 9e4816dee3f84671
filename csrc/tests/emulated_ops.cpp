// SPDX-License-Identifier: BSD-3-Clause
// The operators of csrc/cuda as they are, on the emulation: for tensors of the CPU.
#define DASH_EMULATION
#include "../cuda/ops_depthwise.cu"
#include "../cuda/ops_direct.cu"
#include "../cuda/ops_mix.cu"
#include "emulation.h"
