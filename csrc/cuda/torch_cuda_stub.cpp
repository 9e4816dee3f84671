// SPDX-License-Identifier: BSD-3-Clause
// Stands in for torch's own library of that name where torch is built without CUDA: to link against, never to run.
#include <cstdint>

extern "C" __attribute__((visibility("default"))) int32_t aoti_torch_get_current_cuda_stream(int32_t /*device*/,
                                                                                             void** /*stream*/) {
  return 1;  // failed
}
