// SPDX-License-Identifier: BSD-3-Clause
// Plain descriptions of the work that a kernel does: integers and pointers, no torch, nothing that runs.
#pragma once
#include <cstdint>

namespace dash {

// Elements from one sample, one channel and one pixel of a batch of maps to the next.
struct MapStrides {
  int64_t sample, map, pixel;

  // As torch lays out contiguous maps of so many pixels, or those whose channels stand together.
  static MapStrides of(int64_t channels, int64_t pixels, bool channels_last) {
    if (channels_last) return {channels * pixels, 1, channels};
    return {channels * pixels, pixels, 1};
  }
};

// A tap convolution and its two adjoints:
//   y[b, o, p] = sum_c sum_t taps[o, c, t] * x[b, c, stride * p + offset_t],
// x being zero outside, or periodic (circular; then length equals the input size). Axis 0 runs over rows (one row in
// 1-D), axis 1 along a row.
struct ConvProblem {
  int64_t batch, in_channels, out_channels, groups;
  int64_t in[2], out[2], stride[2];
  int64_t length[2];  // transform lengths: multiples of the stride, length[1] / stride[1] even, factors 2, 3 and 5 only
  int64_t num_taps;   // of one (out channel, in channel) pair, as stored
  bool circular;
  MapStrides in_maps, out_maps;
};

enum class ConvOp { forward, input_grad, weight_grad, both_grads };

// Taps that can reach a pixel, by row offset, and in each row in pairs of opposite column offsets: a pair's transform
// is even * cos + i odd * sin, with even the sum of its two weights and odd their difference. Offsets are modulo the
// transform length, so they index the transform.
struct TapList {
  int64_t pairs, rows;
  const int64_t* plus;        // [pairs]: where the tap at col_pos lies in the stored order, or -1
  const int64_t* minus;       // [pairs]: likewise the tap at -col_pos
  const int64_t* col_pos;     // [pairs]
  const int64_t* row_start;   // [rows + 1], into the pairs
  const int64_t* row_middle;  // [rows]: where a row's odd column offsets begin, behind the even ones
  const int64_t* row_pos;     // [rows]
  // Of one row whose length 8 divides, else null: where the pairs at distances q modulo 8, q = 0 to 4, begin and end.
  const int64_t *residue_start, *residue_end;

  int64_t count() const { return 2 * pairs; }  // even and odd part of every pair
  // Whether sums run over residues, for eight frequencies at once (octets.h). Of 8 pairs they cost more than sums for
  // two frequencies, of 22 the same, of 31 less.
  bool in_octets() const { return residue_start && pairs > 20; }
};

// Candidate kernels packed along the last axis: packed tap i belongs to lattice tap index[i], or to
// none if that is -1; candidate m owns counts[m] of them.
struct MixProblem {
  int64_t rows, packed, lattice, candidates;
  const int64_t* index;
  const int64_t* counts;
};

// Runs body(arg, worker, i) for i in [0, n), n <= kMostIterations, on up to `count` threads, which `worker` numbers.
// The body never throws.
constexpr int64_t kMostIterations = int64_t{1} << 16;
struct Workers {
  int64_t count;
  void* team;
  void (*run)(void* team, int64_t n, void (*body)(void* arg, int64_t worker, int64_t i), void* arg);
};

// One pass of a mixed-radix transform: radix * m * s == n. twiddle holds m x (radix - 1) complex numbers exp(-2 pi i p
// k / (m radix)).
template <class T>
struct FftPass {
  int64_t radix, m, s;
  const T* twiddle;
};

template <class T>
struct FftPlan {
  int64_t n, passes;
  FftPass<T> pass[24];
};

// Everything about transform length n that does not depend on data. `root` holds exp(2 pi i j / n) for j in [0, n).
template <class T>
struct LengthPlan {
  int64_t n;
  FftPlan<T> complex;
  const T* root;
};

}  // namespace dash
