// SPDX-License-Identifier: BSD-3-Clause
#include "direct_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>

namespace dash {
namespace {

constexpr int64_t kNowhere = std::numeric_limits<int64_t>::min();
constexpr int64_t kLargest = int64_t{1} << 31;  // elements of a buffer, pixels of an axis

int64_t modulo(int64_t value, int64_t n) {
  return ((value % n) + n) % n;
}
int64_t floor_div(int64_t value, int64_t n) {
  return (value - modulo(value, n)) / n;
}

}  // namespace

// One axis of a source and its result: pixel q of the result reads source pixel (up ? (q + offset) / stride : stride *
// q + offset), if there is one.
struct DirectPlan::Axis {
  int64_t source, result, stride;
  bool up, circular;

  int64_t at(int64_t q, int64_t offset) const {
    const int64_t position = up ? q + offset : stride * q + offset;
    if (circular) return modulo(position, source);
    if (up && modulo(position, stride)) return kNowhere;
    const int64_t pixel = up ? position / stride : position;
    return position < 0 || pixel >= source ? kNowhere : pixel;
  }
  // Without overflow for any offset above -2^62.
  bool reaches(int64_t offset) const {
    if (circular) return true;
    return up ? offset <= stride * (source - 1) && offset > -result
              : offset < source && offset >= -stride * (result - 1);
  }
};

DirectPlan::DirectPlan(ConvOp op, const DirectProblem& problem, const int64_t* offsets) {
  check_problem(op, problem);
  const bool up = op == ConvOp::input_grad;
  Axis axes[3];
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t n = problem.in[axis], m = problem.out[axis], s = m > 1 ? problem.stride[axis] : 1;
    axes[axis] = {up ? m : n, up ? n : m, s, up, problem.circular};
  }
  std::vector<int64_t> row_offsets, column_offsets;
  std::vector<Tap> taps;
  std::map<std::pair<int64_t, int64_t>, int64_t> groups;
  for (int64_t t = 0; t < problem.num_taps; ++t) {
    int64_t offset[3];
    bool reaches = true;
    for (int axis = 0; axis < 3; ++axis) {
      offset[axis] = std::max(offsets[3 * t + axis], -kLargest * kLargest);
      if (problem.circular) offset[axis] = modulo(offsets[3 * t + axis], problem.in[axis]);
      if (up) offset[axis] = problem.circular ? modulo(-offset[axis], problem.in[axis]) : -offset[axis];
      reaches = reaches && axes[axis].reaches(offset[axis]);
    }
    if (!reaches) continue;
    const auto [found, is_new] = groups.try_emplace({offset[0], offset[1]}, static_cast<int64_t>(groups.size()));
    if (is_new) row_offsets.insert(row_offsets.end(), offset, offset + 2);
    taps.push_back({t, found->second, 0, 0, 0});
    column_offsets.push_back(offset[2]);
  }
  table_.groups = static_cast<int64_t>(groups.size());
  taps = find_columns(axes[2], std::move(taps), column_offsets);
  table_.taps = static_cast<int64_t>(taps.size());
  std::vector<int64_t> start(static_cast<size_t>(table_.phases * table_.groups + 1), 0);
  for (const Tap& tap : taps) {
    stored_.push_back(tap.stored);
    shift_.push_back(tap.shift);
    ++start[static_cast<size_t>(tap.phase * table_.groups + tap.group + 1)];
  }
  for (size_t i = 1; i < start.size(); ++i)
    start[i] += start[i - 1];
  if (op == ConvOp::weight_grad) add_chunks(start);
  table_.pitch = table_.stretches * (table_.length + table_.pad);
  if (axes[0].source * axes[1].source >= kLargest / (table_.pitch + table_.pad))
    throw std::invalid_argument("the map is too large");
  for (const Tap& tap : taps)
    at_.push_back(static_cast<int32_t>(tap.stretch * (table_.length + table_.pad) + table_.pad + tap.shift));
  add_spans(start);
  find_rows(axes, row_offsets);
  table_.first = first_.data();
  table_.phase_width = phase_width_.data();
  table_.stored = stored_.data();
  table_.shift = shift_.data();
  table_.at = at_.data();
  table_.span = span_.data();
  table_.chunk = chunk_.data();
  table_.chunks = chunks_.data();
  table_.row = row_.data();
  table_.row_taps = row_taps_.data();
}

// Which stretch of columns each tap reads, from which element on, and which phase of the result reads it.
std::vector<DirectPlan::Tap> DirectPlan::find_columns(const Axis& axis, std::vector<Tap> taps,
                                                      const std::vector<int64_t>& offsets) {
  const int64_t s = axis.stride;
  table_.source_width = axis.source;
  table_.result_width = axis.result;
  table_.circular = axis.circular;
  table_.step = axis.up ? 1 : s;
  table_.phase_step = axis.up ? s : 1;
  table_.phases = std::min(table_.phase_step, axis.result);
  std::map<int64_t, int64_t> stretches;
  for (size_t i = 0; i < taps.size(); ++i) {
    Tap& tap = taps[i];
    tap.phase = axis.up ? modulo(-offsets[i], s) : 0;
    tap.shift = axis.up ? (tap.phase + offsets[i]) / s : floor_div(offsets[i], s);
    const int64_t first = axis.up ? 0 : modulo(offsets[i], s);
    tap.stretch = stretches.try_emplace(first, static_cast<int64_t>(stretches.size())).first->second;
  }
  const auto read_by_nobody = [&](const Tap& tap) { return tap.phase >= table_.phases; };
  taps.erase(std::remove_if(taps.begin(), taps.end(), read_by_nobody), taps.end());
  std::stable_sort(taps.begin(), taps.end(), [](const Tap& a, const Tap& b) {
    return std::tie(a.phase, a.group, a.shift) < std::tie(b.phase, b.group, b.shift);
  });
  first_.resize(stretches.size());
  for (const auto& [first, stretch] : stretches)
    first_[static_cast<size_t>(stretch)] = first;
  table_.stretches = static_cast<int64_t>(first_.size());
  table_.length = axis.circular ? axis.result + (axis.source - 1) / s : (axis.source + table_.step - 1) / table_.step;
  table_.pad = axis.result > 2 * kStep ? 4 * kStep : 2 * kStep;  // the widest block of pixels
  for (int64_t phase = 0; phase < table_.phases; ++phase)
    phase_width_.push_back((axis.result - phase + table_.phase_step - 1) / table_.phase_step);
  table_.blocks = (phase_width_[0] + kStep - 1) / kStep;
  return taps;
}

