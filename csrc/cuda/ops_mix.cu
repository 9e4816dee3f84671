// SPDX-License-Identifier: BSD-3-Clause
// The operators of mixing. Tables come ready from dash_kernels/engines/cuda.py: they hang on the candidates alone.
#include "mix.h"
#include "sums.h"
#include "tensors.h"

namespace dash {
namespace cuda {
namespace {

Tensor mix_taps(Tensor weight, Tensor mixture, Tensor table, int64_t lattice_size) {
  const Call call("cuda_mix_taps", weight);
  call.require(weight.dim() == 3 && mixture.dim() == 1 && lattice_size >= 0, "weight must be 3-D and mixture 1-D");
  const Tensor packed = call.operand(weight), shares = call.operand(mixture), numbers = call.table(table);
  const Tensor taps = call.fresh(Ints{weight.size(0), weight.size(1), lattice_size});
  call.run([&](auto type) {
    using T = decltype(type);
    int64_t at = 0;
    const auto candidates = part(numbers, at, weight.size(2)), starts = part(numbers, at, lattice_size + 1);
    const auto members = part(numbers, at, numbers.numel() - at);
    call.start(MixTaps<T>{weight.size(0) * weight.size(1), static_cast<int>(weight.size(2)),
                          static_cast<int>(lattice_size), starts, members, candidates, input<T>(packed),
                          input<T>(shares), output<T>(taps)});
  });
  return taps;
}

Tensor gather_taps(Tensor grad, Tensor mixture, Tensor table) {
  const Call call("cuda_gather_taps", grad);
  call.require(grad.dim() == 3 && mixture.dim() == 1, "grad must be 3-D and mixture 1-D");
  const Tensor upstream = call.operand(grad), shares = call.operand(mixture), numbers = call.table(table);
  const int64_t packed = numbers.numel() / 2;
  const Tensor weight = call.fresh(Ints{grad.size(0), grad.size(1), packed});
  call.run([&](auto type) {
    using T = decltype(type);
    int64_t at = 0;
    const auto candidates = part(numbers, at, packed), index = part(numbers, at, packed);
    call.start(GatherTaps<T>{grad.size(0) * grad.size(1), static_cast<int>(packed), static_cast<int>(grad.size(2)),
                             index, candidates, input<T>(upstream), input<T>(shares), output<T>(weight)});
  });
  return weight;
}

Tensor mixture_grad(Tensor grad, Tensor weight, Tensor table) {
  const Call call("cuda_mixture_grad", grad);
  call.require(grad.dim() == 3 && weight.dim() == 3 && grad.size(0) == weight.size(0) && grad.size(1) == weight.size(1),
               "grad and weight must be 3-D with the same channels");
  const Tensor upstream = call.operand(grad), factors = call.operand(weight), numbers = call.table(table);
  const int64_t rows = grad.size(0) * grad.size(1), packed = weight.size(2);
  const int64_t candidates = numbers.numel() - packed - 1;
  const Tensor sums = call.fresh(Ints{candidates});
  call.run([&](auto type) {
    using T = decltype(type);
    int64_t at = 0;
    const auto index = part(numbers, at, packed), bounds = part(numbers, at, candidates + 1);
    MixtureGrad<T> parts{rows,
                         MixtureGrad<T>::part_rows_of(rows),
                         static_cast<int>(packed),
                         static_cast<int>(grad.size(2)),
                         static_cast<int>(candidates),
                         index,
                         bounds,
                         input<T>(upstream),
                         input<T>(factors),
                         {}};
    const Tensor workspace = call.fresh(Ints{parts.grid(), candidates});
    parts.sums = output<T>(workspace);
    call.start(parts);
    call.start(SumParts<T>{candidates, parts.grid(), input<T>(workspace), output<T>(sums)});
  });
  return sums;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(DASH_LIBRARY, m) {
  m.def("cuda_mix_taps(Tensor weight, Tensor mixture, Tensor table, int lattice_size) -> Tensor");
  m.def("cuda_gather_taps(Tensor grad, Tensor mixture, Tensor table) -> Tensor");
  m.def("cuda_mixture_grad(Tensor grad, Tensor weight, Tensor table) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(DASH_LIBRARY, DASH_DEVICE_KEY, m) {
  m.impl("cuda_mix_taps", TORCH_BOX(&mix_taps));
  m.impl("cuda_gather_taps", TORCH_BOX(&gather_taps));
  m.impl("cuda_mixture_grad", TORCH_BOX(&mixture_grad));
}

}  // namespace cuda
}  // namespace dash
