// SPDX-License-Identifier: BSD-3-Clause
#include "isa.h"

#include <cstdlib>
#include <stdexcept>

namespace dash {

#define DASH_DECLARE(set)                          \
  namespace set {                                  \
  extern const KernelTable<float> float_kernels;   \
  extern const KernelTable<double> double_kernels; \
  }
DASH_DECLARE(baseline)
#if defined(__x86_64__)
DASH_DECLARE(avx2)
DASH_DECLARE(avx512)
#endif
#undef DASH_DECLARE

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> sets = {Isa::baseline};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    sets.push_back(Isa::avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
      sets.push_back(Isa::avx512);
  }
#endif
  return sets;
}

Isa chosen_isa() {
  const std::vector<Isa> sets = supported_isas();
  const char* wanted = std::getenv("DASH_KERNELS_ISA");
  if (!wanted || !*wanted) return sets.back();
  for (Isa isa : sets)
    if (std::string(wanted) == isa_name(isa)) return isa;
  std::string known;
  for (Isa isa : sets)
    known += std::string(known.empty() ? "" : ", ") + isa_name(isa);
  throw std::invalid_argument("DASH_KERNELS_ISA is '" + std::string(wanted) + "': this processor can run " + known);
}

template <>
const KernelTable<float>& kernels<float>(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return avx512::float_kernels;
  if (isa == Isa::avx2) return avx2::float_kernels;
#endif
  return baseline::float_kernels;
}
template <>
const KernelTable<double>& kernels<double>(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return avx512::double_kernels;
  if (isa == Isa::avx2) return avx2::double_kernels;
#endif
  return baseline::double_kernels;
}

}  // namespace dash
