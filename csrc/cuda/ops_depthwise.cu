// SPDX-License-Identifier: BSD-3-Clause
// The operators of depthwise layers by transforms. Lengths, tables of taps and roots of unity come ready from
// dash_kernels/engines/cuda.py.
#include <algorithm>

#include "depthwise_maps.h"
#include "depthwise_weights.h"
#include "sums.h"
#include "tensors.h"

namespace dash {
namespace cuda {
namespace {

constexpr int64_t kMostPoints = 1 << 16;  // of a circle's side: Divider's range, far above what shared memory holds

// A number per axis, one axis in front where there is one.
struct TwoAxes {
  int64_t rows = 1, columns = 1;

  explicit TwoAxes(const Ints& values) {
    STD_TORCH_CHECK(values.size() == 1 || values.size() == 2, "a map must have one or two axes, not ", values.size());
    rows = values.size() == 2 ? values[0] : 1;
    columns = values.back();
    STD_TORCH_CHECK(rows >= 1 && columns >= 1, "sizes, steps and lengths must be at least 1");
  }
};

Circle circle_of(const Ints& length) {
  const TwoAxes sides(length);
  STD_TORCH_CHECK(sides.rows < kMostPoints && sides.columns < kMostPoints, "lengths must be below 2^16");
  return Circle(sides.rows, sides.columns);
}

Maps maps_of(const Ints& size, const Ints& step, const Circle& circle) {
  const TwoAxes pixels(size), between(step);
  STD_TORCH_CHECK(size.size() == step.size() && between.rows * (pixels.rows - 1) < circle.columns_fft.length() &&
                      between.columns * (pixels.columns - 1) < circle.rows_fft.length(),
                  "maps do not fit on the circle");
  // With one pixel its step does not matter: it may be longer than the circle.
  return {Places(pixels.rows, pixels.rows == 1 ? circle.columns_fft.length() : between.rows),
          Places(pixels.columns, pixels.columns == 1 ? circle.rows_fft.length() : between.columns)};
}

template <class Kernel>
void set_roots(Kernel& kernel, const Tensor& roots) {
  using T = typename Kernel::Scalar;
  const int64_t down = kernel.circle.columns_fft.length(), across = kernel.circle.rows_fft.length();
  kernel.column_roots = complex_input<T>(roots, 0, down);
  kernel.row_roots = complex_input<T>(roots, down, across);
}

template <class T>
DepthwiseMaps<T> maps_kernel(int64_t batch, int64_t channels, const Ints& length, const Ints& source,
                             const Ints& source_step, const Ints& result, const Ints& result_step) {
  const Circle circle = circle_of(length);
  const Maps from = maps_of(source, source_step, circle), to = maps_of(result, result_step, circle);
  return DepthwiseMaps<T>(batch, channels, circle, from, to);
}

template <class T>
DepthwiseWeights<T> weights_kernel(int64_t batch, int64_t channels, const Ints& length, const Ints& input,
                                   const Ints& output, const Ints& stride, int64_t tap_rows, int64_t num_taps) {
  const Circle circle = circle_of(length);
  const Maps x = maps_of(input, Ints(input.size(), 1), circle), grad = maps_of(output, stride, circle);
  return DepthwiseWeights<T>(batch, channels, circle, x, grad, tap_rows, num_taps);
}

Tensor depthwise_maps(Tensor from, Tensor taps, Tensor table, int64_t tap_rows, Tensor roots, Ints length,
                      Ints result_size, Ints source_step, Ints result_step, std::optional<Tensor> bias) {
  const Call call("cuda_depthwise_maps", from);
  call.require(from.dim() >= 3 && taps.dim() == 3 && taps.size(0) == from.size(1) && taps.size(1) == 1,
               "shapes of maps and taps do not fit");
  const Tensor maps = call.operand(from), kernels = call.operand(taps), unity = call.operand(roots);
  const Tensor numbers = call.table(table);
  const std::optional<Tensor> shift = bias ? std::optional<Tensor>(call.operand(*bias)) : std::nullopt;
  call.require(!shift || shift->numel() == from.size(1), "bias must have one number per channel");
  Ints sizes = {from.size(0), from.size(1)};
  sizes.insert(sizes.end(), result_size.begin(), result_size.end());
  const Tensor to = call.fresh(sizes);
  if (to.numel() == 0) return to;
  call.run([&](auto type) {
    using T = decltype(type);
    auto kernel =
        maps_kernel<T>(from.size(0), from.size(1), length, spatial_of(maps), source_step, result_size, result_step);
    set_roots(kernel, unity);
    DepthwiseSpectrum<T> taps_kernel(kernel.circle, from.size(1), taps.size(2), tap_rows);
    set_roots(taps_kernel, unity);
    const Tensor workspace = call.fresh(Ints{2 * taps_kernel.size()});
    int64_t at = 0;
    taps_kernel.row_starts = part(numbers, at, tap_rows + 1);
    taps_kernel.row_places = part(numbers, at, tap_rows);
    const int64_t entries = (numbers.numel() - at) / 2;
    taps_kernel.entry_taps = part(numbers, at, entries);
    taps_kernel.entry_places = part(numbers, at, entries);
    taps_kernel.taps = input<T>(kernels);
    taps_kernel.spectrum = complex_output<T>(workspace);
    call.start(taps_kernel, taps_kernel.shared());
    kernel.spectrum = complex_input<T>(workspace, 0, taps_kernel.size());
    kernel.has_bias = shift.has_value();
    kernel.from = input<T>(maps);
    kernel.bias = input<T>(shift);
    kernel.to = output<T>(to);
    call.start(kernel, kernel.shared());
  });
  return to;
}

Tensor depthwise_weights(Tensor grad, Tensor x, Tensor table, int64_t tap_rows, int64_t num_taps, Tensor roots,
                         Ints length, Ints stride) {
  const Call call("cuda_depthwise_weights", grad);
  call.require(grad.dim() >= 3 && grad.dim() == x.dim() && grad.size(0) == x.size(0) && grad.size(1) == x.size(1),
               "shapes of grad and x do not fit");
  const Tensor upstream = call.operand(grad), maps = call.operand(x), unity = call.operand(roots);
  const Tensor numbers = call.table(table);
  const Ints sizes = {grad.size(1), 1, num_taps};
  if (grad.size(0) == 0) return torch::stable::new_zeros(grad, sizes);
  const Tensor sums = call.fresh(sizes);
  call.run([&](auto type) {
    using T = decltype(type);
    auto kernel = weights_kernel<T>(grad.size(0), grad.size(1), length, spatial_of(maps), spatial_of(upstream), stride,
                                    tap_rows, num_taps);
    set_roots(kernel, unity);
    int64_t at = 0;
    kernel.row_numbers = part(numbers, at, kernel.circle.columns_fft.length());
    kernel.tap_numbers = part(numbers, at, num_taps);
    kernel.tap_places = part(numbers, at, num_taps);
    kernel.x = input<T>(maps);
    kernel.grad = input<T>(upstream);
    const Tensor workspace = call.fresh(Ints{kernel.parts * kernel.windows, sums.numel()});
    kernel.sums = output<T>(workspace);
    call.start(kernel, kernel.shared());
    call.start(SumParts<T>{sums.numel(), kernel.parts * kernel.windows, input<T>(workspace), output<T>(sums)});
  });
  return sums;
}

// Bytes of shared memory that the largest block of the above takes, in single precision where `bytes` of a number is 4.
int64_t depthwise_maps_shared(int64_t batch, int64_t bytes, Ints length, Ints source, Ints source_step, Ints result,
                              Ints result_step) {
  const auto of = [&](auto type) {
    using T = decltype(type);
    const auto kernel = maps_kernel<T>(batch, 1, length, source, source_step, result, result_step);
    return std::max(kernel.shared(), DepthwiseSpectrum<T>(kernel.circle, 1, 0, 0).shared());
  };
  return bytes == 4 ? of(float{}) : of(double{});
}

int64_t depthwise_weights_shared(int64_t batch, int64_t bytes, Ints length, Ints input, Ints output, Ints stride,
                                 int64_t tap_rows) {
  const auto of = [&](auto type) {
    return weights_kernel<decltype(type)>(batch, 1, length, input, output, stride, tap_rows, 0).shared();
  };
  return bytes == 4 ? of(float{}) : of(double{});
}

int64_t most_shared(int64_t device) {
  return most_shared_bytes(static_cast<int>(device));
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(DASH_LIBRARY, m) {
  m.def(
      "cuda_depthwise_maps(Tensor source, Tensor taps, Tensor table, int tap_rows, Tensor roots, int[] length, "
      "int[] result_size, int[] source_step, int[] result_step, Tensor? bias=None) -> Tensor");
  m.def(
      "cuda_depthwise_weights(Tensor grad, Tensor x, Tensor table, int tap_rows, int num_taps, Tensor roots, "
      "int[] length, int[] stride) -> Tensor");
  m.def(
      "cuda_depthwise_maps_shared(int batch, int bytes, int[] length, int[] source, int[] source_step, int[] result, "
      "int[] result_step) -> int");
  m.def(
      "cuda_depthwise_weights_shared(int batch, int bytes, int[] length, int[] input, int[] output, int[] stride, "
      "int tap_rows) -> int");
  m.def("cuda_most_shared(int device) -> int");
}

STABLE_TORCH_LIBRARY_IMPL(DASH_LIBRARY, DASH_DEVICE_KEY, m) {
  m.impl("cuda_depthwise_maps", TORCH_BOX(&depthwise_maps));
  m.impl("cuda_depthwise_weights", TORCH_BOX(&depthwise_weights));
}

// They take no tensor.
STABLE_TORCH_LIBRARY_IMPL(DASH_LIBRARY, CompositeExplicitAutograd, m) {
  m.impl("cuda_depthwise_maps_shared", TORCH_BOX(&depthwise_maps_shared));
  m.impl("cuda_depthwise_weights_shared", TORCH_BOX(&depthwise_weights_shared));
  m.impl("cuda_most_shared", TORCH_BOX(&most_shared));
}

}  // namespace cuda
}  // namespace dash
