// SPDX-License-Identifier: BSD-3-Clause
// Which taps meet which pixels, worked out once per call: direct sums then visit no tap that reaches nothing.
#pragma once
#include <vector>

#include "problem.h"

namespace dash {

// As ConvProblem says, over up to three axes: 1-D and 2-D maps have leading axes of one pixel.
struct DirectProblem {
  int64_t batch, in_channels, out_channels, groups;
  int64_t in[3], out[3], stride[3];
  int64_t num_taps;
  bool circular;
};

// Pixels of a result row that share a stretch of the list of taps.
constexpr int64_t kStep = 4;
// Of all lists together: what fits into half a gigabyte. dash_kernels/engines/direct.py refuses more beforehand.
constexpr int64_t kMostEntries = int64_t{1} << 25;

// A tap in the list of a result row: pixel k of that row reads source element row_base + at + k.
struct TapEntry {
  int32_t tap;    // in the stored order
  int32_t shift;  // source column of pixel 0, in elements of a stretch
  int64_t at;
};

// How direct sums read a source map. Source and result are input and output of the convolution, or the other way round
// for the gradient of the input. A map is rows times columns, whatever its number of axes. The source is laid out in a
// buffer whose rows hold `stretches` runs of columns, each of every `step`-th column, so that neighbouring pixels of
// the result always read neighbouring elements:
//   element j of stretch i is column first[i] + step * j, for j in [0, length), with `pad` zeros on both sides.
// In a circular source columns are modulo the width. Where a gradient of a strided convolution is computed, its columns
// fall into `phases` interleaved runs, each with a list of its own: pixel k of phase f is column f + phase_step * k.
struct TapTable {
  int64_t source_rows, source_width, stretches, step, length, pad;
  int64_t pitch;         // elements from row to row
  const int64_t* first;  // [stretches]
  bool circular;
  int64_t result_rows, result_width, phases, phase_step;
  int64_t blocks;              // of kStep pixels, in the longest phase
  const int64_t* phase_width;  // [phases]
  const int64_t* row_base;   // [result_rows]: element from which the row's entries count
  const int64_t* row_list;   // [result_rows]: the first of the row's lists, one per phase
  const int32_t* list;       // [lists + 1]: where each list starts in the entries, which are sorted by shift
  const int32_t* span;       // [lists, blocks, 2]: the entries that reach one of kStep pixels, counted from list start
  const TapEntry* entries;
};

// The table of one problem and direction, owning what its TapTable points to.
class DirectPlan {
 public:
  // `offsets` holds num_taps triples. Throws std::invalid_argument with one sentence for problems that make no sense or
  // whose table would not fit into memory.
  DirectPlan(const DirectProblem& problem, bool backward, const int64_t* offsets);
  const TapTable& table() const { return table_; }

 private:
  struct Axis;
  struct Column {
    int64_t tap, group, stretch, shift;
  };
  void find_columns(const Axis& axis, const std::vector<int64_t>& offsets, const std::vector<int64_t>& group);
  void find_rows(const Axis* axes, const std::vector<int64_t>& row_offsets);
  void add_lists(const std::vector<int64_t>& row_shift);
  void add_spans();

  TapTable table_{};
  std::vector<int64_t> taps_;                 // that reach a pixel
  std::vector<std::vector<Column>> columns_;  // per phase, sorted by shift
  std::vector<int64_t> first_, phase_width_, row_base_, row_list_;
  std::vector<int32_t> list_, span_;
  std::vector<TapEntry> entries_;
};

}  // namespace dash
