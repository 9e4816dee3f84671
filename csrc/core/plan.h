// SPDX-License-Identifier: BSD-3-Clause
// Plans: tables computed once (in double precision) and shared by every call, thread and instruction set.
#pragma once
#include <vector>

#include "problem.h"

namespace dash {

// True where the transforms here handle length n: factors 2, 3 and 5 only.
bool is_smooth(int64_t n);

// The plan of length n >= 1, made on first use and kept for the life of the process. Throws std::invalid_argument
// unless is_smooth(n).
template <class T>
const LengthPlan<T>& length_plan(int64_t n);

// The taps of `problem` that reach a pixel, owning what its TapList points to. `offsets` holds num_taps (row, column)
// pairs.
class SortedTaps {
 public:
  SortedTaps(const ConvProblem& problem, const int64_t* offsets);
  TapList list() const;
  // About as many as it takes.
  int64_t bytes() const;

 private:
  std::vector<int64_t> plus_, minus_, col_pos_, row_start_, row_middle_, row_pos_;
  bool by_residue_;
  int64_t residue_start_[5] = {}, residue_end_[5] = {};
};

// Throws std::invalid_argument with one sentence unless the kernels can run the problem exactly (a last guard: Python
// checks first).
void check_problem(const ConvProblem& problem, const int64_t* offsets);

}  // namespace dash
