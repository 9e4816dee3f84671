// SPDX-License-Identifier: BSD-3-Clause
// Which taps meet which pixels, worked out once per geometry: direct sums then visit hardly a tap that reaches nothing.
#pragma once
#include <cstddef>
#include <vector>

#include "problem.h"

namespace dash {

// As ConvProblem says, over up to three axes: 1-D and 2-D maps have leading axes of one pixel.
struct DirectProblem {
  int64_t batch, in_channels, out_channels, groups;
  int64_t in[3], out[3], stride[3];
  int64_t num_taps;
  bool circular;
  MapStrides in_maps, out_maps;
};

// Pixels of a result row that share a stretch of a group's taps.
constexpr int64_t kStep = 4;
// Of all result rows together: what fits into half a gigabyte. dash_kernels/engines/direct.py refuses more beforehand.
constexpr int64_t kMostRowTaps = int64_t{1} << 25;

// Taps first, ..., first + count - 1 of one group, which lie so near to each other that one walk along a row serves
// all.
struct TapChunk {
  int64_t first, count;
};

// A group of taps that a result row needs: they read the source row that starts at element `at`.
struct RowTaps {
  int64_t group, at;
};

// How direct sums read a source map. Source and result are input and output of the convolution, or the other way round
// for the gradient of the input. A map is rows times columns, whatever its number of axes. The source is laid out in a
// buffer whose rows hold `stretches` runs of columns, each of every `step`-th column, so that neighbouring pixels of
// the result always read neighbouring elements:
//   element j of stretch i is column first[i] + step * j, for j in [0, length), with `pad` zeros between all stretches,
//   before the first and behind the last.
// In a circular source columns are modulo the width. Where a gradient of a strided convolution is computed, its columns
// fall into `phases` interleaved runs, with different taps: pixel k of phase f is column f + phase_step * k.
// Taps are those that reach a pixel, by phase, row offset (a group) and column, numbered anew.
struct TapTable {
  int64_t source_rows, source_width, stretches, step, length, pad;
  int64_t pitch;         // elements from row to row
  const int64_t* first;  // [stretches]
  bool circular;
  int64_t result_rows, result_width, phases, phase_step;
  const int64_t* phase_width;  // [phases]
  int64_t taps, groups;
  const int64_t* stored;  // [taps]: where the tap lies in the stored order
  const int64_t* shift;   // [taps]: the element of its stretch that pixel 0 reads; ascending in a group
  const int32_t* at;      // [taps]: the same, from the start of a source row
  int64_t blocks;         // of kStep pixels, in the longest phase
  const int32_t* span;    // [phases, groups, blocks, 2]: taps from .. to that reach a pixel of the block
  const int64_t* chunk;   // [groups + 1]: chunks of each group, for the one phase of a weight gradient
  const TapChunk* chunks;
  const int64_t* row;  // [result_rows + 1]: the row's groups
  const RowTaps* row_taps;
};

// Throws std::invalid_argument with one sentence for problems that make no sense.
void check_problem(ConvOp op, const DirectProblem& problem);

// The table of one problem, owning what its TapTable points to.
class DirectPlan {
 public:
  // `offsets` holds num_taps triples. Throws std::invalid_argument with one sentence where check_problem does, or where
  // the table would not fit into memory.
  DirectPlan(ConvOp op, const DirectProblem& problem, const int64_t* offsets);
  const TapTable& table() const { return table_; }
  // About as many as its table takes.
  int64_t bytes() const;

 private:
  struct Axis;
  struct Tap {
    int64_t stored, group, phase, stretch, shift;
  };
  std::vector<Tap> find_columns(const Axis& axis, std::vector<Tap> taps, const std::vector<int64_t>& offsets);
  void add_chunks(const std::vector<int64_t>& start);
  void add_spans(const std::vector<int64_t>& start);
  void find_rows(const Axis* axes, const std::vector<int64_t>& row_offsets);

  TapTable table_{};
  std::vector<int64_t> first_, phase_width_, stored_, shift_, chunk_, row_;
  std::vector<int32_t> at_, span_;
  std::vector<TapChunk> chunks_;
  std::vector<RowTaps> row_taps_;
};

// Sizes of one to three axes behind axes of size 1, and flat offsets of `axes` per tap as triples.
void put_axes(const std::vector<int64_t>& sizes, int64_t put[3]);
std::vector<int64_t> offset_triples(const std::vector<int64_t>& offsets, size_t axes);

}  // namespace dash