// A chunk is walked over the pixels that any of its taps reaches, so far apart taps waste some; but fewer than four
// leave the processor waiting for sums. The pads hold what taps read beyond the pixels they reach.
void DirectPlan::add_chunks(const std::vector<int64_t>& start) {
  constexpr int64_t kFew = 4, kMost = 8;
  for (size_t group = 0; group + 1 < start.size(); ++group) {
    chunk_.push_back(static_cast<int64_t>(chunks_.size()));
    for (int64_t first = start[group], end = start[group + 1]; first < end; first += chunks_.back().count) {
      int64_t count = 1;
      const auto spread = [&](int64_t last) {
        return shift_[static_cast<size_t>(first + last)] - shift_[static_cast<size_t>(first)];
      };
      while (count < kMost && first + count < end &&
             spread(count) <= (count < kFew ? table_.length * 3 / 4 : table_.length / 8))
        ++count;
      table_.pad = std::max(table_.pad, spread(count - 1));
      chunks_.push_back({first, count});
    }
  }
  chunk_.push_back(static_cast<int64_t>(chunks_.size()));
}

// In a group sorted by shift the taps that reach a block of pixels stand together.
void DirectPlan::add_spans(const std::vector<int64_t>& start) {
  span_.reserve(static_cast<size_t>(2 * table_.blocks) * (start.size() - 1));
  for (size_t i = 0; i + 1 < start.size(); ++i) {
    const int64_t begin = start[i], end = start[i + 1], phase = static_cast<int64_t>(i) / table_.groups;
    const int64_t width = phase_width_[static_cast<size_t>(phase)];
    int64_t from = end, to = end;
    for (int64_t block = 0; block < table_.blocks; ++block) {
      const int64_t first = kStep * block, last = std::min(first + kStep, width) - 1;
      while (from > begin && shift_[static_cast<size_t>(from - 1)] + last >= 0)
        --from;
      while (to > begin && shift_[static_cast<size_t>(to - 1)] + first >= table_.length)
        --to;
      span_.push_back(static_cast<int32_t>(from));
      span_.push_back(static_cast<int32_t>(to));
    }
  }
}

// The groups whose source row exists, for every row of the result.
void DirectPlan::find_rows(const Axis* axes, const std::vector<int64_t>& row_offsets) {
  table_.source_rows = axes[0].source * axes[1].source;
  table_.result_rows = axes[0].result * axes[1].result;
  row_.push_back(0);
  for (int64_t q = 0; q < table_.result_rows; ++q) {
    for (int64_t group = 0; group < table_.groups; ++group) {
      const int64_t plane = axes[0].at(q / axes[1].result, row_offsets[static_cast<size_t>(2 * group)]);
      const int64_t row = axes[1].at(q % axes[1].result, row_offsets[static_cast<size_t>(2 * group + 1)]);
      if (plane == kNowhere || row == kNowhere) continue;
      row_taps_.push_back({group, (plane * axes[1].source + row) * table_.pitch});
    }
    if (static_cast<int64_t>(row_taps_.size()) > kMostRowTaps)
      throw std::invalid_argument("there are too many taps for so many rows");
    row_.push_back(static_cast<int64_t>(row_taps_.size()));
  }
}

void check_problem(ConvOp op, const DirectProblem& problem) {
  const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
  if (problem.groups < 1 || problem.in_channels % problem.groups || problem.out_channels % problem.groups)
    fail("groups must divide both channel counts");
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t n = problem.in[axis], m = problem.out[axis], s = problem.stride[axis];
    if (n < 1 || m < 1 || s < 1) fail("sizes and strides must be at least 1");
    if (n >= kLargest || m >= kLargest || (m > 1 && s >= kLargest)) fail("sizes and strides must be below 2^31");
    if (op == ConvOp::input_grad && problem.circular && (s > 1 || m != n))
      fail("the input gradient of a circular convolution takes stride 1 and an output as large as the input");
  }
}

int64_t DirectPlan::bytes() const {
  const auto of = [](const auto& numbers) { return static_cast<int64_t>(numbers.size() * sizeof(numbers[0])); };
  return of(first_) + of(phase_width_) + of(stored_) + of(shift_) + of(chunk_) + of(row_) + of(at_) + of(span_) +
         of(chunks_) + of(row_taps_);
}

void put_axes(const std::vector<int64_t>& sizes, int64_t put[3]) {
  for (size_t axis = 0; axis < 3; ++axis)
    put[axis] = axis + sizes.size() < 3 ? 1 : sizes[axis + sizes.size() - 3];
}
std::vector<int64_t> offset_triples(const std::vector<int64_t>& offsets, size_t axes) {
  std::vector<int64_t> triples(offsets.size() / axes * 3, 0);
  for (size_t i = 0; i < offsets.size(); ++i)
    triples[i / axes * 3 + 3 - axes + i % axes] = offsets[i];
  return triples;
}

}  // namespace dash
