// SPDX-License-Identifier: BSD-3-Clause
// Fourier transforms by the threads of a block, in place, of many lines of one length at a time.
//
// Forward passes halve (or third ...) the distance they reach over, and leave frequencies in the order of their digits
// reversed; inverse passes go the same way back. Products of spectra do not mind the order, so nothing is ever sorted.
#pragma once
#include <stdexcept>
#include <string>
#include <type_traits>

#include "complex.h"

namespace dash {
namespace cuda {

// How lines of `length` are transformed. Made on the host.
class Fft {
 public:
  Fft() = default;
  explicit Fft(int length) : length_(length) {
    int rest = length;
    for (int radix : {8, 4, 2, 5, 3})
      while (rest % radix == 0) {
        // 16 is 4 x 4, which takes as many passes as 8 x 2 and fewer operations.
        const int taken = radix == 8 && rest % 16 == 0 && rest % 32 != 0 ? 4 : radix;
        const int after = rest / taken;
        pass_[count_++] = {taken, after, Divider(after), length / rest};
        rest = after;
      }
    if (rest != 1)
      throw std::invalid_argument("length " + std::to_string(length) + " of a transform has a factor above 5");
  }

  struct Pass {
    int radix, distance;
    Divider by_distance;
    int turn;  // from a pass's own roots of unity to those of the length
  };

  DASH_ANYWHERE int length() const { return length_; }
  DASH_ANYWHERE int passes() const { return count_; }
  DASH_DEVICE const Pass& pass(int i) const { return pass_[i]; }

  // The frequency that a forward transform leaves at this place.
  DASH_DEVICE int frequency_at(int place) const {
    int frequency = 0;
    for (int i = 0; i < count_; ++i) {
      const int digit = pass_[i].by_distance.quotient(place);
      place -= digit * pass_[i].distance;
      frequency += digit * pass_[i].turn;
    }
    return frequency;
  }

 private:
  static constexpr int kMostPasses = 16;  // 2^31 has eleven of radix 8
  int length_ = 1, count_ = 0;
  Pass pass_[kMostPasses] = {};
};

// Lines that are worked on at once: neighbouring threads take neighbouring lines.
struct Lines {
  int count;
  Divider by_count;
  Lines() : count(0) {}
  explicit Lines(int n) : count(n), by_count(n) {}
};

template <int R, int kSign, class T, class Read, class Write>
DASH_DEVICE void butterflies(int first, int threads, const Fft& fft, const Fft::Pass& pass, const Lines& lines,
                             Global<const Complex<T>> roots, const Read& read, const Write& write) {
  const int total = lines.count * (fft.length() / R);
  for (int i = first; i < total; i += threads) {
    const int butterfly = lines.by_count.quotient(i), line = i - butterfly * lines.count;
    const int part = pass.by_distance.quotient(butterfly), j = butterfly - part * pass.distance;
    const int start = part * R * pass.distance + j;
    Complex<T> v[R];
    for (int q = 0; q < R; ++q)
      v[q] = read(line, start + q * pass.distance);
    if constexpr (kSign > 0)
      for (int q = 1; q < R; ++q)
        v[q] = v[q] * roots.load(j * q * pass.turn).conj();
    Dft<R, kSign, T>::run(v);
    if constexpr (kSign < 0)
      for (int q = 1; q < R; ++q)
        v[q] = v[q] * roots.load(j * q * pass.turn);
    for (int q = 0; q < R; ++q)
      write(line, start + q * pass.distance, v[q]);
  }
}

// Calls body(std::integral_constant<int, R>{}) for a pass of radix R.
template <class Body>
DASH_DEVICE void with_radix(int radix, const Body& body) {
  switch (radix) {
    case 8:
      return body(std::integral_constant<int, 8>{});
    case 5:
      return body(std::integral_constant<int, 5>{});
    case 4:
      return body(std::integral_constant<int, 4>{});
    case 3:
      return body(std::integral_constant<int, 3>{});
    default:
      return body(std::integral_constant<int, 2>{});
  }
}

// Forward passes [begin, end) of `lines`, or inverse ones (unscaled) from end - 1 down to begin, a barrier between
// them; roots[j] = exp(-2 pi i j / length). read(pass, line, place) and write(pass, line, place, value) are told which
// pass it is, so that the first may take its numbers from elsewhere, and the last may put them elsewhere.
template <int kSign, class T, class Read, class Write>
DASH_DEVICE void transform(const Block& block, int threads, const Fft& fft, int begin, int end, const Lines& lines,
                           Global<const Complex<T>> roots, const Read& read, const Write& write) {
  for (int round = begin; round < end; ++round) {
    if (round > begin) block.barrier();
    const int number = kSign < 0 ? round : end - 1 - (round - begin);
    const auto from = [&](int line, int place) { return read(number, line, place); };
    const auto to = [&](int line, int place, const Complex<T>& value) { write(number, line, place, value); };
    with_radix(fft.pass(number).radix, [&](auto radix) {
      butterflies<decltype(radix)::value, kSign, T>(block.thread(), threads, fft, fft.pass(number), lines, roots, from,
                                                    to);
    });
  }
}

// The last pass forward, product(values, line, place) of the frequencies at `place` and behind it, and the first pass
// back: all of it in registers, since both passes take the same numbers and have no roots of unity to multiply by.
template <class T, class Read, class Product, class Write>
DASH_DEVICE void turn_back(const Block& block, int threads, const Fft& fft, const Lines& lines, const Read& read,
                           const Product& product, const Write& write) {
  const int last = fft.passes() - 1;
  with_radix(fft.pass(last).radix, [&](auto radix) {
    constexpr int R = decltype(radix)::value;
    const int total = lines.count * (fft.length() / R);
    for (int i = block.thread(); i < total; i += threads) {
      const int butterfly = lines.by_count.quotient(i), line = i - butterfly * lines.count, place = butterfly * R;
      Complex<T> v[R];
      for (int q = 0; q < R; ++q)
        v[q] = read(last, line, place + q);
      Dft<R, -1, T>::run(v);
      product(v, line, place);
      Dft<R, 1, T>::run(v);
      for (int q = 0; q < R; ++q)
        write(last, line, place + q, v[q]);
    }
  });
}

}  // namespace cuda
}  // namespace dash
